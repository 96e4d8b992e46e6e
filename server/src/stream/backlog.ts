import type { Welcome } from "@bunting/contracts";

/*
 * Who holds what, and therefore gets what. Data in, data out: the shell that writes to sockets is channel.ts.
 */

/** What a client says it holds; null where it says nothing or nothing that makes sense. */
export type Claim = { readonly epoch: string; readonly revision: number } | null;

export interface LogRange {
  readonly epoch: string;
  /** The oldest position the log can continue from. At most `head`. */
  readonly base: number;
  readonly head: number;
}

export type Placement =
  | { readonly mode: Welcome["mode"]; readonly reason: Welcome["reason"] }
  /** The client holds a revision of this epoch that this server does not know. */
  | { readonly mode: "ahead" };

/**
 * What a position gets. A range test, never a search for the literal revision: the log may have been cut anywhere. Whether
 * a delta would be larger than the snapshot is asked only where a delta is possible.
 */
export function placeClaim(claim: Claim, range: LogRange, deltaIsCheaper: () => boolean): Placement {
  if (claim === null) return { mode: "snapshot", reason: "first" };
  if (claim.epoch !== range.epoch) return { mode: "snapshot", reason: "epoch" };
  if (claim.revision > range.head) return { mode: "ahead" };
  if (claim.revision === range.head) return { mode: "none", reason: "current" };
  if (claim.revision < range.base) return { mode: "snapshot", reason: "compacted" };
  return deltaIsCheaper() ? { mode: "delta", reason: "behind" } : { mode: "snapshot", reason: "cheaper" };
}

/** Reads a position from a query or an ETag. Anything that makes no sense is no position: the client gets a snapshot. */
export function parseClaim(epoch: string | undefined, revision: string | undefined): Claim {
  if (epoch === undefined || revision === undefined || epoch.length === 0 || epoch.length > 64) return null;
  if (!/^(0|[1-9][0-9]{0,15})$/.test(revision)) return null;
  const number = Number(revision);
  return Number.isSafeInteger(number) ? { epoch, revision: number } : null;
}

/** An ack counts only forward, and only for what was sent. Equal ones are ordinary answers to heartbeats. */
export function judgeAck(revision: number, acknowledged: number, sent: number): "accepted" | "repeated" | "ignored" {
  if (revision === acknowledged) return "repeated";
  return acknowledged < revision && revision <= sent ? "accepted" : "ignored";
}

/** How long clients hold their acks, so that ten thousand of them do not arrive while a broadcast is still being written. */
export function ackHoldMs(connectionCount: number, minimumMs: number, maximumMs: number): number {
  return Math.min(maximumMs, Math.max(minimumMs, Math.round(connectionCount / 50)));
}

/** How much of the log may go: what every session has acknowledged, less a margin for clients without a session. */
export function prunableRevision(acknowledged: Iterable<number>, head: number, margin: number): number {
  let lowest = head;
  for (const revision of acknowledged) if (revision < lowest) lowest = revision;
  return Math.max(0, Math.min(lowest, head - margin));
}
