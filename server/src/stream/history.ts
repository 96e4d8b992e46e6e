import type { EnvironmentKey } from "@bunting/contracts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Commit, EnvironmentState } from "../ledger/state.ts";
import {
  areSendable,
  type Block,
  blockBytes,
  ChangeLog,
  frameCommit,
  type LogEntry,
  type LogLimits,
} from "./change-log.ts";
import { type Snapshot, SnapshotFactory } from "./snapshot.ts";

/**
 * What was committed in one environment, in the forms in which it is sent. Frames are shared by everyone who gets them, also
 * by those who are far behind: nothing is ever joined or copied for one client.
 */
export class History {
  readonly #environment: EnvironmentKey;
  readonly #ledger: Pick<Ledger, "state" | "changesAfter">;
  readonly #log: ChangeLog;
  readonly #snapshots = new SnapshotFactory();
  /** Of commits that the ledger still has and the log does not: forgotten with them. */
  readonly #older = new WeakMap<Commit, LogEntry>();
  #checksum: string;
  #snapshot: Snapshot | null = null;

  constructor(environment: EnvironmentState, ledger: Pick<Ledger, "state" | "changesAfter">, limits: LogLimits) {
    this.#environment = environment.key;
    this.#ledger = ledger;
    this.#log = new ChangeLog(environment.revision, limits);
    this.#checksum = environment.checksum;
  }

  get epoch(): string {
    return this.#ledger.state.epoch;
  }

  get head(): number {
    return this.#log.head;
  }

  /** Of the ruleset at the head. */
  get checksum(): string {
    return this.#checksum;
  }

  /** The oldest position that frames in memory can continue from. */
  get base(): number {
    return this.#log.base;
  }

  /** Commits kept as ready frames. */
  get length(): number {
    return this.#log.length;
  }

  append(commit: Commit, at: number): LogEntry {
    const entry = framed(commit, at);
    this.#log.append(entry);
    this.#checksum = commit.checksum;
    return entry;
  }

  /** Everything after a revision, or null if no log reaches back so far or one of the patches is too large to be sent. */
  delta(revision: number): readonly Block[] | null {
    if (revision < 0 || revision > this.head) return null;
    const entries = this.#log.since(revision) ?? this.#fromLedger(revision);
    return entries && areSendable(entries) ? entries : null;
  }

  /** Compared with the snapshot that was made last: making one for each comparison would cost more than it saves. */
  isCheaper(delta: readonly Block[]): boolean {
    return blockBytes(delta) <= (this.#snapshot ?? this.snapshot()).bytes;
  }

  /** Of the head. */
  snapshot(): Snapshot {
    const { epoch, environments } = this.#ledger.state;
    const state = environments.get(this.#environment);
    if (!state) throw new Error(`The environment ${this.#environment} is gone.`);
    if (this.#snapshot?.revision !== state.revision || this.#snapshot.epoch !== epoch) {
      this.#snapshot = this.#snapshots.make(epoch, state);
    }
    return this.#snapshot;
  }

  prune(upTo: number, now: number): void {
    this.#log.prune(upTo, now);
  }

  /** A new epoch began. */
  rewritten(): void {
    const state = this.#ledger.state.environments.get(this.#environment);
    this.#snapshot = null;
    this.#log.reset(state?.revision ?? 0);
    this.#checksum = state?.checksum ?? "000000000000";
  }

  #fromLedger(revision: number): readonly LogEntry[] | null {
    const commits = this.#ledger.changesAfter(this.#environment, revision);
    if (commits === "compacted") return null;
    return commits.map((commit) => {
      const known = this.#older.get(commit);
      if (known) return known;
      const entry = framed(commit, 0);
      this.#older.set(commit, entry);
      return entry;
    });
  }
}

function framed(commit: Commit, at: number): LogEntry {
  return { previous: commit.previous, reaches: commit.revision, frame: frameCommit(commit), at };
}
