import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { toInstant } from "../platform/instant.ts";
import { StartupError } from "../startup-error.ts";
import { MIGRATIONS } from "../store/migrations/index.ts";
import type { Migration } from "../store/migrations/migration.ts";
import { NEXT_MIGRATION } from "../store/migrations/next-migration-fixture.ts";
import { readMeta, writeMeta } from "../store/sqlite/meta.ts";
import { openDatabase } from "../store/sqlite/open-database.ts";
import { Authenticator } from "../tokens/authenticator.ts";
import { actor, createFlag, PRODUCTION, patchOf, TestFolder } from "./ledger-fixture.ts";

const random = createSeededRandom(10);
let time = createFakeTime();
let folder: TestFolder;
beforeEach(() => {
  time = createFakeTime();
  folder = new TestFolder({ time, random });
});
afterEach(() => {
  folder.remove();
  for (const other of others.splice(0)) other.remove();
});

/** Further folders of the test. */
const others: TestFolder[] = [];
function anotherFolder(): TestFolder {
  const other = new TestFolder({ time, random });
  others.push(other);
  return other;
}

function startupError(open: () => unknown): StartupError {
  try {
    open();
  } catch (error) {
    if (error instanceof StartupError) return error;
    throw error;
  }
  throw new Error("It started.");
}

describe("the first start", () => {
  it("makes environments and live tokens, and writes the tokens down for their owner alone", () => {
    const { ledger, firstRun } = folder.open();
    expect([...ledger.state.environments.keys()]).toEqual(["production", "staging", "development"]);
    expect(JSON.parse(readFileSync(folder.file("first-run.json"), "utf8"))).toEqual(firstRun);
    for (const file of ["first-run.json", "bunting.db", "bunting.db-wal", "head.json", "ballast"]) {
      expect([file, statSync(folder.file(file)).mode & 0o777]).toEqual([file, 0o600]);
    }

    const authenticator = new Authenticator({
      clock: time.clock,
      pepper: null,
      state: () => ledger.state,
      touch: () => undefined,
    });
    const kinds = [firstRun?.adminToken, ...Object.values(firstRun?.sdkTokens ?? {})].map((text) => {
      const answer = authenticator.authenticate(text ?? null, "192.0.2.1", "r");
      return answer.ok ? [answer.actor.kind, answer.actor.environments] : answer;
    });
    expect(kinds).toEqual([
      ["admin", null],
      ["server", ["production"]],
      ["server", ["staging"]],
      ["server", ["development"]],
    ]);
  });

  it("is one only: the second start shows nothing and keeps everything", () => {
    const first = folder.open();
    const { epoch, tokens } = first.ledger.state;
    folder.close();
    const { ledger, firstRun } = folder.open();
    expect(firstRun).toBeNull();
    expect(ledger.state.epoch).toBe(epoch);
    expect([...ledger.state.tokens.keys()].sort()).toEqual([...tokens.keys()].sort());
  });

  it("begins anew when it was interrupted before there was a database", () => {
    writeFileSync(folder.file("bunting.db.founding"), "half");
    writeFileSync(folder.file("first-run.json"), "{}");
    expect(folder.open().firstRun).not.toBeNull();
    expect(existsSync(folder.file("bunting.db.founding"))).toBe(false);
  });

  it("makes the data folder if there is none, for its owner alone", () => {
    const dataDir = folder.file("deep/er");
    folder.open({ dataDir });
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  });
});

describe("R31 the database is opened durably, each time", () => {
  it("has synchronous=FULL and WAL also when it is opened again", () => {
    folder.open();
    folder.close();
    const database = openDatabase(folder.file("bunting.db"));
    expect(database.pragma("synchronous", { simple: true })).toBe(2);
    expect(database.pragma("journal_mode", { simple: true })).toBe("wal");
    expect(database.pragma("locking_mode", { simple: true })).toBe("exclusive");
    expect(database.pragma("foreign_keys", { simple: true })).toBe(1);
    expect(database.pragma("trusted_schema", { simple: true })).toBe(0);
    database.close();
  });
});

