import { chmodSync, rmSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { AuditVerification } from "@bunting/contracts";
import Database from "better-sqlite3";
import type { BackupContents } from "../../ledger/ledger.ts";
import { renameDurably, syncFile } from "../durable-file.ts";
import { StorageError } from "../store.ts";
import { readEnvironment } from "./documents.ts";
import { guard } from "./guard.ts";
import { type Meta, readMeta } from "./meta.ts";
import { Queries } from "./queries.ts";
import { verifyDatabase } from "./verify.ts";

/**
 * Copies a live database. The copy gets its name only after it is on the disk and has been read back whole: checksums,
 * digest and audit chain. Anything less is a file, not a backup.
 */
export async function backUp(database: Database.Database, file: string): Promise<BackupContents> {
  const temporary = `${file}.tmp`;
  removeDatabase(temporary);
  try {
    await database.backup(temporary);
    const contents = await proveBackup(temporary);
    chmodSync(temporary, 0o600);
    syncFile(temporary);
    renameDurably(temporary, file);
    return contents;
  } catch (error) {
    return guard(() => {
      throw error;
    });
  } finally {
    removeDatabase(temporary);
  }
}

/** The same before a migration, when nothing else runs yet. Only copied: what it holds is of another schema. */
export function backUpAtRest(database: Database.Database, file: string): void {
  const temporary = `${file}.tmp`;
  removeDatabase(temporary);
  database.prepare("VACUUM INTO ?").run(temporary);
  chmodSync(temporary, 0o600);
  syncFile(temporary);
  renameDurably(temporary, file);
}

async function proveBackup(file: string): Promise<BackupContents> {
  const copy = new Database(file, { fileMustExist: true });
  try {
    // One file without a log beside it, which can be copied and sent; the server switches it back to WAL.
    copy.pragma("journal_mode = DELETE");
    const read = readMeta(copy);
    if (read.found !== "meta") throw new StorageError("damaged", "The copy has no meta row.");
    const queries = new Queries(copy);
    const { intact, brokenAt, damagedRows } = await verifyInSteps(queries, read.meta);
    const { epoch, chain } = read.meta;
    if (intact) return { epoch, revisions: revisionsOf(queries), auditEntries: chain.count, auditHead: chain.hash };
    const where = damagedRows[0] ? `row ${damagedRows[0].key} of ${damagedRows[0].table}` : `audit entry ${brokenAt}`;
    throw new StorageError("damaged", `The copy does not verify at ${where}.`);
  } finally {
    copy.close();
  }
}

function revisionsOf(queries: Queries): BackupContents["revisions"] {
  const rows = queries.all(queries.build.selectFrom("environment").select(["key", "content"]).orderBy("key"));
  const environments = rows.map(({ key, content }) => ({ key, ...readEnvironment(content) }));
  const living = environments.filter(({ archivedAt }) => archivedAt === null);
  return Object.fromEntries(living.map(({ key, revision }) => [key, revision]));
}

/** The live server goes on between the steps. */
async function verifyInSteps(queries: Queries, meta: Meta): Promise<AuditVerification> {
  const steps = verifyDatabase(queries, () => meta);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    await setImmediate();
  }
}

function removeDatabase(file: string): void {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(file + suffix, { force: true });
}
