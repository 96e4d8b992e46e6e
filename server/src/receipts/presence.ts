/*
 * During which revisions a session had a socket. A receipt asks "was it connected when revision r was committed?"; keeping
 * the members of each of 256 receipts instead would cost a set of ten thousand entries per revision.
 */

/**
 * Pairs of (head when it connected, head when it left); the last pair is open, with Infinity, while it is connected. No two
 * pairs are without a commit between them, so there are never more than receipts.
 */
export type Presence = readonly number[];

export function join(presence: Presence, head: number): Presence {
  const left = presence.at(-1);
  if (left === undefined) return [head, Infinity];
  if (left === Infinity) return presence;
  // Nothing was committed while it was away: as if it had not been.
  if (left === head) return [...presence.slice(0, -1), Infinity];
  return [...presence, head, Infinity];
}

export function leave(presence: Presence, head: number): Presence {
  return presence.at(-1) === Infinity ? [...presence.slice(0, -1), head] : presence;
}

/** Forgets what no receipt can ask about any more. */
export function forgetBefore(presence: Presence, revision: number): Presence {
  const first = presence.findIndex((bound, index) => index % 2 === 1 && bound >= revision);
  return first <= 1 ? presence : presence.slice(first - 1);
}

export function wasPresent(presence: Presence, revision: number): boolean {
  for (let index = 0; index + 1 < presence.length; index += 2) {
    const joined = presence[index] ?? Infinity;
    const left = presence[index + 1] ?? 0;
    if (joined < revision && revision <= left) return true;
  }
  return false;
}