describe("the server does not start, and says in a sentence why", () => {
  const use = (): void => {
    folder.open().ledger.execute(createFlag("redis"), actor());
    folder.close();
  };
  const cases: [string, () => void, StartupError["code"]][] = [
    ["when the database has gone", () => rmSync(folder.file("bunting.db")), "database_missing"],
    ["when the database has zero bytes", () => truncateSync(folder.file("bunting.db"), 0), "database_empty"],
    [
      "when the database is garbage",
      () => writeFileSync(folder.file("bunting.db"), "garbage ".repeat(2000)),
      "database_corrupt",
    ],
    ["when the database is cut short", () => truncateSync(folder.file("bunting.db"), 8192), "database_corrupt"],
    [
      "when the database is somebody else's",
      () => replaceWith((database) => database.exec("CREATE TABLE songs (name TEXT)")),
      "database_foreign",
    ],
    [
      "when the database has no tables",
      () => replaceWith((database) => database.exec("CREATE TABLE t (a); DROP TABLE t")),
      "database_empty",
    ],
    ["when the meta row is missing", () => alter("DELETE FROM meta"), "database_corrupt"],
    [
      "when the meta row is damaged",
      () => alter(`UPDATE meta SET content = replace(content, 'schema":${MIGRATIONS.length}', 'schema":9')`),
      "database_corrupt",
    ],
  ];

  function replaceWith(fill: (database: Database.Database) => void): void {
    rmSync(folder.file("bunting.db"));
    const database = new Database(folder.file("bunting.db"));
    fill(database);
    database.close();
  }
  function alter(sql: string): void {
    const database = new Database(folder.file("bunting.db"));
    database.exec(sql);
    database.close();
  }

  it.each(cases)("%s", (_, damage, code) => {
    use();
    damage();
    const error = startupError(() => folder.open());
    expect(error.code).toBe(code);
    expect(error.message).toContain(folder.path);
    expect(error.message.split("\n")).toHaveLength(1);
    // Never "no flags": what could not be read is still there to be looked at.
    expect(existsSync(folder.file("head.json"))).toBe(true);
  });

  it("when another server has the database", () => {
    folder.open();
    const second = anotherFolder();
    expect(startupError(() => second.open({ dataDir: folder.path })).code).toBe("database_locked");
  });

  it("when the data folder is a file", () => {
    writeFileSync(folder.file("a-file"), "");
    expect(startupError(() => folder.open({ dataDir: folder.file("a-file") })).code).toBe("data_folder_not_writable");
  });

  it.skipIf(process.getuid?.() === 0)(
    "when the data folder cannot be written (skipped as root, who may write anything)",
    () => {
      mkdirSync(folder.file("locked"));
      chmodSync(folder.file("locked"), 0o500);
      expect(startupError(() => folder.open({ dataDir: folder.file("locked") })).code).toBe("data_folder_not_writable");
    },
  );

  it("when the database was written by a newer version, naming both", () => {
    const newer: Migration = { version: 7, name: "future", statements: ["CREATE TABLE future (a TEXT) STRICT"] };
    folder.open({ migrations: [...MIGRATIONS, newer] });
    folder.close();
    const error = startupError(() => folder.open());
    expect(error.code).toBe("database_newer");
    expect(error.message).toContain("schema 7");
    expect(error.message).toContain(`up to ${MIGRATIONS.length}`);
  });
});

describe("R38 migrations", () => {
  const next = NEXT_MIGRATION;

  it("keep every document and leave a copy of the database as it was", () => {
    const { ledger } = folder.open();
    ledger.execute(createFlag("redis"), actor());
    const before = ledger.state;
    folder.close();
    const after = folder.open({ migrations: [...MIGRATIONS, next] }).ledger.state;
    expect([...after.flags]).toEqual([...before.flags]);
    expect(after.epoch).toBe(before.epoch);
    folder.close();

    const copy = folder.file(`before-schema-${next.version}.db`);
    copyFileSync(copy, folder.file("bunting.db"));
    expect([...folder.open().ledger.state.flags]).toEqual([...before.flags]);
  });

  it("leave the database as it was when a statement fails", () => {
    folder.open().ledger.execute(createFlag("redis"), actor());
    folder.close();
    const broken: Migration = { ...next, statements: [...next.statements, "CREATE TABLE added (a TEXT)"] };
    const error = startupError(() => folder.open({ migrations: [...MIGRATIONS, broken] }));
    expect(error.code).toBe("migration_failed");
    expect(folder.open().ledger.state.flags.size).toBe(1);
    folder.close();
    expect(folder.open({ migrations: [...MIGRATIONS, next] }).ledger.state.flags.size).toBe(1);
  });
});

