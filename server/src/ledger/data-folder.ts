import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { StartupError } from "../startup-error.ts";
import { renameDurably, writeNewFile } from "../store/durable-file.ts";

/** What lies in `BUNTING_DATA_DIR`; docs/operating/storage.md describes each. */
export interface DataFolder {
  readonly path: string;
  readonly database: string;
  /** A database that is being founded: not one yet. */
  readonly founding: string;
  readonly head: string;
  readonly firstRun: string;
  readonly ballast: string;
  /** Where a migration leaves the database as it was. */
  readonly backupBefore: (schema: number) => string;
}

/** Makes sure of the folder: it exists, can be written, and is on a disk of this machine. */
export function openDataFolder(path: string): DataFolder {
  try {
    makeFolder(path);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    const probe = join(path, ".probe");
    rmSync(probe, { force: true });
    writeNewFile(probe, "");
    rmSync(probe);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") {
      throw new StartupError("disk_full", `The volume of ${path} is full. Free some space and start again.`, error);
    }
    throw new StartupError(
      "data_folder_not_writable",
      `Cannot write the data folder ${path} (${why}). Give this user the right to, or set BUNTING_DATA_DIR to another folder.`,
      error,
    );
  }
  refuseNetworkFileSystem(path);
  return {
    path,
    database: join(path, "bunting.db"),
    founding: join(path, "bunting.db.founding"),
    head: join(path, "head.json"),
    firstRun: join(path, "first-run.json"),
    ballast: join(path, "ballast"),
    backupBefore: (schema) => join(path, `before-schema-${schema + 1}.db`),
  };
}

/**
 * With its parents. Not `recursive: true`: Node.js then tries for ever where a folder can never be made, as below /proc
 * (seen on 20.20).
 */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/**
 * Whether this is a folder's first start. Only if nothing says that a database has been here: a server that starts empty
 * because its file went missing would tell every SDK that there are no flags.
 */
export function isFirstStart({ database, head, path }: DataFolder): boolean {
  if (existsSync(database)) {
    if (statSync(database).size > 0) return false;
    throw new StartupError(
      "database_empty",
      `${database} has zero bytes: its contents are lost. Put a backup in its place.`,
    );
  }
  if (!existsSync(head) && !existsSync(`${database}-wal`)) return true;
  throw new StartupError(
    "database_missing",
    `${path} has been in use, but ${database} is missing. Put it back, or a backup; to begin anew, empty the folder.`,
  );
}

/**
 * A log beside a backup is of the database that lay there before: SQLite would fold it in and ruin both. `Ledger.backup` leaves
 * its copies in rollback mode (1 in byte 18 of the header, where a database of ours in use has 2), and a database in that mode
 * has no log of its own. Gives the new name of a log that was set aside.
 */
export function setForeignLogAside({ database }: DataFolder): string | null {
  const log = `${database}-wal`;
  if (!existsSync(database) || !existsSync(log) || journalModeOf(database) !== ROLLBACK_MODE) return null;
  const aside = `${log}.set-aside`;
  renameDurably(log, aside);
  return aside;
}

const ROLLBACK_MODE = 1;

/** The file format write version (https://www.sqlite.org/fileformat.html, 1.3.2). */
function journalModeOf(database: string): number {
  const descriptor = openSync(database, "r");
  try {
    const header = new Uint8Array(19);
    readSync(descriptor, header);
    return header[18] ?? 0;
  } finally {
    closeSync(descriptor);
  }
}

/** Linux magic numbers of NFS, SMB, CIFS and SMB2: SQLite's locks and WAL do not hold there. */
const NETWORK_FILE_SYSTEMS: ReadonlySet<number> = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42]);

function refuseNetworkFileSystem(path: string): void {
  if (!NETWORK_FILE_SYSTEMS.has(statfsSync(path).type)) return;
  throw new StartupError(
    "network_file_system",
    `${path} is on a network file system, where SQLite can lose data. Set BUNTING_DATA_DIR to a folder on a local disk.`,
  );
}
