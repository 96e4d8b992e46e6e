import { readFileSync } from "node:fs";

/** Left for the database, the log, ordinary requests and the libraries. */
const RESERVED_FILES = 500;
/** Where the system does not say: what macOS and Windows allow a process without further ado. */
const ASSUMED_FILES = 10_000;

/** How many streams this process can hold before it runs out of file descriptors (RLIMIT_NOFILE, soft). */
export function streamLimitOfProcess(): number {
  const limit = openFileLimit();
  return Math.max(100, limit - RESERVED_FILES);
}

function openFileLimit(): number {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return found ? Number(found[1]) : ASSUMED_FILES;
  } catch {
    return ASSUMED_FILES;
  }
}
