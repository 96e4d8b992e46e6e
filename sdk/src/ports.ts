/*
 * The world as the SDK sees it. `platform/node.ts` holds the real one, chosen once in `createFlags`; tests pass simulated
 * twins. Everything that takes time answers through a callback, never through a promise: so the order of events is the
 * order of calls, and a simulation can replay it.
 */

export interface Clock {
  /** Wall time, Unix ms. For display and stored instants; never for a delay or a deadline. */
  now(): number;
  /** Milliseconds that never go back, from an arbitrary start. For every delay and deadline. */
  monotonic(): number;
}

export type Cancel = () => void;

export interface Scheduler {
  /** Runs once, not before `delayMs` (any length: long delays are split). MUST NOT keep the process alive. */
  after(delayMs: number, task: () => void): Cancel;
}

export interface Random {
  /** In [0, 1). For jitter. */
  next(): number;
  /** Cryptographically strong. For names that must not collide. */
  bytes(count: number): Uint8Array;
}

/** One websocket. MUST call `closed` or `refused` or `failed` exactly once, and nothing after it. */
export interface SocketListener {
  opened(): void;
  /** One text frame. A binary frame arrives as null: the protocol has none. */
  message(text: string | null): void;
  closed(code: number): void;
  /** The server answered the upgrade with an ordinary HTTP response. */
  refused(status: number, retryAfterMs: number | undefined): void;
  /** No answer at all; `code` is the system's name for it (`ECONNREFUSED`). */
  failed(code: string): void;
}

export interface Socket {
  /** Text goes out in order; after the end it is dropped without a word. */
  send(text: string): void;
  /** Closing handshake. `closed` follows, at the latest when the platform's own limit for handshakes is over. */
  close(code: number): void;
  /** Cuts the connection without a handshake. MUST NOT call the listener any more. */
  destroy(): void;
}

export interface SocketRequest {
  readonly url: string;
  readonly protocol: string;
  readonly token: string;
  readonly maxMessageBytes: number;
}

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly token: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

export type HttpOutcome =
  | {
      readonly kind: "answered";
      readonly status: number;
      /** Names in lower case. */
      readonly headers: ReadonlyMap<string, string>;
      readonly body: string;
    }
  | { readonly kind: "failed"; readonly code: string };

export interface Network {
  /** MUST NOT follow redirects, MUST NOT call the listener before it has returned. */
  openSocket(request: SocketRequest, listener: SocketListener): Socket;
  /** MUST NOT follow redirects nor read more than `maxBytes`. `done` is not called after `Cancel`. */
  request(request: HttpRequest, done: (outcome: HttpOutcome) => void): Cancel;
}

export interface Files {
  /** The whole file as text, null if there is none. Throws where it cannot be read. Used before `createFlags` returns. */
  readNow(path: string): string | null;
  /** The same later. `error` names what went wrong. */
  read(path: string, done: (text: string | null, error?: string) => void): void;
  /** Differs whenever the file may differ, and is null if there is none. Never reads the contents. */
  stamp(path: string, done: (stamp: string | null) => void): void;
  /** Replaces the file whole and durably, mode 0600, making folders on the way; a reader sees the old or the new one. */
  replace(path: string, text: string, done: (error?: string) => void): void;
  /** SHA-256 as lower-case hex. */
  digest(text: string): string;
  /** Where cache files belong on this machine, or null if nowhere. */
  readonly cacheFolder: string | null;
}

/** A value that follows one request through every asynchronous call it makes. */
export interface Context<Value> {
  /** Runs the task; it, and everything it starts, finds the value. */
  run<Result>(value: Value, task: () => Result): Result;
  current(): Value | undefined;
}

export interface Platform {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly network: Network;
  readonly files: Files;
  /** Read once, at creation. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absent where asynchronous calls cannot be followed. */
  createContext?<Value>(): Context<Value>;
  /** Runs the task when nothing keeps the process alive any more. Absent where that is not told. */
  beforeExit?(task: () => void): Cancel;
  /** Writes one line where the process writes its warnings. */
  warn(line: string): void;
  /** Keeps the process alive until cancelled: somebody awaits something. */
  hold(): Cancel;
  /** Name and version, as in `bunting-node/1.4.0`. */
  readonly sdk: string;
  /** A stable name of this application instance, for receipts. */
  readonly instance: string;
}
