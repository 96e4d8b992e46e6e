import { LIMITS } from "@bunting/contracts/literals";
import type { Commit } from "../ledger/state.ts";
import { frameLength, textFrame } from "./frame.ts";

/** Bytes that are written at once before a socket's backlog is looked at again. */
export const BLOCK_BYTES = 64 * 1024;

/** Frames to be written together. */
export interface Block {
  readonly frame: Buffer;
  /** The revision a client stands at once it has this block; null for the parts of a snapshot before the last. */
  readonly reaches: number | null;
}

/** A commit, framed once for everybody. */
export interface LogEntry {
  readonly previous: number;
  readonly revision: number;
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
  /** What clients that stood at a revision get, so that a thousand that stood at one cost as much as one. */
  readonly #blocks = new Map<number, readonly Block[] | null>();

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
    this.#head = entry.revision;
    this.#blocks.clear();
    this.#trim(entry.at);
  }

  /** Everything after a revision, or null if the log begins later or holds an entry that is not sent as a patch. */
  since(revision: number): readonly Block[] | null {
    if (revision < this.base || revision > this.#head) return null;
    const known = this.#blocks.get(revision);
    if (known !== undefined) return known;
    const blocks = packBlocks(this.#entries.slice(revision - this.base));
    this.#blocks.set(revision, blocks);
    return blocks;
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
    this.#blocks.clear();
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
    this.#blocks.clear();
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

/** The largest kill message; above it a kill travels as a patch and does not overtake. */
const FLAGS_PER_KILL = 1_000;

export function isKill(commit: Commit): boolean {
  return commit.kill !== null && commit.kill.length > 0 && commit.kill.length <= FLAGS_PER_KILL;
}

/** Joins small frames, so that a client far behind costs a few writes and not one for each patch. */
export function packBlocks(entries: readonly Pick<LogEntry, "revision" | "frame">[]): readonly Block[] | null {
  const blocks: Block[] = [];
  let frames: Buffer[] = [];
  let bytes = 0;
  let reaches = 0;
  const close = (): void => {
    const [only] = frames;
    if (only) blocks.push({ frame: frames.length === 1 ? only : Buffer.concat(frames), reaches });
    frames = [];
    bytes = 0;
  };
  for (const { revision, frame } of entries) {
    if (!frame) return null;
    if (bytes + frame.length > BLOCK_BYTES) close();
    frames.push(frame);
    bytes += frame.length;
    reaches = revision;
  }
  close();
  return blocks;
}

export function blockBytes(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { frame }) => sum + frame.length, 0);
}
