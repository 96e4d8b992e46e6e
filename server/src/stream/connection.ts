import type { Block } from "./change-log.ts";
import type { Bucket, SecondWindow } from "./rate.ts";
import type { Session } from "./session.ts";

/** A socket as a connection sees it. websocket.ts is the real one; tests have one that they can stall. */
export interface Wire {
  /** False once either side has begun to close. */
  readonly writable: boolean;
  /** Bytes the kernel has not taken yet. */
  readonly backlogBytes: number;
  /** Writes whole frames. The buffer is shared by all connections and must not be changed. */
  write(frame: Buffer): void;
  /** What is written inside leaves together. */
  together(writes: () => void): void;
  /** Closes with a code, and destroys if the peer does not answer. */
  end(code: number, reason: string): void;
  /** Frees the socket with whatever it has not sent yet. */
  destroy(): void;
}

/** Above this nothing more is written until the socket has drained. More than Node's high-water mark, or `drain` never comes. */
export const LAGGING_BYTES = 64 * 1024;
/** Above this not even a kill is written. */
export const HOPELESS_BYTES = 4 * 1024 * 1024;

/**
 * One socket of a session. It knows which revision was written to it last (`sent`), and nothing is queued for it: when a slow
 * one has drained, what it lacks is looked up again. The memory it can hold is the lagging limit and one frame.
 */
export class Connection {
  readonly session: Session;
  readonly wire: Wire;
  /** Whether snapshots may be sent compressed. */
  readonly deflated: boolean;
  /** Everything up to this revision has been written, in order. */
  sent: number;
  /** A heartbeat was written and nothing has been heard since. */
  unanswered = false;
  /** Monotonic ms since which nothing could be written; null while it keeps up. */
  laggingSince: number | null = null;
  malformed = 0;
  readonly messages: SecondWindow = { startedAt: -Infinity, count: 0 };
  readonly batches: Bucket;
  /** Monotonic ms. */
  resyncedAt = -Infinity;
  /** False as soon as it is to be forgotten; the channel's list is tidied later. */
  open = true;
  #feed: { readonly blocks: readonly Block[]; next: number } | null = null;

  constructor(session: Session, wire: Wire, options: { deflated: boolean; sent: number; batches: Bucket }) {
    this.session = session;
    this.wire = wire;
    this.deflated = options.deflated;
    this.sent = options.sent;
    this.batches = options.batches;
  }

  /** Something is being written to it piece by piece. */
  get feeding(): boolean {
    return this.#feed !== null;
  }

  /** Takes part in broadcasts: it is neither being fed nor waiting for its socket to drain. */
  get keepsUp(): boolean {
    return this.#feed === null && this.laggingSince === null;
  }

  /** Writes one frame that leads from `sent` to `reaches`, unless the socket is too slow for it. */
  deliver(frame: Buffer, reaches: number, now: number): boolean {
    if (this.wire.backlogBytes > LAGGING_BYTES) {
      this.laggingSince = now;
      return false;
    }
    this.wire.write(frame);
    this.sent = reaches;
    return true;
  }

  /** Writes what the client lacks, as fast as its socket takes it. Not while it is feeding: half a snapshot is of no use. */
  feed(blocks: readonly Block[], now: number): void {
    this.#feed = blocks.length > 0 ? { blocks, next: 0 } : null;
    this.#pour(now);
  }

  /** The socket has taken everything. True if the connection is ready for more than it was being fed. */
  drained(now: number): boolean {
    this.laggingSince = null;
    this.#pour(now);
    return this.keepsUp;
  }

  #pour(now: number): void {
    if (!this.#feed) return;
    // Small frames leave together, a lagging limit's worth at a time.
    this.wire.together(() => {
      while (this.#feed && this.wire.writable) {
        const block = this.#feed.blocks[this.#feed.next];
        if (!block) break;
        if (this.wire.backlogBytes > LAGGING_BYTES) {
          this.laggingSince = now;
          return;
        }
        this.#feed.next += 1;
        this.wire.write(block.frame);
        if (block.reaches !== null) this.sent = block.reaches;
      }
      this.#feed = null;
    });
  }
}
