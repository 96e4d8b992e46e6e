import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { SUBPROTOCOL } from "@bunting/contracts/literals";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import type { FirstRun } from "./ledger/first-run.ts";
import { type Host, runServer, type ServerExitCode } from "./run.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(path.join(tmpdir(), "bunting-run-"));
  return () => rmSync(dataDir, { recursive: true, force: true });
});

interface Run {
  readonly exitCode: Promise<ServerExitCode>;
  readonly said: () => string;
  readonly logged: () => string;
  /** @param afterMs Since the signal before. */
  readonly signal: (afterMs?: number) => void;
  /** The address, once it is printed. */
  readonly url: Promise<string>;
}

/** The whole of `npm start` but for the process around it. */
function run(environment: Record<string, string> = {}, isTTY = false): Run {
  const listeners: (() => void)[] = [];
  let now = 0;
  let said = "";
  let logged = "";
  let found: (url: string) => void = () => {};
  const url = new Promise<string>((resolve) => {
    found = resolve;
  });
  const host: Host = {
    environment: { BUNTING_DATA_DIR: dataDir, BUNTING_PORT: "0", ...environment },
    stdout: { isTTY, write: (text) => (logged += text) },
    stderr: {
      write: (text) => {
        said += text;
        const printed = /serves (http:\/\/\S+?)[;.,]? /.exec(said)?.[1];
        if (printed) found(printed);
      },
    },
    onStopSignal: (listener) => listeners.push(listener),
    monotonic: () => now,
  };
  const exitCode = runServer(host);
  return {
    exitCode,
    said: () => said,
    logged: () => logged,
    url,
    signal: (afterMs = 0) => {
      now += afterMs;
      for (const listener of listeners) listener();
    },
  };
}

function firstRun(): FirstRun {
  return JSON.parse(readFileSync(path.join(dataDir, "first-run.json"), "utf8")) as FirstRun;
}

/** An SDK that stays until it is told to go. */
async function openStream(url: string): Promise<WebSocket> {
  const { production } = firstRun().sdkTokens;
  const stream = new WebSocket(`${url.replace("http", "ws")}/sdk/v1/stream`, SUBPROTOCOL, {
    headers: { authorization: `Bearer ${production}` },
  });
  onTestFinished(() => stream.terminate());
  await new Promise((resolve, reject) => {
    stream.once("message", resolve);
    stream.once("error", reject);
  });
  return stream;
}

describe("the first start", () => {
  it("prints the address, the admin token once, and where the others are", async () => {
    const first = run();
    const url = await first.url;
    const { adminToken, sdkTokens } = firstRun();
    expect(Object.keys(sdkTokens)).toEqual(["production", "staging", "development"]);
    expect(first.said().split(adminToken)).toHaveLength(2);
    expect(first.said()).toContain(path.join(dataDir, "first-run.json"));
    const files = readdirSync(dataDir, { withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.map(({ name }) => name)).toEqual(expect.arrayContaining(["first-run.json", "telemetry.db"]));
    for (const { name } of files)
      expect([name, statSync(path.join(dataDir, name)).mode & 0o777]).toEqual([name, 0o600]);
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status).toBe(200);
    first.signal();
    expect(await first.exitCode).toBe(0);

    const second = run();
    await second.url;
    expect(second.said()).not.toContain("bnt_");
    second.signal();
    expect(await second.exitCode).toBe(0);
  });

  it("says where it listens, and how others reach it", async () => {
    const server = run({ BUNTING_PUBLIC_URL: "https://flags.example.com", BUNTING_DOCS: "off" });
    expect(await server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(server.said()).toContain("which others reach as https://flags.example.com. Ctrl-C");
    server.signal();
    expect(await server.exitCode).toBe(0);
  });

  it("logs JSON lines to stdout, and sentences to stderr", async () => {
    const server = run({ BUNTING_PORTS: "1" });
    await server.url;
    server.signal();
    await server.exitCode;
    const events = server
      .logged()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { msg: string; warning?: string });
    expect(events.map(({ msg }) => msg)).toContain("listening");
    expect(events.find(({ msg }) => msg === "configuration")?.warning).toContain("BUNTING_PORTS");
    expect(server.logged()).not.toContain("bnt_");
  });

  it("logs for people on a terminal, unless told otherwise", async () => {
    const texts = await Promise.all(
      [run({}, true), run({ BUNTING_LOG_FORMAT: "json", BUNTING_DATA_DIR: path.join(dataDir, "json") }, true)].map(
        async (server) => {
          await server.url;
          server.signal();
          await server.exitCode;
          return server.logged();
        },
      ),
    );
    expect(texts[0]).toMatch(/^\d\d:\d\d:\d\d info {2}listening/m);
    expect(texts[1]).toMatch(/^\{"level":"info"/);
  });
});

describe("a server that cannot start", () => {
  it("says which port is taken, and ends with 1", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void taken.close());
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    const server = run({ BUNTING_PORT: String(port) });
    expect(await server.exitCode).toBe(1);
    expect(server.said()).toContain(`Port ${port} on 127.0.0.1 is taken.`);
    expect(server.said()).not.toContain("    at ");
    // It let go of the database.
    const next = run();
    await next.url;
    next.signal();
    expect(await next.exitCode).toBe(0);
  });

  it("says which address it does not have", async () => {
    const server = run({ BUNTING_HOST: "192.0.2.1" });
    expect(await server.exitCode).toBe(1);
    expect(server.said()).toContain("BUNTING_HOST");
  });

  it("says which setting is wrong, and ends with 2 without touching the disk", async () => {
    const server = run({ BUNTING_LOG_LEVEL: "loud", BUNTING_DATA_DIR: path.join(dataDir, "untouched") });
    expect(await server.exitCode).toBe(2);
    expect(server.said()).toContain("BUNTING_LOG_LEVEL must be one of");
    expect(() => statSync(path.join(dataDir, "untouched"))).toThrow("ENOENT");
  });
});

