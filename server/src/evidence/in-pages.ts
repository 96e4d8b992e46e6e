import { aTurn } from "../platform/in-turns.ts";
import type { Scheduler } from "../ports.ts";

/** Rows that are read and added up before others have their turn: four intervals of two arms, latencies included, take a few milliseconds. */
export const ROWS_AT_ONCE = 8;

/**
 * Everything that `read` finds, page by page, with a turn of the event loop between two: a day of an attempt is read in seconds,
 * and whoever flips a kill switch meanwhile does not wait for them. Ends with null if something cannot be read.
 */
export async function* inPages<Row>(
  read: (last: Row | null, limit: number) => readonly Row[] | null,
  scheduler: Pick<Scheduler, "soon">,
): AsyncGenerator<readonly Row[] | null> {
  let last: Row | null = null;
  for (;;) {
    const page = read(last, ROWS_AT_ONCE);
    yield page;
    if (page === null || page.length < ROWS_AT_ONCE) return;
    last = page.at(-1) ?? null;
    await aTurn(scheduler);
  }
}
