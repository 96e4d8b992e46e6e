/*
 * The world as the server sees it. Everything here is chosen once, in main.ts, from platform/node.ts; tests take the
 * simulated twins from the testkit.
 */

export interface Clock {
  /** Wall time, Unix ms. For display, schedules and stored instants; never for a delay or a deadline. */
  now(): number;
  /** Milliseconds that never go back, from an arbitrary start. For every delay and deadline. */
  monotonic(): number;
}

export type Cancel = () => void;

export interface Scheduler {
  /** Runs once, not before `delayMs`. Does not keep the process alive. */
  after(delayMs: number, task: () => void): Cancel;
  /** Runs again and again until cancelled. Does not keep the process alive. */
  every(intervalMs: number, task: () => void): Cancel;
  /** Runs after the I/O that is ready now has been served. */
  soon(task: () => void): void;
}

export interface Random {
  /** In [0, 1). For jitter. */
  next(): number;
  /** Cryptographically strong. */
  bytes(count: number): Uint8Array;
}

/** One line per event: fields first, then a constant message. Values are never concatenated into the message. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}
