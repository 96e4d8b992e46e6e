import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import {
  booleanFlag,
  createOrigin,
  type StreamServer,
  type StreamServerOptions,
  startStreamServer,
} from "@bunting/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFlags } from "../create-flags.ts";
import type { FlagsOptions } from "../options.ts";
import type { Flags, FlagsEvents } from "../types.ts";
import { nodePlatform } from "./node.ts";

const open: { close(): Promise<void> }[] = [];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "bunting-sdk-"));
});

afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
  rmSync(folder, { recursive: true, force: true });
});

async function serve(options: StreamServerOptions = {}): Promise<StreamServer> {
  const server = await startStreamServer({ origin: createOrigin([booleanFlag("redis")]), ...options });
  open.push({ close: () => server.stop() });
  return server;
}

function start(server: StreamServer, options: FlagsOptions = {}): Flags {
  const flags = createFlags({ url: server.url, token: server.token, cacheFile: false, warn: false, ...options });
  open.unshift(flags);
  return flags;
}

function next<Name extends keyof FlagsEvents>(
  flags: Flags,
  name: Name,
  is: (event: FlagsEvents[Name]) => boolean = () => true,
): Promise<FlagsEvents[Name]> {
  return new Promise((resolve) => {
    const stop = flags.on(name, (event) => {
      if (!is(event)) return;
      stop();
      resolve(event);
    });
  });
}

describe("a client on real sockets", () => {
  it("follows changes, reconnects and closes", async () => {
    const server = await serve();
    const flags = start(server);
    expect(await flags.ready()).toBe("live");
    expect(flags.isEnabled("redis", "u")).toBe(true);
    const killed = next(flags, "change");
    server.origin.kill("redis");
    await killed;
    expect(flags.evaluate("redis", "u").detail).toBe("killed");

    const back = next(flags, "status", ({ state }) => state === "live");
    server.closeAll(1006);
    await back;
    expect(flags.status().position?.revision).toBe(2);
    await flags.close();
    expect(flags.status().state).toBe("closed");
  });

  it("LC-20, ST-8 sends the token in the header and nowhere else", async () => {
    const server = await serve();
    await start(server).ready();
    const [upgrade] = server.requests;
    expect(upgrade?.headers.authorization).toBe(`Bearer ${server.token}`);
    expect(upgrade?.headers["sec-websocket-protocol"]).toBe("bunting.v1");
    expect(upgrade?.url).not.toContain(server.token);
  });

  it("understands a server that compresses, and a snapshot of some megabytes", async () => {
    const many = Array.from({ length: 4_000 }, (_, index) => booleanFlag(`flag-${index}`));
    const server = await serve({ deflate: true, origin: createOrigin(many) });
    const flags = start(server);
    expect(await flags.ready({ timeoutMs: 20_000 })).toBe("live");
    expect(flags.isEnabled("flag-3999", "u")).toBe(true);
  });

  it("acks on the way out (LC-37)", async () => {
    const server = await serve({ ackHoldMs: 60_000 });
    const flags = start(server);
    await flags.ready();
    const [connection] = server.connections;
    expect(connection?.acknowledged).toBe(0);
    const closed = flags.close();
    await closed;
    await expect.poll(() => connection?.acknowledged).toBe(1);
    await expect.poll(() => server.connections.size).toBe(0);
  });

  it("LC-15 polls where a proxy refuses upgrades, with telemetry by POST", async () => {
    const server = await serve();
    server.refuseUpgrades({ status: 403 });
    const flags = start(server);
    expect(await flags.ready()).toBe("live");
    expect(flags.status()).toMatchObject({ transport: "poll", state: "waiting" });
    flags.isEnabled("redis", "u");
    await flags.flush();
    expect(server.telemetry.exposures("redis", "on")).toBe(1);
  });

  it("two clients in one process do not know of each other", async () => {
    const first = await serve();
    const second = await serve({ origin: createOrigin([booleanFlag("redis", { percent: 0 })]) });
    const [a, b] = [start(first), start(second)];
    expect(await Promise.all([a.ready(), b.ready()])).toEqual(["live", "live"]);
    expect([a.isEnabled("redis", "u"), b.isEnabled("redis", "u")]).toEqual([true, false]);
    await a.close();
    const changed = next(b, "change");
    second.origin.put(booleanFlag("redis"));
    await changed;
    expect(b.isEnabled("redis", "u")).toBe(true);
  });
});

