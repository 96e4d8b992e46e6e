import { LIMITS } from "@bunting/contracts/literals";

/*
 * When a delivery is tried again. Pure.
 *
 * Twelve tries within a day: five seconds after the first failure, then two and a half times as long after each, up to
 * thirteen hours. Jitter takes up to a fifth away, so that what failed together does not come back together, and the sum
 * stays below 24 hours.
 */

const FIRST_DELAY_MS = 5_000;
const FACTOR = 2.5;
const JITTER_RATE = 0.2;

/** Above every delay: a next try that is further away was written under another clock. */
export const LONGEST_DELAY_MS = FIRST_DELAY_MS * FACTOR ** (LIMITS.deliveryTries - 2);

/**
 * From the end of a failed try to the next one; null after the last.
 *
 * @param tryCount how many there have been, 1 or more
 * @param random in [0, 1)
 */
export function retryDelayMs(tryCount: number, random: number): number | null {
  if (tryCount >= LIMITS.deliveryTries) return null;
  return Math.round(FIRST_DELAY_MS * FACTOR ** (tryCount - 1) * (1 - JITTER_RATE * random));
}