describe("a server that compiles rulesets otherwise than the one before", () => {
  it("sends every entry anew, as one revision, in the same epoch, once", () => {
    const first = folder.open().ledger;
    first.execute(createFlag("redis"), actor());
    const { epoch } = first.state;
    folder.close();
    const database = openDatabase(folder.file("bunting.db"));
    const read = readMeta(database);
    if (read.found !== "meta") throw new Error("A meta row was expected.");
    // As an older server leaves it: another format, and so another checksum.
    writeMeta(database, { ...read.meta, entryFormat: 0 });
    database.close();

    const { ledger } = folder.open();
    expect(ledger.state.epoch).toBe(epoch);
    expect(ledger.changesAfter(PRODUCTION, 1)).toMatchObject([
      { previous: 1, revision: 2, operations: [{ op: "put", key: "redis" }] },
    ]);
    expect(ledger.audit({ before: null, limit: 1, environments: null })).toMatchObject([
      { action: "recompile", revisions: { production: 2, staging: 2, development: 2 } },
    ]);
    folder.close();
    expect(folder.open().ledger.state.environments.get(PRODUCTION)?.revision).toBe(2);
  });
});

describe("R8 R37 an old backup under the server", () => {
  it("begins a new epoch above every revision that was ever seen, audited, with the chain whole", async () => {
    const { ledger } = folder.open();
    ledger.execute(createFlag("redis"), actor());
    await ledger.backup(folder.file("backup.db"));
    for (let percent = 1; percent <= 9; percent++) {
      const split = { on: percent, off: 100 - percent };
      ledger.execute(patchOf("redis", { fallthrough: { split } }), actor());
    }
    const { epoch } = ledger.state;
    expect(ledger.state.environments.get(PRODUCTION)?.revision).toBe(10);
    folder.close();

    copyFileSync(folder.file("backup.db"), folder.file("bunting.db"));
    const restored = folder.open().ledger;
    expect(restored.state.epoch).not.toBe(epoch);
    expect(restored.state.environments.get(PRODUCTION)?.revision).toBe(11);
    expect(restored.changesAfter(PRODUCTION, 10)).toBe("compacted");
    expect(restored.changesAfter(PRODUCTION, 11)).toEqual([]);
    const [entry] = restored.audit({ before: null, limit: 1, environments: null });
    expect(entry).toMatchObject({ action: "new_epoch", before: { epoch }, after: { epoch: restored.state.epoch } });
    expect(restored.verify()).toMatchObject({ intact: true });
    expect(folder.lines).toContainEqual(expect.objectContaining({ level: "error" }));

    const again = restored.state.epoch;
    folder.close();
    expect(folder.open().ledger.state.epoch).toBe(again);
  });

  it("is noticed by its audit when no ruleset differs", async () => {
    const { ledger } = folder.open();
    ledger.execute(createFlag("redis"), actor());
    await ledger.backup(folder.file("backup.db"));
    ledger.execute(
      { type: "patch_flag", flag: "redis" as never, patch: { description: "new" } as never, ifVersion: null },
      actor(),
    );
    const { epoch } = ledger.state;
    folder.close();
    copyFileSync(folder.file("backup.db"), folder.file("bunting.db"));
    expect(folder.open().ledger.state.epoch).not.toBe(epoch);
  });

  /** A folder as kill -9 leaves it: with a log, whose changes follow on those that a backup does not have. */
  async function takeRemains(): Promise<{ remains: TestFolder; epoch: string }> {
    const { ledger } = folder.open();
    for (const key of ["a", "b", "c"]) ledger.execute(createFlag(key), actor());
    await ledger.backup(folder.file("backup.db"));
    folder.close();
    copyFileSync(folder.file("bunting.db"), folder.file("copy.db"));
    const again = folder.open().ledger;
    for (const key of ["d", "e", "f", "g"]) again.execute(createFlag(key), actor());
    folder.close();
    const last = folder.open().ledger;
    last.execute(createFlag("h"), actor());
    const remains = anotherFolder();
    cpSync(folder.path, remains.path, { recursive: true });
    return { remains, epoch: last.state.epoch };
  }

  it("is not mixed with the log of the database before it, which is set aside", async () => {
    const { remains, epoch } = await takeRemains();
    copyFileSync(folder.file("backup.db"), remains.file("bunting.db"));
    const restored = remains.open().ledger;
    expect([...restored.state.flags.keys()].sort()).toEqual(["a", "b", "c"]);
    expect(restored.state.epoch).not.toBe(epoch);
    expect(existsSync(remains.file("bunting.db-wal.set-aside"))).toBe(true);
    expect(remains.lines).toContainEqual(expect.objectContaining({ level: "warn" }));
  });

  it("is refused, with the remedy, where a plain copy of the file lies beside another's log", async () => {
    const { remains } = await takeRemains();
    copyFileSync(folder.file("copy.db"), remains.file("bunting.db"));
    const error = startupError(() => remains.open());
    expect(error.code).toBe("database_corrupt");
    expect(error.message).toContain(`${remains.file("bunting.db-wal")} was that one's log`);

    // The remedy, done.
    for (const file of ["bunting.db", "bunting.db-wal"]) rmSync(remains.file(file), { force: true });
    copyFileSync(folder.file("copy.db"), remains.file("bunting.db"));
    expect([...remains.open().ledger.state.flags.keys()].sort()).toEqual(["a", "b", "c"]);
  });

  it("leaves the log of a server that was killed where it belongs", async () => {
    const { remains, epoch } = await takeRemains();
    const { state } = remains.open().ledger;
    expect(state.flags.size).toBe(8);
    expect(state.epoch).toBe(epoch);
  });

  it("is no new epoch when the newest backup comes back", async () => {
    const { ledger } = folder.open();
    ledger.execute(createFlag("redis"), actor());
    await ledger.backup(folder.file("backup.db"));
    const { epoch } = ledger.state;
    folder.close();
    copyFileSync(folder.file("backup.db"), folder.file("bunting.db"));
    expect(folder.open().ledger.state.epoch).toBe(epoch);
  });

  it("writes the head down at once, and every five seconds while it moves", () => {
    const { ledger } = folder.open();
    const head = () =>
      JSON.parse(readFileSync(folder.file("head.json"), "utf8")) as { environments: { production: unknown } };
    expect(head().environments.production).toMatchObject({ revision: 0 });
    ledger.execute(createFlag("redis"), actor());
    time.advance(4_999);
    expect(head().environments.production).toMatchObject({ revision: 0 });
    time.advance(1);
    expect(head().environments.production).toMatchObject({ revision: 1 });
  });
});

