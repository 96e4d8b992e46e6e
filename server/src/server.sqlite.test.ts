import { mkdtempSync, rmSync } from "node:fs";
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
    config: readConfig({ BUNTING_DATA_DIR: dataDir }),
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
});