describe("LC-46 what is not what was asked for", () => {
  const cases: [string, Parameters<StreamServer["answerRequests"]>[0]][] = [
    ["a captive portal's page", (response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>")],
    [
      "JSON of something else",
      (response) => response.writeHead(200, { "content-type": "application/json" }).end('{"ok":true}'),
    ],
    ["a redirect", (response) => response.writeHead(302, { location: "http://127.0.0.1:9/" }).end()],
    ["an empty answer", (response) => response.writeHead(200, { "content-type": "application/json" }).end()],
    [
      "half an answer",
      (response) =>
        response
          .writeHead(200, { "content-type": "application/json", "content-length": 99 })
          .end('{"ty', () => response.destroy()),
    ],
    [
      "a gzip bomb",
      (response) =>
        response
          .writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
          .end(gzipSync(Buffer.alloc(64 * 1024 * 1024))),
    ],
  ];

  it.each(cases)("%s replaces nothing", async (_name, answer) => {
    const server = await serve();
    server.refuseUpgrades({ status: 302, headers: { location: "http://127.0.0.1:9/" } });
    server.answerRequests(answer);
    const flags = start(server, { bootstrap: createOrigin([booleanFlag("redis")]).ruleset });
    await next(flags, "error", ({ code }) => code !== "http_302" || _name === "a redirect");
    expect(flags.isEnabled("redis", "u")).toBe(true);
    expect(flags.status()).toMatchObject({ source: "bootstrap", transport: "none" });
  });

  it("no redirect carries the token on", async () => {
    const trap = await serve();
    const server = await serve();
    server.refuseUpgrades({ status: 307, headers: { location: `${trap.url}/sdk/v1/stream` } });
    server.answerRequests((response) => response.writeHead(307, { location: `${trap.url}/sdk/v1/ruleset` }).end());
    const flags = start(server);
    await next(flags, "error", () => server.requests.length > 2);
    expect(trap.requests).toEqual([]);
  });
});

describe("errors of the network have names", () => {
  it("of a port where nobody listens", async () => {
    const server = await serve();
    await server.stop();
    const flags = start(server);
    expect((await next(flags, "error")).code).toBe("ECONNREFUSED");
    expect(await flags.ready({ timeoutMs: 10 })).toBe("defaults");
  });

  it("of a peer that hangs up instead of answering", async () => {
    const mute = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
    const { port } = mute.address() as { port: number };
    const flags = createFlags({ url: `http://127.0.0.1:${port}`, token: "t", cacheFile: false, warn: false });
    open.push(flags, { close: async () => void mute.close() });
    expect((await next(flags, "error")).code).toMatch(/ECONNRESET|EPIPE/);
  });

  it("of an HTTP answer with its Retry-After", async () => {
    const server = await serve();
    server.refuseUpgrades({ status: 503, headers: { "retry-after": "3600" } });
    server.answerRequests((response) => response.writeHead(503, { "retry-after": "3600" }).end());
    const flags = start(server);
    expect((await next(flags, "error")).code).toBe("http_503");
    expect(flags.status()).toMatchObject({ state: "waiting", transport: "none" });
  });
});

describe("LC-43 the cache file on a real disk", () => {
  it("is private, whole, and read by the next process", async () => {
    const server = await serve();
    const cacheFile = path.join(folder, "deep", "flags.json");
    const first = start(server, { cacheFile });
    await first.ready();
    await first.close();
    expect(statSync(cacheFile).mode & 0o777).toBe(0o600);
    expect(readdirSync(path.dirname(cacheFile))).toEqual(["flags.json"]);
    await server.stop();
    const second = start(server, { cacheFile });
    expect(second.status().source).toBe("cached");
    expect(second.isEnabled("redis", "u")).toBe(true);
  });

  it.skipIf(process.getuid?.() === 0)("that may not be read is a miss", async () => {
    const cacheFile = path.join(folder, "flags.json");
    writeFileSync(cacheFile, "secret");
    chmodSync(cacheFile, 0o000);
    const flags = createFlags({ url: "http://127.0.0.1:9", token: "t", cacheFile, warn: false });
    open.push(flags);
    expect(flags.status()).toMatchObject({ source: "defaults", issues: [expect.stringContaining("EACCES")] });
  });

  it("clears away what killed processes left half written, and nothing else", async () => {
    const server = await serve();
    const cacheFile = path.join(folder, "flags.json");
    const old = "flags.json.7.abc.tmp";
    const others = ["flags.json.8.def.tmp", "other.json.7.abc.tmp"];
    for (const name of [old, ...others]) writeFileSync(path.join(folder, name), "half");
    const longAgo = new Date(Date.now() - 2 * 3_600_000);
    for (const name of [old, "other.json.7.abc.tmp"]) utimesSync(path.join(folder, name), longAgo, longAgo);
    const flags = start(server, { cacheFile });
    await flags.ready();
    await flags.close();
    expect(readdirSync(folder).sort()).toEqual(["flags.json", ...others]);
  });

  it("that is a folder is a miss", () => {
    const flags = createFlags({ url: "http://127.0.0.1:9", token: "t", cacheFile: folder, warn: false });
    open.push(flags);
    expect(flags.status()).toMatchObject({ source: "defaults", issues: [expect.stringContaining("EISDIR")] });
  });

  it("survives kill -9 at any moment of writing: a reader sees a whole one", async () => {
    const file = path.join(folder, "flags.json");
    const program = `
      import { nodePlatform } from ${JSON.stringify(new URL("./node.ts", import.meta.url).href)};
      const { files } = nodePlatform();
      let round = 0;
      const write = () => files.replace(${JSON.stringify(file)}, String(round % 10).repeat(200_000 + (round++ % 7)), () => {
        process.stdout.write(".");
        write();
      });
      write();`;
    for (let life = 0; life < 4; life += 1) {
      const child = spawn(
        process.execPath,
        ["--conditions=@bunting/source", "--import", "tsx", "--input-type=module", "-e", program],
        {
          cwd: path.resolve(import.meta.dirname, "../../.."),
        },
      );
      let written = 0;
      await new Promise<void>((resolve) => {
        child.stdout.on("data", (dots: Buffer) => {
          written += dots.length;
          if (written > 5 + life * 7) child.kill("SIGKILL");
        });
        child.on("exit", () => resolve());
      });
      const text = readFileSync(file, "utf8");
      expect(text.length).toBeGreaterThanOrEqual(200_000);
      expect(new Set(text).size).toBe(1);
    }
  });
});

describe("LC-55 the override file on a real disk", () => {
  it("kills a flag in a running process, without a server", async () => {
    const overrideFile = path.join(folder, "overrides.json");
    const flags = createFlags({ bootstrap: createOrigin([booleanFlag("redis")]).ruleset, overrideFile });
    open.push(flags);
    expect(flags.isEnabled("redis", "u")).toBe(true);
    const created = next(flags, "change");
    writeFileSync(overrideFile, '{"redis":"off"}');
    await created;
    expect(flags.isEnabled("redis", "u")).toBe(false);
    const replaced = next(flags, "change");
    writeFileSync(`${overrideFile}.new`, '{"redis":"on" }');
    renameSync(`${overrideFile}.new`, overrideFile);
    await replaced;
    expect(flags.isEnabled("redis", "u")).toBe(true);
    const removed = next(flags, "change");
    rmSync(overrideFile);
    await removed;
    expect(flags.status().overrides).toEqual([]);
  });
});

describe("LC-4, LC-5 the process ends by itself", () => {
  const run = (server: StreamServer, body: string): Promise<number | null> => {
    const program = `
      import { createFlags } from ${JSON.stringify(new URL("../index.ts", import.meta.url).href)};
      const flags = createFlags({ url: ${JSON.stringify(server.url)}, token: ${JSON.stringify(server.token)}, cacheFile: false });
      ${body}`;
    const child = spawn(
      process.execPath,
      ["--conditions=@bunting/source", "--import", "tsx", "--input-type=module", "-e", program],
      {
        cwd: path.resolve(import.meta.dirname, "../../.."),
        stdio: "inherit",
      },
    );
    return new Promise((resolve) => child.on("exit", resolve));
  };

  it.each([
    ["after close()", 'if ((await flags.ready()) !== "live") process.exitCode = 3; await flags.close();'],
    ["without close(), with nothing left to do", 'if ((await flags.ready()) !== "live") process.exitCode = 3;'],
    [
      "while it polls",
      'if ((await flags.ready()) !== "live") process.exitCode = 3; flags.isEnabled("redis", "u"); await flags.flush();',
    ],
  ])("%s", async (name, body) => {
    const server = await serve();
    if (name === "while it polls") server.refuseUpgrades({ status: 403 });
    expect(await run(server, body)).toBe(0);
  });

  it("TE-41 after it has sent what was counted, without close()", async () => {
    const server = await serve();
    const body = 'if ((await flags.ready()) !== "live") process.exitCode = 3; flags.isEnabled("redis", "u");';
    expect(await run(server, body)).toBe(0);
    expect(server.telemetry.total).toBe(1);
  });
});

describe("LC-72 warnings", () => {
  it("go to stderr, through the console, as one line", () => {
    const program = `
      import { createFlags } from ${JSON.stringify(new URL("../index.ts", import.meta.url).href)};
      createFlags({ bootstrap: {} });`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ["--conditions=@bunting/source", "--import", "tsx", "--input-type=module", "-e", program],
      { cwd: path.resolve(import.meta.dirname, "../../.."), encoding: "utf8", timeout: 60_000 },
    );
    expect(stdout).toBe("");
    expect(stderr).toBe("Bunting: bootstrap: not a ruleset, or its checksum is wrong; it is ignored\n");
  });
});

describe("LC-19 timers", () => {
  it("longer than setTimeout can be do not fire at once", async () => {
    const { scheduler } = nodePlatform();
    let fired = false;
    const cancel = scheduler.after(2 ** 31 + 5, () => {
      fired = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 2));
    cancel();
    expect(fired).toBe(false);
  });
});

describe("TE-41, LC-4 what is left to do when the process is about to exit", () => {
  const listeners = () => process.listeners("beforeExit");

  it("is one listener's for all clients: Node.js warns of an eleventh", async () => {
    const before = listeners();
    const warnings: Error[] = [];
    const warn = (warning: Error): void => void warnings.push(warning);
    process.on("warning", warn);
    const clients = Array.from({ length: 30 }, () =>
      createFlags({ url: "http://127.0.0.1:9", token: "t", cacheFile: false, warn: false }),
    );
    expect(listeners()).toHaveLength(before.length + 1);
    await Promise.all(clients.map((flags) => flags.close()));
    expect(listeners()).toEqual(before);
    await new Promise(setImmediate);
    process.off("warning", warn);
    expect(warnings).toEqual([]);
  });

  it("is done once for each, but for those that were closed", () => {
    const before = listeners();
    const done: string[] = [];
    const { beforeExit } = nodePlatform();
    const note = (what: string) => beforeExit?.(() => void done.push(what)) ?? (() => {});
    const stop = [note("a"), note("b"), note("c")];
    stop[1]?.();
    const [ours] = listeners().filter((listener) => !before.includes(listener));
    // Work that a task starts keeps the process alive a little, and then it is about to exit again.
    for (let time = 0; time < 2; time += 1) ours?.(0);
    expect(done).toEqual(["a", "c"]);
    expect(listeners()).toEqual(before);

    const later = note("d");
    expect(listeners()).toHaveLength(before.length + 1);
    for (const cancel of [...stop, later]) cancel();
    expect(listeners()).toEqual(before);
  });
});
