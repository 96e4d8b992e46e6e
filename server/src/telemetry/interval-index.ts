import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import type { Clock } from "../ports.ts";

/** `floor(Unix ms / EVIDENCE_INTERVAL_MS)`. */
export function intervalOf(unixMs: number): number {
  return Math.floor(unixMs / EVIDENCE_INTERVAL_MS);
}

/**
 * The index of the interval now, which never goes back: what was usable at an index must not change after it. While the
 * wall clock is behind, because somebody set it back or it had jumped ahead, the index goes on at half its speed, until the
 * clock has caught up: evidence then becomes usable late, but does become usable.
 */
export class IntervalIndex {
  readonly #clock: Clock;
  /** Unix ms, never less than before. */
  #time: number;
  #readAt: number;

  /** @param atLeast the highest index that was ever told, as far as is known */
  constructor(clock: Clock, atLeast: number) {
    this.#clock = clock;
    this.#time = atLeast * EVIDENCE_INTERVAL_MS;
    this.#readAt = clock.monotonic();
  }

  now(): number {
    const monotonic = this.#clock.monotonic();
    this.#time = Math.max(this.#clock.now(), this.#time + (monotonic - this.#readAt) / 2);
    this.#readAt = monotonic;
    return intervalOf(this.#time);
  }
}
