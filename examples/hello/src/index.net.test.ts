import { readFileSync } from "node:fs";
import path from "node:path";
import { type Child, type ServerProcess, startChild, startServerProcess } from "@bunting/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const PROGRAM = path.join(import.meta.dirname, "index.ts");
const PATIENCE_MS = 30_000;

let server: ServerProcess;
let hello: Child | undefined;

beforeEach(async () => {
  server = await startServerProcess();
});
afterEach(async () => {
  await hello?.end("SIGKILL");
  await server.dispose();
});

describe("the smallest application", () => {
  it("greets as the flag says, with the token of the first run, and again whenever it changes", async () => {
    expect((await server.request("POST", "/api/v1/flags", { key: "hello" })).status).toBe(201);
    hello = await greet({ BUNTING_URL: server.url, BUNTING_DATA_DIR: server.dataFolder });
    await hello.printed(/Flags are live\.[\s\S]*Good day, margaret\./, PATIENCE_MS);

    await setShare(100);
    await hello.printed(/Revision \d+ changed hello\.[\s\S]*Hello, margaret!/, PATIENCE_MS);

    await server.restart();
    await setShare(0);
    await hello.printed(/Hello, margaret![\s\S]*Good day, margaret\./, PATIENCE_MS);
    expect((await hello.end("SIGTERM")).code).toBe(0);
  });

  it("greets without a server as well", async () => {
    const token = server.firstRun.sdkTokens.development;
    await server.kill();
    hello = await greet({ BUNTING_URL: server.url, BUNTING_TOKEN: token });
    await hello.printed(/Flags are defaults\.[\s\S]*Good day, margaret\./, PATIENCE_MS);
    expect((await hello.end("SIGINT")).code).toBe(0);
  });

  it("says what to do first where no server was ever started", async () => {
    hello = await greet({ BUNTING_URL: server.url, BUNTING_DATA_DIR: path.join(server.dataFolder, "gone") });
    await hello.printed(/^There is no .*gone\/first-run\.json\. Start a server first/m, PATIENCE_MS);
    expect((await hello.exited).code).toBe(1);
  });

  it("has at most 40 lines", () => {
    expect(readFileSync(PROGRAM, "utf8").trimEnd().split("\n").length).toBeLessThanOrEqual(40);
  });
});

function greet(env: NodeJS.ProcessEnv): Promise<Child> {
  const { BUNTING_TOKEN: _token, BUNTING_DATA_DIR: _folder, ...inherited } = process.env;
  return startChild({
    command: process.execPath,
    args: ["--conditions=@bunting/source", "--import", "tsx", PROGRAM],
    env: { ...inherited, XDG_CACHE_HOME: server.dataFolder, ...env },
  });
}

async function setShare(on: number): Promise<void> {
  const split = { on, off: 100 - on };
  const answer = await server.request("PATCH", "/api/v1/environments/development/flags/hello", {
    fallthrough: { split },
  });
  expect(answer.status).toBe(200);
}
