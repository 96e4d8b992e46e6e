import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "../ledger/ledger.ts";
import { actor, createFlag, createTestLogger, PRODUCTION, patchOf, TestFolder } from "../ledger/ledger-fixture.ts";
import { StorageError } from "../store/store.ts";
import { type BackupsDeps, createBackups } from "./backups.ts";

let folder: TestFolder;
let time: ReturnType<typeof createFakeTime>;
let ledger: Ledger;
beforeEach(() => {
  time = createFakeTime();
  folder = new TestFolder({ time, random: createSeededRandom(1) });
  ({ ledger } = folder.open());
});
afterEach(() => folder.remove());

/** `backup` in place of the ledger's own, which it may call. */
function backupsOf({ backup, ...differences }: Partial<BackupsDeps> & { readonly backup?: Ledger["backup"] } = {}) {
  return createBackups({
    folder: folder.file("backups"),
    database: folder.file("bunting.db"),
    ledger: {
      execute: (command, by) => ledger.execute(command, by),
      backup: backup ?? ((file) => ledger.backup(file)),
    },
    clock: time.clock,
    logger: createTestLogger().logger,
    diskSpace: () => undefined,
    ...differences,
  });
}

const kept = (): string[] => readdirSync(folder.file("backups")).sort();

async function made(backups: ReturnType<typeof backupsOf>) {
  const outcome = await backups.make(actor());
  if (!outcome.ok) throw new Error(outcome.refusal.detail);
  return outcome.backup;
}

describe("a backup", () => {
  it("is what its answer says: size, SHA-256, revisions and the head of the audit, which names it", async () => {
    ledger.execute(createFlag("a"), actor());
    const backups = backupsOf();
    const backup = await made(backups);
    const bytes = readFileSync(folder.file(`backups/${backup.name}`));
    expect(backup).toMatchObject({
      bytes: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
      epoch: ledger.state.epoch,
      revisions: { production: ledger.state.environments.get(PRODUCTION)?.revision },
    });
    const [entry] = ledger.audit({ before: null, limit: 1, environments: null });
    expect(entry).toMatchObject({ action: "back_up", object: { kind: "database", key: backup.name } });
    expect(backup).toMatchObject({ auditEntries: entry?.number, auditHead: entry?.hash });

    const read = backups.read(backup.name);
    expect(read?.bytes).toBe(bytes.length);
    expect((await buffer(read?.stream ?? Readable.from([]))).equals(bytes)).toBe(true);
  });

  it("says of changes made meanwhile exactly those that are in it", async () => {
    ledger.execute(createFlag("a"), actor());
    let writes = 0;
    const making = made(backupsOf());
    const writing = (async () => {
      for (; writes < 20; writes += 1) {
        ledger.execute(patchOf("a", { fallthrough: { split: { on: writes, off: 100 - writes } } }), actor());
        await new Promise(setImmediate);
      }
    })();
    const [backup] = await Promise.all([making, writing]);
    const copy = new TestFolder({ time, random: createSeededRandom(2) });
    try {
      writeFileSync(copy.file("bunting.db"), readFileSync(folder.file(`backups/${backup.name}`)));
      const { ledger: restored } = copy.open();
      expect(restored.state.environments.get(PRODUCTION)?.revision).toBe(backup.revisions[PRODUCTION]);
      expect(restored.verify()).toMatchObject({ intact: true, entries: backup.auditEntries, head: backup.auditHead });
    } finally {
      copy.remove();
    }
  });

  it("is made one at a time", async () => {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const backup: Ledger["backup"] = async (file) => {
      await gate;
      return ledger.backup(file);
    };
    const backups = backupsOf({ backup });
    const first = backups.make(actor());
    expect(await backups.make(actor())).toMatchObject({ ok: false, refusal: { code: "backup_running" } });
    open();
    expect(await first).toMatchObject({ ok: true });
    expect(await backups.make(actor())).toMatchObject({ ok: true });
  });

  it("is kept until three newer ones are there, also by a clock that stands still or goes back", async () => {
    const backups = backupsOf();
    const names: string[] = [];
    for (let count = 0; count < 5; count += 1) {
      names.push((await made(backups)).name);
      if (count === 3) time.jumpWallClock(-60_000);
    }
    expect([...new Set(names)].sort()).toEqual(names);
    expect(kept()).toEqual(names.slice(2));
    expect(backups.read(names[0] ?? "")).toBeUndefined();
  });

  it("clears away what a killed server left half made, and nothing of anybody else's", async () => {
    mkdirSync(folder.file("backups"));
    for (const name of [
      "bunting-20260101T000000000Z.db.tmp",
      "bunting-20260101T000000000Z.db.tmp-journal",
      "mine.db",
    ]) {
      writeFileSync(folder.file(`backups/${name}`), "x");
    }
    const { name } = await made(backupsOf());
    expect(kept()).toEqual([name, "mine.db"].sort());
  });

  it("is refused where it would fill the disk, and not audited then", async () => {
    const total = 2 ** 40;
    const before = ledger.verify().entries;
    const tight = await backupsOf({ diskSpace: () => ({ free: 32 * 1024 * 1024, total }) }).make(actor());
    expect(tight).toMatchObject({ ok: false, refusal: { code: "storage_full" } });
    expect(ledger.verify().entries).toBe(before);
    const roomy = await backupsOf({ diskSpace: () => ({ free: 64 * 1024 * 1024, total }) }).make(actor());
    expect(roomy).toMatchObject({ ok: true });
  });

  it.each([
    ["backup_failed", new StorageError("damaged", "The copy does not verify at row a of flag.")],
    ["backup_failed", new TypeError("The database connection is not open")],
    ["storage_full", new StorageError("full", "The disk is full.")],
  ])("that fails is refused with %s, and the next may be made", async (code, error) => {
    let isBroken = true;
    const backup: Ledger["backup"] = (file) => (isBroken ? Promise.reject(error) : ledger.backup(file));
    const backups = backupsOf({ backup });
    expect(await backups.make(actor())).toMatchObject({ ok: false, refusal: { code } });
    expect(kept()).toEqual([]);
    isBroken = false;
    expect(await backups.make(actor())).toMatchObject({ ok: true });
  });

  it("is only an admin's of all environments to make, and leaves no trace otherwise", async () => {
    for (const who of [actor("operator"), actor("admin", [PRODUCTION])]) {
      expect(await backupsOf().make(who)).toMatchObject({ ok: false, refusal: { code: "forbidden" } });
    }
    expect(existsSync(folder.file("backups"))).toBe(false);
  });

  it.each(["../bunting.db", "bunting.db", "bunting-20260101T000000000Z.db"])("named %s is not there", (name) => {
    expect(backupsOf().read(name)).toBeUndefined();
  });
});
