import type { Clock } from "./ports.ts";

/** Says on the log of the process, in one line, what somebody has to mend: nobody reads `status()` at night. */
export interface Warnings {
  /** @param problem What makes it the same again, whatever the sentence. */
  tell(problem: string, sentence: string): void;
}

/** A problem that lasts is said again after this, for logs are rotated. */
const AGAIN_MS = 60 * 60_000;
/** Different ones within that time: a ruleset full of faults must not flood a log. */
const MOST = 20;
const LONGEST = 500;

/** @param print null: nothing is said. What it throws is dropped: a log that fails must not stop flags. */
export function createWarnings(print: ((line: string) => void) | null, clock: Clock): Warnings {
  const told = new Map<string, number>();
  return {
    tell(problem, sentence) {
      if (print === null) return;
      const now = clock.monotonic();
      for (const [before, at] of told) if (now - at >= AGAIN_MS) told.delete(before);
      if (told.has(problem) || told.size >= MOST) return;
      told.set(problem, now);
      try {
        print(`Bunting: ${inOneLine(sentence)}`);
      } catch {
        // Said above.
      }
    },
  };
}

/** Overrides are quoted in it, and a log's line must not be made by whoever writes them. */
function inOneLine(sentence: string): string {
  return sentence.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ").slice(0, LONGEST);
}
