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
