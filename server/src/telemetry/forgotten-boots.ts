import { MINUTE_MS, OLDEST_BATCH_MS } from "./merge.ts";
import { RETENTION } from "./schema.ts";

/** And the time that a batch was on its way. */
const LIFE_OF_BATCH_MS = OLDEST_BATCH_MS + MINUTE_MS;

/**
 * Which boots may be forgotten. A batch that comes again after its boot was forgotten is counted twice, and batches live an hour
 * by a clock that nobody sets. So a boot must have been silent for its time by the wall clock as it is now, and as it was at least
 * that hour ago: if it was the clock that moved, whoever still sends has been heard in between, or his batch is dead.
 */
export class ForgottenBoots {
  /** Unix ms. */
  #agreed = -Infinity;
  #proposed = -Infinity;
  /** Monotonic ms. */
  #proposedAt = -Infinity;

  /** Unix ms before which a boot must have been heard last. Both clocks, now. */
  before(now: number, monotonic: number): number {
    const before = now - RETENTION.bootMs;
    if (monotonic - this.#proposedAt > LIFE_OF_BATCH_MS) {
      this.#agreed = this.#proposed;
      this.#proposed = before;
      this.#proposedAt = monotonic;
    }
    return Math.min(this.#agreed, before);
  }
}