describe("a signal", () => {
  it("turns /readyz to 503 and sends streams elsewhere, while requests are still answered", async () => {
    const server = run();
    const url = await server.url;
    const stream = await openStream(url);
    const goaway = new Promise<Record<string, unknown>>((resolve) => {
      stream.on("message", (data: Buffer) => {
        const message = JSON.parse(data.toString()) as Record<string, unknown>;
        if (message.type === "goaway") resolve(message);
      });
    });
    server.signal();
    expect(await goaway).toMatchObject({ reason: "shutdown" });
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([503, { status: "not_ready", reason: "draining" }]);
    const authorization = `Bearer ${firstRun().adminToken}`;
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/api/v1/flags`, { headers: { authorization } })).status).toBe(200);

    stream.close();
    expect(await server.exitCode).toBe(0);
    await expect(fetch(`${url}/healthz`)).rejects.toThrow("fetch failed");
  });

  it("waits for the answer to a request that is under way", async () => {
    const server = run();
    const url = await server.url;
    const socket: Socket = connect(Number(new URL(url).port), "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    const answered = new Promise<string>((resolve) => {
      let text = "";
      socket.on("data", (chunk) => (text += chunk.toString()));
      socket.on("close", () => resolve(text));
    });
    const body = JSON.stringify({ key: "slowly-sent" });
    const head = [
      "POST /api/v1/flags HTTP/1.1",
      "Host: x",
      `Authorization: Bearer ${firstRun().adminToken}`,
      "Content-Type: application/json",
      `Content-Length: ${body.length}`,
      "Connection: close",
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n${body.slice(0, 5)}`);
    // The server has seen the first half once it has answered a later request.
    await fetch(`${url}/healthz`);
    server.signal();
    socket.write(body.slice(5));
    expect(await answered).toMatch(/^HTTP\/1\.1 201 /);
    expect(await server.exitCode).toBe(0);
  });

  it("twice does not wait for anybody", async () => {
    const server = run();
    await openStream(await server.url);
    server.signal();
    server.signal(500);
    expect(await server.exitCode).toBe(1);
    expect(server.said()).toContain("by force");
  });

  it("is once, although npm, its script and the terminal each pass their own signal on", async () => {
    const server = run();
    const stream = await openStream(await server.url);
    stream.on("message", (message: Buffer) => {
      if (message.includes('"goaway"')) stream.close();
    });
    server.signal();
    server.signal();
    server.signal(499);
    expect(await server.exitCode).toBe(0);
    expect(server.said()).toContain("Bunting has stopped.");
  });
});
