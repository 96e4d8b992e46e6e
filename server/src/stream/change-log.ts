import { LIMITS } from "@bunting/contracts/literals";
import type { Commit } from "../ledger/state.ts";
import { frameLength, textFrame } from "./frame.ts";

/** A frame to be written, and the revision a client stands at once it has it; null for all parts of a snapshot but the last. */
export interface Block {
  readonly frame: Buffer;
  readonly reaches: number | null;
}

/** A commit, framed once for everybody. */
export interface LogEntry {
  readonly previous: number;
  readonly reaches: number;
  /** Null if the patch is too large to be sent: those who need it get the snapshot. */
  readonly frame: Buffer | null;
  /** Monotonic ms. */
  readonly at: number;
}

export interface LogLimits {
  readonly entries: number;
  readonly bytes: number;
  readonly ageMs: number;
}

/**
 * The newest commits of one environment as ready frames. It is a cache of the ledger's log and may be cut anywhere at any
 * time; whoever needs more asks the ledger, or takes the snapshot.
 */
export class ChangeLog {
  readonly #limits: LogLimits;
  #entries: LogEntry[] = [];
  #bytes = 0;
  #head: number;

  constructor(head: number, limits: LogLimits) {
    this.#head = head;
    this.#limits = limits;
  }

  get head(): number {
    return this.#head;
  }

  /** The oldest position that {@link since} can continue from. */
  get base(): number {
    return this.#entries[0]?.previous ?? this.#head;
  }

  get length(): number {
    return this.#entries.length;
  }

  append(entry: LogEntry): void {
    this.#entries.push(entry);
    this.#bytes += entry.frame?.length ?? 0;
    this.#head = entry.reaches;
    this.#trim(entry.at);
  }

  /** Everything after a revision, or null if the log begins later. */
  since(revision: number): readonly LogEntry[] | null {
    return revision < this.base || revision > this.#head ? null : this.#entries.slice(revision - this.base);
  }

  /** Drops entries up to a revision, and those that have become too old. */
  prune(upTo: number, now: number): void {
    this.#drop(upTo - this.base);
    this.#trim(now);
  }

  /** History was rewritten. */
  reset(head: number): void {
    this.#entries = [];
    this.#bytes = 0;
    this.#head = head;
  }

  #trim(now: number): void {
    const { entries, bytes, ageMs } = this.#limits;
    let count = Math.max(0, this.#entries.length - entries);
    let kept = this.#bytes;
    for (const [index, entry] of this.#entries.entries()) {
      if (index >= count && kept <= bytes && now - entry.at <= ageMs) break;
      kept -= entry.frame?.length ?? 0;
      count = Math.max(count, index + 1);
    }
    this.#drop(count);
  }

  #drop(count: number): void {
    if (count <= 0) return;
    for (const entry of this.#entries.splice(0, count)) this.#bytes -= entry.frame?.length ?? 0;
  }
}

/** Frames a commit: as a kill if it is nothing else, as a patch, or not at all if it is too large for one. */
export function frameCommit(commit: Commit): Buffer | null {
  const text = JSON.stringify(messageOf(commit));
  return frameLength(Buffer.byteLength(text)) > LIMITS.patchBytes ? null : textFrame(text);
}

function messageOf(commit: Commit): object {
  const { previous, revision, checksum, kill, operations } = commit;
  return isKill(commit)
    ? { type: "kill", previous, revision, flags: kill, checksum }
    : { type: "patch", previous, revision, operations, checksum };
}

/** What one kill message may hold (`killMessage` of the contracts). */
const FLAGS_PER_KILL = 1_000;

/** Whether it travels as a kill. A greater one is a patch like others and does not overtake. */
export function isKill(commit: Commit): boolean {
  return commit.kill !== null && commit.kill.length > 0 && commit.kill.length <= FLAGS_PER_KILL;
}

/** Whether all of them can be sent as they are. */
export function areSendable(entries: readonly LogEntry[]): entries is readonly (LogEntry & Block)[] {
  return entries.every(({ frame }) => frame !== null);
}

export function blockBytes(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { frame }) => sum + frame.length, 0);
}
