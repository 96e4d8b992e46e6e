import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import Database from "better-sqlite3";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { createLogger } from "./ops/log.ts";
import { createNodeClock, createNodeRandom, createNodeScheduler } from "./platform/node.ts";
import { createServer } from "./server.ts";

let dataDir = "";
beforeEach(() => {
  dataDir = mkdtempSync(path.join(tmpdir(), "bunting-server-"));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const create = () =>
  createServer({
    config: readConfig({ BUNTING_DATA_DIR: dataDir, BUNTING_PORT: "0" }),
    clock: createNodeClock(),
    scheduler: createNodeScheduler(),
    random: createNodeRandom(),
    logger: createLogger("silent", () => {}),
    registry: new Registry(),
    node: "under-test",
    resolve: () => Promise.resolve([]),
  });

describe("a server that cannot start", () => {
  it("leaves nothing open: the next try in the same process does not meet its lock", async () => {
    const telemetry = new Database(path.join(dataDir, "telemetry.db"));
    telemetry.pragma("user_version = 999");
    telemetry.close();
    expect(create).toThrow(/this release reads/);

    rmSync(path.join(dataDir, "telemetry.db"));
    await create().close();
  });

  it("changes nothing where a backup was put in place while the server before still runs", async () => {
    const file = (name: string) => path.join(dataDir, name);
    await create().close();
    const source = new Database(file("bunting.db"));
    source.prepare("VACUUM INTO ?").run(file("backup.db"));
    source.close();

    const running = create();
    renameSync(file("backup.db"), file("bunting.db"));
    writeFileSync(file("head.json"), "{}"); // Whoever owned the folder would begin a new history.
    const contents = () => readdirSync(dataDir).map((name) => [name, readFileSync(file(name), "base64")]);
    const before = contents();
    expect(create).toThrow(/Another server is using .*telemetry\.db/);
    expect(contents()).toEqual(before);
    await running.close();

    writeFileSync(file("head.json"), "{}");
    await create().close();
    expect(readFileSync(file("head.json"), "utf8")).toContain('"epoch"');
  });
});

describe("TE-115 a server that finds evidence of what it has never served", () => {
  it("forgets it, for it would be that of the attempt to come", async () => {
    const server = create();
    const url = `http://127.0.0.1:${await server.listen()}/api/v1`;
    const headers = { authorization: `Bearer ${server.firstRun?.adminToken}`, "content-type": "application/json" };
    const post = async (path: string, body: object) => {
      const response = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
      expect(response.status).toBe(201);
      return (await response.json()) as { readonly id: string };
    };
    await post("/flags", { key: "checkout", type: "boolean", lifecycle: "release", owner: "shop" });
    const plan = { canary: "on", control: "off", stages: [{ percent: 10 }] };
    const { id } = await post("/environments/production/flags/checkout/rollouts", plan);
    await server.close();

    const file = path.join(dataDir, "telemetry.db");
    const before = new Database(file);
    before
      .prepare("INSERT INTO attempt (rollout, attempt, last_at, row_count, metrics) VALUES (?, 1, 0, 1, '[]')")
      .run(id);
    before.prepare("INSERT INTO evidence VALUES (?, 1, 7, 0, 'on', 9, '{}')").run(id);
    before.close();
    await create().close();
    const after = new Database(file);
    expect(after.prepare("SELECT * FROM evidence").all()).toEqual([]);
    after.close();
  });
});
