/**
 * Sessions that were changed without the cache being told, because it failed or because the flag was off: a copy in it may
 * be old. Each is read from the database until such a copy has certainly expired. `now` is in ms that never go back.
 */
export interface Suspects {
  add(session: string, now: number): void;
  /** The cache was told after all. */
  clear(session: string): void;
  has(session: string, now: number): boolean;
}

export interface SuspectsOptions {
  /** Time to live of a cached copy. */
  readonly ttlMs: number;
  /** Remembered by name; beyond that, every session is suspect until the copies of that moment have expired. @default 10_000 */
  readonly limit?: number;
}

export function createSuspects({ ttlMs, limit = 10_000 }: SuspectsOptions): Suspects {
  const until = new Map<string, number>(); // In order of insertion, hence of expiry.
  let everyoneUntil = Number.NEGATIVE_INFINITY;

  const forgetExpired = (now: number): void => {
    for (const [session, expiry] of until) {
      if (expiry > now) return;
      until.delete(session);
    }
  };
  return {
    add(session, now) {
      forgetExpired(now);
      until.delete(session);
      if (until.size < limit) until.set(session, now + ttlMs);
      else everyoneUntil = now + ttlMs;
    },
    clear: (session) => void until.delete(session),
    has: (session, now) => now < everyoneUntil || now < (until.get(session) ?? Number.NEGATIVE_INFINITY),
  };
}
