import type { Failure } from "./errors.ts";
import type { Reply, Request } from "./worker/protocol.ts";

/*
 * The world as a versioned module sees it. `platform/node.ts` holds the real one; a simulation passes its own twin of it, in
 * which threads crash when the seed says so. Threads answer through callbacks, so the order of events is the order of calls.
 */

export interface Clock {
  /** Unix ms, for what is shown. */
  now(): number;
  /** Milliseconds that never go back, for every delay and deadline. */
  monotonic(): number;
}

export type Cancel = () => void;

export interface Scheduler {
  /** Runs once, not before `delayMs`. MUST NOT keep the process alive. */
  after(delayMs: number, task: () => void): Cancel;
}

export interface ThreadListener {
  /** One per request, in order. */
  replied(reply: Reply): void;
  /** Once, when the thread has ended by itself. Nothing comes after it; MUST NOT be called once `end` was. */
  ended(failure: Failure): void;
}

export interface Thread {
  /** Typed arrays among the columns are handed over: the caller has none of them afterwards. Throws what cannot be cloned. */
  send(request: Request): void;
  /** Ends it, whatever it does, an endless loop too. Settles when its memory is given back. */
  end(): Promise<void>;
}

export interface Threads {
  start(listener: ThreadListener): Thread;
  /** Settles when the next thread would start without delay. */
  warm(): Promise<void>;
  /** Lets go of what is kept ready. Started threads are their owner's affair. */
  close(): Promise<void>;
}

export interface ThreadLimits {
  readonly maxHeapMb: number;
  /** Files that threads will be asked to load: how they are started may depend on it. */
  readonly urls: readonly string[];
}

export interface VersionsPlatform {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  createThreads(limits: ThreadLimits): Threads;
}
