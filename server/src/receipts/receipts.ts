import type { EnvironmentKey, PendingInstance, Receipt } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { toInstant } from "../platform/instant.ts";
import { createLatencyHistogram, type LatencyHistogram } from "./latency-histogram.ts";
import { type Presence, wasPresent } from "./presence.ts";

/** For how many revisions of an environment receipts are kept. */
export const RECEIPTS_KEPT = 256;

/** A session as receipts see it. */
export interface Witness {
  readonly instance: string;
  readonly boot: string;
  readonly sdk: string;
  /** It has applied everything up to this revision. */
  readonly acknowledged: number;
  readonly presence: Presence;
  readonly connected: boolean;
  /** Unix ms. */
  readonly lastSeenAt: number;
}

interface Entry {
  readonly epoch: string;
  readonly revision: number;
  /** Unix ms. */
  readonly committedAt: number;
  /** Monotonic ms: latency is a difference of these. */
  readonly committed: number;
  /** Sessions with a socket at the commit, less those that ended since without applying it. */
  connected: number;
  /** Of them. */
  applied: number;
  late: number;
  latencies: LatencyHistogram | null;
  readonly waiting: Set<() => void>;
}

/**
 * Proof of delivery for the last revisions of one environment. Counters move with each ack, so a receipt of ten thousand
 * sessions costs nothing to keep; only the names of the pending are looked for when somebody asks.
 */
export class Receipts {
  readonly #environment: EnvironmentKey;
  readonly #observe: (latencyMs: number) => void;
  /** In the order of their revisions, without holes. */
  #entries: Entry[] = [];

  constructor(environment: EnvironmentKey, observe: (latencyMs: number) => void = () => {}) {
    this.#environment = environment;
    this.#observe = observe;
  }

  /** The oldest revision a receipt can be asked of; Infinity if there is none. */
  get oldest(): number {
    return this.#entries[0]?.revision ?? Infinity;
  }

  committed(commit: {
    readonly epoch: string;
    readonly revision: number;
    readonly committedAt: number;
    /** Monotonic ms. */
    readonly at: number;
    readonly connected: number;
  }): void {
    const { epoch, revision, committedAt, at: committed, connected } = commit;
    this.#entries.push({
      epoch,
      revision,
      committedAt,
      committed,
      connected,
      applied: 0,
      late: 0,
      latencies: null,
      waiting: new Set(),
    });
    if (this.#entries.length > RECEIPTS_KEPT) release(this.#entries.shift());
  }

  /** A session connected with an older position than the head. Those it was away for are late, not pending. */
  joined(held: number, leftAt: number, head: number): void {
    for (const entry of this.#between(Math.max(held, leftAt), head)) entry.late += 1;
  }

  /** A session that stood at `from` has applied everything up to `to`. `at` is monotonic ms, less the time it held the ack. */
  acknowledged(presence: Presence, from: number, to: number, at: number): void {
    for (const entry of this.#between(from, to)) {
      if (!wasPresent(presence, entry.revision)) continue;
      entry.applied += 1;
      entry.latencies ??= createLatencyHistogram();
      const latencyMs = Math.max(0, at - entry.committed);
      entry.latencies.add(latencyMs);
      this.#observe(latencyMs);
      if (entry.applied === entry.connected) release(entry);
    }
  }

  /** A session is over: nobody waits for it any more. */
  ended(presence: Presence, acknowledged: number): void {
    for (const entry of this.#between(acknowledged, Infinity)) {
      if (!wasPresent(presence, entry.revision)) continue;
      entry.connected -= 1;
      if (entry.applied === entry.connected) release(entry);
    }
  }

  /** Undefined if it is no longer kept, or not yet. */
  find(revision: number, witnesses: Iterable<Witness>): Receipt | undefined {
    const entry = this.#at(revision);
    if (!entry) return undefined;
    const pendingCount = entry.connected - entry.applied;
    return {
      environment: this.#environment,
      epoch: entry.epoch,
      revision,
      committedAt: toInstant(entry.committedAt),
      connected: entry.connected,
      applied: entry.applied,
      pendingCount,
      pending: pendingCount === 0 ? [] : namesOfPending(revision, witnesses),
      late: entry.late,
      latencyMs: entry.latencies?.summary() ?? null,
      complete: pendingCount === 0,
    };
  }

  /** Calls back once, when everyone connected at the commit has applied it or it is no longer kept; at once if so already. */
  whenComplete(revision: number, done: () => void): () => void {
    const entry = this.#at(revision);
    if (!entry || entry.applied === entry.connected) {
      done();
      return () => {};
    }
    entry.waiting.add(done);
    return () => void entry.waiting.delete(done);
  }

  /** History was rewritten: nothing that was proved before holds. */
  clear(): void {
    for (const entry of this.#entries.splice(0)) release(entry);
  }

  #at(revision: number): Entry | undefined {
    const index = revision - this.oldest;
    return index >= 0 ? this.#entries[index] : undefined;
  }

  /** Entries with `after < revision <= upTo`. */
  #between(after: number, upTo: number): readonly Entry[] {
    const oldest = this.oldest;
    if (upTo <= after || oldest === Infinity) return [];
    return this.#entries.slice(Math.max(0, after + 1 - oldest), Math.max(0, upTo + 1 - oldest));
  }
}

function namesOfPending(revision: number, witnesses: Iterable<Witness>): PendingInstance[] {
  const pending: PendingInstance[] = [];
  for (const witness of witnesses) {
    if (witness.acknowledged >= revision || !wasPresent(witness.presence, revision)) continue;
    const { instance, boot, sdk, connected, acknowledged } = witness;
    pending.push({ instance, boot, sdk, connected, acknowledged, lastSeenAt: toInstant(witness.lastSeenAt) });
    if (pending.length === LIMITS.pageSize) break;
  }
  return pending;
}

function release(entry: Entry | undefined): void {
  if (!entry) return;
  const waiting = [...entry.waiting];
  entry.waiting.clear();
  for (const done of waiting) done();
}
