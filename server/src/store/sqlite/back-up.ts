import { rmSync } from "node:fs";
import Database from "better-sqlite3";
import { renameDurably, syncFile } from "../durable-file.ts";
import { StorageError } from "../store.ts";
import { loadLedger } from "./load.ts";
import { readMeta } from "./meta.ts";
import { Queries } from "./queries.ts";
import { verifyDatabase } from "./verify.ts";

/**
 * Copies a live database. The copy gets its name only after it is on the disk and has been read back whole: checksums, digest,
 * rulesets and audit chain. Anything less is a file, not a backup.
 */
export async function backUp(database: Database.Database, file: string): Promise<void> {
  const temporary = `${file}.tmp`;
  removeDatabase(temporary);
  try {
    await database.backup(temporary);
    proveBackup(temporary);
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
  syncFile(temporary);
  renameDurably(temporary, file);
}

function proveBackup(file: string): void {
  const copy = new Database(file, { fileMustExist: true });
  try {
    // One file without a log beside it, which can be copied and sent; the server switches it back to WAL.
    copy.pragma("journal_mode = DELETE");
    const read = readMeta(copy);
    if (read.found !== "meta") throw new StorageError("damaged", "The copy has no meta row.");
    const queries = new Queries(copy);
    loadLedger(queries, read.meta);
    const { intact, brokenAt } = verifyDatabase(queries, read.meta);
    if (!intact) throw new StorageError("damaged", `The copy does not verify; its audit breaks at ${brokenAt}.`);
  } finally {
    copy.close();
  }
}

function removeDatabase(file: string): void {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(file + suffix, { force: true });
}
