import { closeSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import Database from "better-sqlite3";
import { StartupError } from "../../startup-error.ts";

/** Below this, a reset of the WAL could corrupt the file. */
const OLDEST_SQLITE = [3, 51, 3] as const;
/** How long another process may still hold the file while it is shutting down. */
const LOCK_WAIT_MS = 1_000;

/**
 * Opens the file for one process, durably. Every setting is made at every open and read back where being wrong would lose
 * data: better-sqlite3 compiles in NORMAL for WAL, so `synchronous` reads FULL after the first switch to WAL and NORMAL when
 * the file is opened again.
 *
 * @param onStatement called before each statement from then on; for tests
 */
export function openDatabase(file: string, onStatement?: () => void): Database.Database {
  refuseCrashingAddon();
  const database = openFile(file, onStatement);
  try {
    refuseOldSqlite(database);
    // Before the switch to WAL: then there is no shared-memory file, and a second opener is told SQLITE_BUSY.
    database.pragma("locking_mode = EXCLUSIVE");
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma("fullfsync = ON");
    database.pragma("checkpoint_fullfsync = ON");
    database.pragma("foreign_keys = ON");
    database.pragma("trusted_schema = OFF");
    database.pragma("journal_size_limit = 67108864");
    refuseWeakDurability(database, file);
    // Takes the lock now rather than at the first write.
    database.exec("BEGIN IMMEDIATE; COMMIT");
    // The driver waits by blocking the event loop, and nobody else can hold the lock any more.
    database.pragma("busy_timeout = 0");
    return database;
  } catch (error) {
    database.close();
    throw explainOpening(error, file);
  }
}

function openFile(file: string, onStatement: (() => void) | undefined): Database.Database {
  try {
    createForOwner(file);
    return new Database(file, { timeout: LOCK_WAIT_MS, ...(onStatement && { verbose: onStatement }) });
  } catch (error) {
    throw explainOpening(error, file);
  }
}

/** SQLite would ask the umask. Its log and whatever else it lays beside the file take the mode of the file. */
function createForOwner(file: string): void {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch {
    // It is there already, or cannot be made: then SQLite says why.
  }
}

/** The sentence for whatever kept the file from being opened or read. */
export function explainOpening(error: unknown, file: string): Error {
  if (error instanceof StartupError || !(error instanceof Database.SqliteError)) {
    return error instanceof Error ? error : new Error(String(error));
  }
  const { code } = error;
  if (code.startsWith("SQLITE_BUSY")) {
    return new StartupError(
      "database_locked",
      `Another server is using ${file}. Stop it, or give this one a data folder of its own (BUNTING_DATA_DIR).`,
      error,
    );
  }
  if (code.startsWith("SQLITE_CANTOPEN") || code.startsWith("SQLITE_READONLY")) {
    return new StartupError(
      "data_folder_not_writable",
      `Cannot write ${file} (${error.message}). Give this user the right to write it and its folder.`,
      error,
    );
  }
  if (code.startsWith("SQLITE_FULL")) {
    return new StartupError("disk_full", `The volume of ${file} is full. Free some space and start again.`, error);
  }
  return new StartupError(
    "database_corrupt",
    `${file} is damaged or not a database (${error.message}). Put a backup in its place; docs/operating/storage.md says how.`,
    error,
  );
}

function refuseWeakDurability(database: Database.Database, file: string): void {
  const journal: unknown = database.pragma("journal_mode", { simple: true });
  const synchronous: unknown = database.pragma("synchronous", { simple: true });
  if (journal === "wal" && synchronous === 2) return;
  throw new StartupError(
    "durability_unavailable",
    `${file} cannot be used durably: journal_mode is ${String(journal)} instead of wal, or synchronous is ${String(synchronous)} instead of 2. Keep it on a local disk.`,
  );
}

function refuseOldSqlite(database: Database.Database): void {
  const version = String(database.prepare("SELECT sqlite_version()").pluck().get());
  if (isAtLeast(version.split(".").map(Number), OLDEST_SQLITE)) return;
  throw new StartupError(
    "sqlite_unsupported",
    `SQLite ${version} can corrupt its log; ${OLDEST_SQLITE.join(".")} or newer is needed. Reinstall the dependencies.`,
  );
}

function isAtLeast(version: readonly number[], oldest: readonly number[]): boolean {
  for (const [index, least] of oldest.entries()) {
    const part = version[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

/**
 * better-sqlite3 13 is built for Node-API 10 and takes the whole process down, without a message, on an older one. npm never
 * picks it there; pnpm, which ignores a dependency's engines, does.
 */
function refuseCrashingAddon(): void {
  const { version } = createRequire(import.meta.url)("better-sqlite3/package.json") as { version: string };
  if (Number.parseInt(version, 10) < 13 || Number(process.versions.napi) >= 10) return;
  throw new StartupError(
    "sqlite_unsupported",
    `better-sqlite3 ${version} needs Node.js 22.14 or newer; this is ${process.version}. Install with npm, or use a newer Node.js.`,
  );
}
