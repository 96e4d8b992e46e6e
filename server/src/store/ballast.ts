import { existsSync, rmSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { Random } from "../ports.ts";
import { writeNewFile } from "./durable-file.ts";

const BALLAST_BYTES = 8 * 1024 * 1024;

/**
 * A file that is there to be deleted. On a full disk SQLite can write nothing at all, not even a deletion; dropping this
 * makes room for the kill that somebody needs just then.
 */
export class Ballast {
  readonly #file: string;
  readonly #random: Random;
  readonly #bytes: number;

  constructor(file: string, random: Random, bytes: number = BALLAST_BYTES) {
    this.#file = file;
    this.#random = random;
    this.#bytes = bytes;
  }

  get isAboard(): boolean {
    return existsSync(this.#file);
  }

  /** Writes the file if there is room for twice its size. Random bytes, for zeros may take no space. */
  load(): boolean {
    if (this.isAboard) return true;
    try {
      const { bavail, bsize } = statfsSync(dirname(this.#file));
      if (bavail * bsize < 2 * this.#bytes) return false;
      writeNewFile(this.#file, this.#random.bytes(this.#bytes));
      return true;
    } catch {
      // Somebody else took the room between the question and the answer, or the volume has gone.
      this.drop();
      return false;
    }
  }

  drop(): void {
    rmSync(this.#file, { force: true });
  }
}
