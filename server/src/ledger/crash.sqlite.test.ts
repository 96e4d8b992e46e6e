import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MIGRATIONS } from "../store/migrations/index.ts";
import { NEXT_MIGRATION } from "../store/migrations/next-migration-fixture.ts";
import { actor, createFlag, flagKeyOf, PRODUCTION, TestFolder } from "./ledger-fixture.ts";

const SEED = 20_262;
const random = createSeededRandom(SEED);

let folder: TestFolder;
beforeEach(() => {
  folder = new TestFolder({ time: createFakeTime(), random });
});
afterEach(() => {
  folder.remove();
  for (const copy of copies.splice(0)) rmSync(copy, { recursive: true, force: true });
});

/** Folders to be removed after the test. */
const copies: string[] = [];

interface Ending {
  readonly lines: readonly string[];
  readonly signal: NodeJS.Signals | null;
}

/** Runs a program of crash-child.ts to its end, killing it when it has said `killAfter` lines. */
function run(program: string, argument: number, killAfter = Number.POSITIVE_INFINITY): Promise<Ending> {
  const script = fileURLToPath(new URL("crash-child.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    ["--conditions=@bunting/source", "--import", "tsx", script, program, folder.path, String(argument)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    if (lines.length === killAfter) child.kill("SIGKILL");
  });
  return new Promise((resolve) => child.on("close", (_code, signal) => resolve({ lines, signal })));
}

describe(`R31 R33 kill -9 in a loop under writes (seed ${SEED})`, () => {
  it("loses nothing that was acknowledged, and leaves nothing half done", async () => {
    folder.open();
    folder.close();
    const acknowledged: string[] = [];
    for (let round = 0; round < 4; round++) {
      const { lines, signal } = await run("write", round * 1_000, 1 + random.below(80));
      expect(signal).toBe("SIGKILL");
      acknowledged.push(...lines);

      const { ledger } = folder.open();
      const configurations = ledger.state.environments.get(PRODUCTION)?.configurations;
      const lost = acknowledged.filter((line) => {
        const [key = "", percent] = line.split(" ");
        const stored = configurations?.get(flagKeyOf(key));
        const split = { on: Number(percent), off: 100 - Number(percent) };
        return percent === undefined ? !stored : !isDeepStrictEqual(stored?.configuration.fallthrough, { split });
      });
      expect(lost).toEqual([]);
      const verification = ledger.verify();
      expect(verification).toMatchObject({ intact: true, damagedRows: [] });
      // One audit entry and one revision of production per change, from the first.
      const revision = ledger.state.environments.get(PRODUCTION)?.revision;
      const changes = ledger.changesAfter(PRODUCTION, 0);
      expect(changes).toHaveLength(revision ?? -1);
      const founding = ledger.audit({ before: 8, limit: 10, environments: null });
      expect(verification.entries - founding.length).toBe(revision);
      folder.close();
    }
    expect(acknowledged.length).toBeGreaterThan(20);
  });
});

describe("R12 a crash between commit and answer", () => {
  it("leaves the answer for whoever asks again with the same key, and one change", async () => {
    folder.open();
    folder.close();
    expect(await run("respond", 0)).toEqual({ lines: [], signal: "SIGKILL" });
    const { ledger } = folder.open();
    const again = ledger.execute(createFlag("once"), actor(), {
      key: "k",
      digest: "d",
      respond: () => ({ status: 500, body: "another answer", headers: {} }),
    });
    expect(again).toMatchObject({ ok: true, commits: [], replayed: { status: 201, body: '{"key":"once"}' } });
    expect(ledger.state.environments.get(PRODUCTION)?.revision).toBe(1);
  });
});

/**
 * The data folder as kill -9 would leave it, taken at each call: what was written is in the page cache, which outlives the
 * process, and locks do not. Cheap enough to be done at every statement; a real kill or two keep it honest.
 */
function takeRemains() {
  const remains: string[] = [];
  return {
    remains,
    take: (): void => {
      const copy = mkdtempSync(join(tmpdir(), "bunting-remains-"));
      cpSync(folder.path, copy, { recursive: true });
      remains.push(copy);
      copies.push(copy);
    },
  };
}

describe("R38 kill -9 during a migration", () => {
  const migrations = [...MIGRATIONS, NEXT_MIGRATION];

  it("leaves, at every statement, a database that both versions can start", async () => {
    folder.open().ledger.execute(createFlag("kept"), actor());
    folder.close();
    expect(await run("migrate", 4)).toEqual({ lines: [], signal: "SIGKILL" });
    expect(folder.open().ledger.state.flags.size).toBe(1);
    folder.close();

    const { remains, take } = takeRemains();
    folder.open({ migrations, failpoints: { onMigrationStatement: take } });
    folder.close();
    // BEGIN, the meta row and COMMIT beside the migration's own.
    expect(remains).toHaveLength(3 + NEXT_MIGRATION.statements.length);
    for (const dataDir of remains) {
      expect(folder.open({ dataDir }).ledger.state.flags.size).toBe(1);
      folder.close();
      expect(folder.open({ dataDir, migrations }).ledger.state.flags.size).toBe(1);
      folder.close();
    }
  });

  it("leaves, at any statement or commit of the first start, a folder in which the next start is the first", async () => {
    const { remains, take } = takeRemains();
    expect(await run("migrate", 9)).toEqual({ lines: [], signal: "SIGKILL" });
    take();
    folder.open({ failpoints: { onMigrationStatement: take, afterCommit: take } });
    folder.close();
    expect(remains).toHaveLength(1 + 3 + MIGRATIONS.flatMap(({ statements }) => statements).length + 7);
    for (const dataDir of remains) {
      const { ledger, firstRun } = folder.open({ dataDir });
      expect(firstRun).not.toBeNull();
      expect(JSON.parse(readFileSync(join(dataDir, "first-run.json"), "utf8"))).toEqual(firstRun);
      expect([...ledger.state.environments.keys()]).toEqual(["production", "staging", "development"]);
      expect(ledger.state.tokens.size).toBe(4);
      expect(ledger.verify().intact).toBe(true);
      folder.close();
    }
  });
});