describe("a backup", () => {
  it("is one file that starts as a database, verified, while the ledger goes on", async () => {
    const { ledger } = folder.open();
    ledger.execute(createFlag("a"), actor());
    const backingUp = ledger.backup(folder.file("backup.db"));
    ledger.execute(createFlag("b"), actor());
    await backingUp;
    for (const suffix of ["-wal", "-shm", "-journal", ".tmp"]) {
      expect(existsSync(folder.file(`backup.db${suffix}`))).toBe(false);
    }
    expect(statSync(folder.file("backup.db")).mode & 0o777).toBe(0o600);
    const copy = new Database(folder.file("backup.db"), { readonly: true });
    expect(copy.pragma("integrity_check", { simple: true })).toBe("ok");
    copy.close();
  });
});

describe("tokens in the database", () => {
  it("R40 appear as digests: no secret is in any file but first-run.json", async () => {
    const { ledger, firstRun } = folder.open();
    const outcome = ledger.execute(
      {
        type: "create_token",
        draft: { kind: "viewer", name: "canary", environments: null, roles: [], expiresAt: null },
      },
      actor(),
    );
    if (!outcome.ok || outcome.secret === undefined) throw new Error("A secret was expected.");
    const secrets = [outcome.secret, firstRun?.adminToken ?? "", ...Object.values(firstRun?.sdkTokens ?? {})].map(
      (text) => text.split("_")[3] ?? "",
    );
    const audit = JSON.stringify(ledger.audit({ before: null, limit: 200, environments: null }));
    await ledger.backup(folder.file("backup.db"));
    const files = ["bunting.db", "bunting.db-wal", "head.json", "backup.db"].map((name) =>
      readFileSync(folder.file(name), "latin1"),
    );
    for (const secret of secrets) {
      expect(secret).toHaveLength(49);
      for (const text of [audit, JSON.stringify(folder.lines), ...files]) expect(text).not.toContain(secret);
    }
  });

  it("remember their last use to the minute, outside of any change", () => {
    const { ledger } = folder.open();
    const [id = ""] = ledger.state.tokens.keys();
    const revision = ledger.verify().entries;
    ledger.touchToken(id, time.clock.now());
    const state = ledger.state;
    ledger.touchToken(id, time.clock.now() + 100);
    expect(ledger.state).toBe(state);
    const used = time.clock.now() + 60_000;
    ledger.touchToken(id, used);
    time.advance(60_000);
    expect(ledger.verify().entries).toBe(revision);
    folder.close();
    expect(folder.open().ledger.state.tokens.get(id)?.lastUsedAt).toBe(toInstant(used));
  });
});
