import { chmodSync, rmSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { AuditVerification } from "@bunting/contracts";
import Database from "better-sqlite3";
import { renameDurably, syncFile } from "../durable-file.ts";
import { StorageError } from "../store.ts";
import { type Meta, readMeta } from "./meta.ts";
import { Queries } from "./queries.ts";
import { verifyDatabase } from "./verify.ts";

/**
 * Copies a live database. The copy gets its name only after it is on the disk and has been read back whole: checksums,
 * digest and audit chain. Anything less is a file, not a backup.
 */
export async function backUp(database: Database.Database, file: string): Promise<void> {
  const temporary = `${file}.tmp`;
  removeDatabase(temporary);
  try {
    await database.backup(temporary);
    await proveBackup(temporary);
    chmodSync(temporary, 0o600);
    syncFile(temporary);
    renameDurably(temporary, file);
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

async function proveBackup(file: string): Promise<void> {
  const copy = new Database(file, { fileMustExist: true });
  try {
    // One file without a log beside it, which can be copied and sent; the server switches it back to WAL.
    copy.pragma("journal_mode = DELETE");
    const read = readMeta(copy);
    if (read.found !== "meta") throw new StorageError("damaged", "The copy has no meta row.");
    const { intact, brokenAt, damagedRows } = await verifyInSteps(new Queries(copy), read.meta);
    if (intact) return;
    const where = damagedRows[0] ? `row ${damagedRows[0].key} of ${damagedRows[0].table}` : `audit entry ${brokenAt}`;
    throw new StorageError("damaged", `The copy does not verify at ${where}.`);
  } finally {
    copy.close();
  }
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
