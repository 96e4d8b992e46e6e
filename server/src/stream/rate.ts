/*
 * Limits on how often one connection may do something. Each is a few numbers and takes the time as an argument, so ten
 * thousand of them cost nothing while nobody speaks.
 */

/** At most `limit` events in each second, counted from the first. */
export interface SecondWindow {
  startedAt: number;
  count: number;
}

/** Counts one event; false if it is one too many. */
export function countInSecond(window: SecondWindow, limit: number, now: number): boolean {
  if (now - window.startedAt >= 1_000) {
    window.startedAt = now;
    window.count = 0;
  }
  window.count += 1;
  return window.count <= limit;
}

/** One event per interval on average, and up to `capacity` at once after a quiet time. */
export interface Bucket {
  tokens: number;
  filledAt: number;
}

/** Takes a token and returns 0, or returns the ms until there will be one. */
export function takeToken(bucket: Bucket, capacity: number, intervalMs: number, now: number): number {
  const filled = Math.min(capacity, bucket.tokens + (now - bucket.filledAt) / intervalMs);
  bucket.filledAt = now;
  bucket.tokens = filled >= 1 ? filled - 1 : filled;
  return filled >= 1 ? 0 : Math.ceil((1 - filled) * intervalMs);
}
