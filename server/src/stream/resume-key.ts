import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Random } from "../ports.ts";

const KEY_BYTES = 32;

/**
 * The key of resume tokens, kept in `<folder>/stream.key` (mode 0600) so that sessions can be continued after a restart.
 * It guards no data: losing it costs every client a new session, and a damaged file is replaced.
 */
export function loadResumeKey(folder: string, random: Random): Uint8Array {
  const file = path.join(folder, "stream.key");
  try {
    const stored = readFileSync(file);
    if (stored.length === KEY_BYTES) return stored;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const key = random.bytes(KEY_BYTES);
  writeFileSync(file, key, { mode: 0o600 });
  return key;
}
