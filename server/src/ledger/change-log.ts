import type { Commit } from "./state.ts";

/** A client that was away can catch up over this many changes, however old they are. */
const LEAST_ENTRIES = 1_024;
/** Beyond those, changes are kept this long. */
const KEPT_MS = 24 * 60 * 60 * 1000;
const MOST_ENTRIES = 4_096;
/** The one bound that also cuts into the least: a snapshot is cheaper than so much history. In bytes of JSON. */
const MOST_BYTES = 64 * 1024 * 1024;

/** The latest changes of one environment, oldest first and without a hole. The table `change` holds the same ones. */
export class ChangeLog {
  #entries: Commit[] = [];
  readonly #sizes = new Map<Commit, number>();
  #bytes = 0;
  #head: number;

  /** @param head The environment's revision: what the next commit follows on. */
  constructor(head: number, commits: readonly Commit[] = []) {
    this.#head = head;
    for (const commit of commits) this.#push(commit);
  }

  /** The revision from which on changes are known. */
  get base(): number {
    return this.#head - this.#entries.length;
  }

  append(commit: Commit): void {
    if (commit.previous !== this.#head) {
      throw new Error(`Revision ${commit.revision} of ${commit.environment} does not follow on ${this.#head}.`);
    }
    this.#push(commit);
  }

  after(revision: number): readonly Commit[] | "compacted" {
    if (revision < this.base) return "compacted";
    return this.#entries.slice(revision - this.base);
  }

  /** The revision up to which changes can be dropped now: the base, if none. */
  compactable(now: number): number {
    let count = 0;
    let bytes = this.#bytes;
    for (const entry of this.#entries) {
      const left = this.#entries.length - count;
      const old = entry.committedAt < now - KEPT_MS;
      const over = bytes > MOST_BYTES || left > MOST_ENTRIES || (left > LEAST_ENTRIES && old);
      if (!over) break;
      bytes -= this.#sizes.get(entry) ?? 0;
      count++;
    }
    return this.base + count;
  }

  compact(revision: number): void {
    const dropped = this.#entries.splice(0, Math.max(0, revision - this.base));
    for (const entry of dropped) {
      this.#bytes -= this.#sizes.get(entry) ?? 0;
      this.#sizes.delete(entry);
    }
  }

  #push(commit: Commit): void {
    // An estimate is enough for a bound: characters, without printing what is known to be small.
    const size = JSON.stringify(commit.operations).length;
    this.#entries.push(commit);
    this.#sizes.set(commit, size);
    this.#bytes += size;
    this.#head = commit.revision;
  }
}
