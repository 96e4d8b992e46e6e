/*
 * The public shapes, written out: an application needs neither our contracts nor their schema library to compile. A type
 * test holds those that cross a boundary equal to the contracts.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * Whom a flag is decided for: a targeting key, or an object whose `key` is one and whose other fields are attributes for
 * rules. Nothing of it is stored or sent.
 */
export type User = string | { readonly key?: unknown; readonly [attribute: string]: unknown };

/** OpenFeature's resolution reasons. `STALE`: decided from a state that may be out of date; `detail` still says how. */
export type Reason = "STATIC" | "TARGETING_MATCH" | "SPLIT" | "DISABLED" | "DEFAULT" | "STALE" | "ERROR";

export type EvaluationErrorCode =
  | "PROVIDER_NOT_READY"
  | "FLAG_NOT_FOUND"
  | "TYPE_MISMATCH"
  | "TARGETING_KEY_MISSING"
  | "INVALID_CONTEXT"
  | "PARSE_ERROR"
  | "GENERAL";

/** One flag decided for one user. */
export interface Evaluation {
  /** Null where no variant could be served. */
  readonly value: Json;
  readonly variant: string | null;
  readonly reason: Reason;
  /** Refines the reason: `killed`, `disabled`, `pin`, `rule:<id>`, `prerequisite:<key>`, `override`, `fallthrough`, … */
  readonly detail: string;
  /** Of the state that decided; null without one. */
  readonly revision: number | null;
  /** How long ago that state was last known to be the server's newest, ms; null if it never was, in this process. */
  readonly ageMs: number | null;
  readonly errorCode?: EvaluationErrorCode;
}

/** Where the state in use came from. */
export type Source = "live" | "cached" | "bootstrap" | "defaults";

/** Where a state stands in its environment's history. */
export interface Position {
  readonly epoch: string;
  readonly revision: number;
}

/** States of docs/spec/sdk-lifecycle.md. */
export type LifecycleState =
  | "offline"
  | "connecting"
  | "syncing"
  | "live"
  | "leaving"
  | "moving"
  | "waiting"
  | "closed";

export interface FlagsError {
  /** A code of the error catalogue, a system error's name, or `http_<status>`, `close_<code>`. */
  readonly code: string;
  readonly message: string;
  /** Unix ms. */
  readonly at: number;
}

export interface ActiveOverride {
  readonly flag: string;
  /** As it was written. */
  readonly value: string;
  readonly from: "file" | "overrideEnv" | "environment";
}

export interface FlagsStatus {
  readonly state: LifecycleState;
  readonly source: Source;
  /** How changes arrive now. */
  readonly transport: "stream" | "poll" | "none";
  /** Since when `state` is what it is, Unix ms. */
  readonly since: number;
  readonly position: Position | null;
  readonly ageMs: number | null;
  readonly stale: boolean;
  readonly lastError: FlagsError | null;
  readonly overrides: readonly ActiveOverride[];
  /** What is wrong but does not stop anything: rules that cannot be judged, overrides that name nothing, … */
  readonly issues: readonly string[];
  readonly counters: FlagsCounters;
}

export interface FlagsCounters {
  /** Snapshots asked for because something was missing or did not add up. */
  readonly resyncs: number;
  /** Frames and answers that were not valid. */
  readonly malformed: number;
  /** Snapshots refused because they were older than the state, or of an epoch that was left. */
  readonly refused: number;
  /** Connections opened. */
  readonly connections: number;
  /** What listeners threw. */
  readonly listenerErrors: number;
  /** Writes of the cache file that failed. */
  readonly cacheErrors: number;
  /** Exposures that a limit kept out of telemetry. */
  readonly dropped: number;
  /** Exposures counted and not yet acknowledged. */
  readonly pending: number;
  /** Times the server had lost telemetry that it acknowledged. */
  readonly telemetryRestarts: number;
}

export interface ChangeEvent {
  /** Flags that may decide differently now. */
  readonly keys: readonly string[];
  readonly revision: number | null;
}

export interface FlagsEvents {
  /** The state, a kill or an override changed. */
  readonly change: ChangeEvent;
  readonly status: FlagsStatus;
  readonly error: FlagsError;
  /** Once, when the first state from the network is in use. */
  readonly ready: { readonly source: Source };
}

export interface ReadyOptions {
  /**
   * How long to wait for the network at most.
   * @default 5000
   */
  readonly timeoutMs?: number | undefined;
}

/** What a value of the default's type looks like: `20` stands for any number. */
export type Widened<T extends Json> = T extends boolean
  ? boolean
  : T extends number
    ? number
    : T extends string
      ? string
      : T;

/** A running client. `Subject` is what the application passes as a user; `identify` maps anything else than {@link User}. */
export interface Flags<Subject = User> {
  /**
   * A boolean flag's value; for a flag of another type, whether the served variant is not the off variant. False for an
   * unknown flag. Never throws, waits or allocates.
   */
  isEnabled(key: string, user?: Subject): boolean;
  /** The served variant's key, null for an unknown flag. Never throws, waits or allocates. */
  variant(key: string, user?: Subject): string | null;
  /** The served variant's value if it is of the default's type, else the default. Never throws, waits or allocates. */
  value<T extends Json>(key: string, user: Subject | undefined, fallback: T): Widened<T>;
  /** The whole decision, as a fresh object. Never throws or waits. */
  evaluate(key: string, user?: Subject): Evaluation;
  /** Waits for the first state from the network. Never rejects; says what is in use when it settles. */
  ready(options?: ReadyOptions): Promise<Source>;
  /** Calls the listener on each event until the returned function is called. What it throws is caught and counted. */
  on<Name extends keyof FlagsEvents>(name: Name, listener: (event: FlagsEvents[Name]) => void): () => void;
  status(): FlagsStatus;
  /** Sends what was counted and waits for the answer, at most 2 s. Never rejects. */
  flush(): Promise<void>;
  /** Flushes, says goodbye and lets go of everything. Evaluations go on with the last state. Never rejects. */
  close(): Promise<void>;
}
