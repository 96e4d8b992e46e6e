import { createServer, request as forward, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createFlags, type Flags, type FlagsEvents, type FlagsOptions } from "@bunting/sdk";
import { type ServerProcess, startServerProcess } from "@bunting/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

/** The real SDK and the real server, each as it ships, in two processes. */
let server: ServerProcess;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  server = await startServerProcess();
});

afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

afterAll(() => server.dispose());

function start(options: FlagsOptions = {}): Flags {
  const token = server.firstRun.sdkTokens.development ?? "";
  const flags = createFlags({ url: server.url, token, cacheFile: false, warn: false, ...options });
  open.unshift(flags);
  return flags;
}

async function createFlag(key: string): Promise<void> {
  const created = await server.request("POST", "/api/v1/flags", { key });
  expect(created.status).toBe(201);
}

/** Everyone gets `on`, or nobody. */
async function setPercent(key: string, percent: number): Promise<void> {
  const path = `/api/v1/environments/development/flags/${key}`;
  const split = { fallthrough: { split: { on: percent, off: 100 - percent } } };
  expect((await server.request("PATCH", path, split)).status).toBe(200);
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

describe("an SDK on the stream of a server", () => {
  it("follows every kind of change", async () => {
    const flags = start();
    expect(await flags.ready()).toBe("live");
    const created = next(flags, "change", ({ keys }) => keys.includes("followed"));
    await createFlag("followed");
    await created;
    expect(flags.isEnabled("followed", "u")).toBe(false);
    const raised = next(flags, "change");
    await setPercent("followed", 100);
    await raised;
    expect(flags.isEnabled("followed", "u")).toBe(true);
    const killed = next(flags, "change");
    await server.request("POST", "/api/v1/environments/development/flags/followed/kill", { reason: "a test" });
    await killed;
    expect(flags.evaluate("followed", "u")).toMatchObject({ value: false, reason: "DISABLED", detail: "killed" });
    expect(flags.status().counters).toMatchObject({ resyncs: 0, malformed: 0, refused: 0, connections: 1 });
  });

  it("LC-37 acknowledges what it applied: a kill waits for it", async () => {
    await createFlag("acknowledged");
    const flags = start({ instance: "the-one-that-acks" });
    await flags.ready();
    const answer = await server.request(
      "POST",
      "/api/v1/environments/development/flags/acknowledged/kill?waitMs=5000",
      { reason: "a test" },
    );
    expect(answer.status).toBe(200);
    const { receipt } = (await answer.json()) as { receipt: { connected: number; applied: number } };
    expect(receipt).toMatchObject({ connected: 1, applied: 1 });
  });

  it("LC-62 has its telemetry acknowledged", async () => {
    await createFlag("counted");
    const flags = start();
    await flags.ready();
    for (let time = 0; time < 10; time += 1) flags.isEnabled("counted", `u-${time}`);
    flags.isEnabled("no-such-flag", "u");
    expect(flags.status().counters.pending).toBe(11);
    await flags.flush();
    expect(flags.status().counters).toMatchObject({ pending: 0, dropped: 0, telemetryRestarts: 0 });
    expect(flags.status().lastError).toBeNull();
  });

  it("LC-11 says what is wrong with a token, and keeps its bootstrap", async () => {
    const flags = start({ token: "bnt_server_aaaaaaaaaaaa_nonsense" });
    const { code } = await next(flags, "error");
    expect(code).toBe("http_401");
    expect(await flags.ready({ timeoutMs: 50 })).toBe("defaults");
    expect(flags.status()).toMatchObject({ state: "waiting", transport: "none" });
  });
});

describe("LC-15, LC-63 behind a proxy that knows no websockets", () => {
  async function proxy(): Promise<string> {
    const plain: Server = createServer((incoming, outgoing) => {
      const { method, headers, url = "/" } = incoming;
      const passed = forward(`${server.url}${url}`, { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      passed.on("error", () => outgoing.destroy());
      outgoing.on("close", () => passed.destroy());
      incoming.pipe(passed);
    });
    plain.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n"));
    await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
    open.push({
      close: async () => {
        plain.closeAllConnections();
        await new Promise((resolve) => plain.close(resolve));
      },
    });
    return `http://127.0.0.1:${(plain.address() as AddressInfo).port}`;
  }

  it("polls, hears of a change while its poll is held, and posts its telemetry", async () => {
    await createFlag("polled");
    const flags = start({ url: await proxy() });
    expect(await flags.ready()).toBe("live");
    expect(flags.status()).toMatchObject({ transport: "poll", state: "waiting" });
    const changed = next(flags, "change", ({ keys }) => keys.includes("polled"));
    await setPercent("polled", 100);
    await changed;
    expect(flags.isEnabled("polled", "u")).toBe(true);
    await flags.flush();
    expect(flags.status().counters).toMatchObject({ pending: 0, malformed: 0 });
  });
});

describe("a server that goes away", () => {
  it("LC-17, LC-31 is left when it drains and found again when it is back, from where the client was", async () => {
    await createFlag("drained");
    const flags = start();
    await flags.ready();
    const { position } = flags.status();
    const left = next(flags, "status", ({ state }) => state === "leaving" || state === "waiting");
    const stopped = server.terminate();
    await left;
    await stopped;
    expect(flags.variant("drained", "u")).toBe("off");
    const back = next(flags, "status", ({ state }) => state === "live");
    await server.restart();
    await back;
    expect(flags.status().position).toEqual(position);
    const changed = next(flags, "change");
    await setPercent("drained", 100);
    await changed;
    expect(flags.isEnabled("drained", "u")).toBe(true);
    expect(flags.status().counters).toMatchObject({ resyncs: 0, refused: 0 });
  });
});
