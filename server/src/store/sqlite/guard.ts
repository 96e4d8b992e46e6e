import Database from "better-sqlite3";
import { StorageError } from "../store.ts";

/** Turns the driver's errors into ours, and leaves bugs alone. */
export function guard<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    const { code } = error;
    if (code.startsWith("SQLITE_FULL")) throw new StorageError("full", "The disk is full.", error);
    if (code.startsWith("SQLITE_CORRUPT") || code.startsWith("SQLITE_NOTADB")) {
      throw new StorageError("damaged", `The database is damaged: ${error.message}.`, error);
    }
    if (FAILURES.some((prefix) => code.startsWith(prefix))) {
      throw new StorageError("failed", `The disk failed: ${error.message} (${code}).`, error);
    }
    throw error;
  }
}

const FAILURES = ["SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PROTOCOL", "SQLITE_NOLFS"];
