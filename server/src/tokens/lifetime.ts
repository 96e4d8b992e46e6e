import type { StoredToken } from "../ledger/state.ts";

/** Whether the token is neither revoked nor expired. `now` is an instant. */
export function isLive(token: StoredToken, now: string): boolean {
  return token.revokedAt === null && (token.expiresAt === null || isBefore(now, token.expiresAt));
}

/** Instants in UTC are ordered as text once the `Z` is off, with or without a fraction. */
export function isBefore(earlier: string, later: string): boolean {
  return earlier.replace("Z", "") < later.replace("Z", "");
}
