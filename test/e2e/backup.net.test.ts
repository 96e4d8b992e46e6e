import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { copyFile, mkdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { auditVerification, backup as backupSchema, environmentKey, type Ruleset } from "@bunting/contracts";
import { type ServerProcess, startServerProcess } from "@bunting/testkit";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { FROM_SOURCES, runCommand } from "./command-line.ts";
import { converge, createFlag, headOf, observe, sdkToken, setPercent, stepsBack } from "./observed-client.ts";

const FLAGS = ["one", "two", "three", "four"];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "bunting-backup-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const bunting = (server: ServerProcess, ...words: string[]) =>
  runCommand(FROM_SOURCES, words, { env: { BUNTING_URL: server.url, BUNTING_TOKEN: server.firstRun.adminToken } });

/** With --json, and exit code 0. */
async function answered(server: ServerProcess, ...words: string[]): Promise<unknown> {
  const { exitCode, out, err } = await bunting(server, ...words, "--json");
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
  return JSON.parse(out);
}

async function rulesetOf(server: ServerProcess): Promise<Ruleset> {
  const headers = { authorization: `Bearer ${sdkToken(server)}` };
  return (await (await fetch(`${server.url}/sdk/v1/ruleset`, { headers })).json()) as Ruleset;
}

/** Changes percentages one after the other until it is told to stop. Gives the ruleset of each revision it saw. */
function write(server: ServerProcess) {
  let isOver = false;
  const rulesets = new Map<number, Ruleset>();
  const writing = (async () => {
    for (let count = 0; !isOver; count += 1) {
      const response = await setPercent(server, FLAGS[count % FLAGS.length] ?? "", count % 101);
      expect(response.status).toBe(200);
      const ruleset = await rulesetOf(server);
      rulesets.set(ruleset.revision, ruleset);
    }
  })();
  return {
    rulesets,
    async stop() {
      isOver = true;
      await writing;
    },
  };
}

describe("bunting backup", () => {
  it("takes a copy under writes, of which a new server serves the very flags it was taken of", {
    timeout: 120_000,
  }, async () => {
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    for (const flag of FLAGS) await createFlag(server, flag);
    const file = path.join(folder, "copy.db");
    const writer = write(server);
    const made = backupSchema.parse(await answered(server, "backup", file));
    await writer.stop();

    expect(createHash("sha256").update(readFileSync(file)).digest("hex")).toBe(made.sha256);
    expect(readdirSync(folder)).toEqual(["copy.db"]);
    const taken = await bunting(server, "backup", file);
    expect({ exitCode: taken.exitCode, again: taken.err }).toEqual({
      exitCode: 2,
      again: expect.stringContaining("--force") as string,
    });

    const dataFolder = path.join(folder, "data");
    const restored = await startServerProcess({ dataFolder: await filledFolder(dataFolder, server, file) });
    onTestFinished(() => restored.dispose());
    const ruleset = await rulesetOf(restored);
    expect(ruleset.revision).toBe(made.revisions[environmentKey.parse("production")]);
    expect(ruleset).toEqual(writer.rulesets.get(ruleset.revision));
    const verification = auditVerification.parse(await answered(restored, "audit", "verify"));
    expect(verification).toMatchObject({ intact: true, head: made.auditHead, entries: made.auditEntries });
  });

  it("is restored as docs/operating/storage.md says: a new epoch, and every SDK takes a snapshot", {
    timeout: 120_000,
  }, async () => {
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    await createFlag(server, "restored", 10);
    const file = path.join(folder, "copy.db");
    await answered(server, "backup", file);
    const client = observe({ url: server.url, token: sdkToken(server) });
    onTestFinished(() => client.flags.close());
    for (const percent of [20, 30, 40]) await setPercent(server, "restored", percent);
    await converge(server, [client]);
    const before = await headOf(server);

    await server.terminate();
    await rm(path.join(server.dataFolder, "bunting.db-wal"), { force: true });
    await copyFile(file, path.join(server.dataFolder, "bunting.db"));
    await server.restart();

    const after = await headOf(server);
    expect(after.epoch).not.toBe(before.epoch);
    expect(after.revision).toBeGreaterThan(before.revision);
    await converge(server, [client]);
    expect(stepsBack(client)).toEqual([]);
    const users = Array.from({ length: 1_000 }, (_, user) => client.flags.isEnabled("restored", `u-${user}`));
    expect(users.filter(Boolean).length).toBeLessThan(200);
    auditVerification.parse(await answered(server, "audit", "verify"));
  });
});

/** As on a new machine: the backup under the database's name, and the secrets that the test starts servers with. */
async function filledFolder(dataFolder: string, { dataFolder: old }: ServerProcess, file: string): Promise<string> {
  await mkdir(dataFolder);
  await copyFile(file, path.join(dataFolder, "bunting.db"));
  await copyFile(path.join(old, "first-run.json"), path.join(dataFolder, "first-run.json"));
  return dataFolder;
}
