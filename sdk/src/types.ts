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

/** A canary that failed far too often in this process: whoever would get it gets the control instead. */
export interface ActiveBreaker {
  readonly flag: string;
  /** Id of the rollout. */
  readonly rollout: string;
  /** Half open: one decision a second is the canary's, to see whether it works again. */
  readonly state: "open" | "half_open";
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
  /** Breakers that are not closed. */
  readonly breakers: readonly ActiveBreaker[];
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
  /** Exposures, outcomes and calls of `track` of running rollouts that a limit, or lateness, kept out of telemetry. */
  readonly evidenceDropped: number;
  /** The same, counted and not yet acknowledged. */
  readonly evidencePending: number;
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

export interface RunOptions {
  /**
   * Whether what a branch threw is an error of the variant. Where it is not, the call counts neither way: nothing was shown.
   * @default everything but an AbortError
   */
  readonly isError?: ((error: unknown) => boolean) | undefined;
}

/** The variant, and its buckets `from` (inclusive) to `to` (exclusive) of 100,000. */
export type PlacementRange = readonly [variant: string, from: number, to: number];

/** Where a user stands on a flag, for an application that distributes its own population over the flag's split. */
export interface Placement {
  /** What `variant` would answer; null for an unknown flag. */
  readonly variant: string | null;
  /** As in {@link Evaluation}. Users of one detail are on the same split. */
  readonly detail: string;
  /** Null unless a split decides: pins, rules with a variant, kills and overrides leave nothing to distribute. */
  readonly split: {
    /** The user's place among all users: 0 to 2^32 - 1, the order that buckets are cut from. */
    readonly position: number;
    /** Sorted, without gaps. Where the canary's breaker is open its ranges are the control's. */
    readonly ranges: readonly PlacementRange[];
  } | null;
}

export interface ExposeOptions {
  /**
   * The variant that this user was given, where the application distributes its population by {@link Flags.place} and not by
   * each user's bucket. Ignored unless the user is on the split that is in the rollout.
   * @default what the flag decides
   */
  readonly served?: string | undefined;
}

/** One exposure, waiting to be told how it went. It is told once; what is said after that is ignored. */
export interface Exposure {
  /** Null for an unknown flag. */
  readonly variant: string | null;
  readonly value: Json;
  /** @param latencyMs How long it took. Left out: since `expose`. */
  success(latencyMs?: number): void;
  /** @param error For the reader of the code; nothing of it is sent. */
  error(error?: unknown, latencyMs?: number): void;
}

export interface OutcomesOptions {
  /**
   * Which statuses are errors.
   * @default 500 and above
   */
  readonly isError?: ((status: number) => boolean) | undefined;
  /**
   * What a request is that the client gave up before the response was complete: no outcome, or an error, which is right where
   * clients wait with a limit and a canary that hangs is to be found.
   * @default "ignored"
   */
  readonly aborted?: "ignored" | "error" | undefined;
}

/** What express, connect and fastify's `reply.raw` have of a response. */
export interface OutgoingResponse {
  readonly statusCode: number;
  once(event: "finish" | "close", listener: () => void): unknown;
}

/** One function for four frameworks: it tells by its arguments which one called. */
export interface OutcomesMiddleware {
  /** node:http: wraps a request listener. */
  <Request extends object, Response extends OutgoingResponse, Result>(
    listener: (request: Request, response: Response) => Result,
  ): (request: Request, response: Response) => Result;
  /** fastify, as a plugin: `app.register(flags.outcomes())`. */
  (instance: FastifyLike, options: unknown, done: (error?: Error) => void): void;
  /** hono. */
  (context: HonoContext, next: () => Promise<void>): Promise<void>;
  /** express and connect. */
  (request: object, response: OutgoingResponse, next: (error?: unknown) => void): void;
}

/** As much of hono's context as is used. */
export interface HonoContext {
  readonly req: {
    /** A web request. Its signal is aborted when the client gives up. */
    readonly raw: { readonly signal?: { addEventListener(type: "abort", listener: () => void): void } };
  };
  readonly res: { readonly status: number };
  /** Whether `res` is the response that will be sent. */
  readonly finalized?: boolean;
}

/** As much of a fastify instance as is used. */
export interface FastifyLike {
  // Fastify's own signatures depend on the name of the hook and on five type parameters.
  addHook(name: never, hook: never): unknown;
}

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
  /**
   * Runs the branch of the variant that the user gets, and returns what it returns. While the flag is in a running rollout,
   * the call is timed and counted as a success or an error of that variant: of a promise when it settles. What a branch
   * throws is thrown.
   *
   * A boolean flag takes `on` and `off`; any flag takes a branch by the name of a variant. Without a branch for the variant,
   * `isEnabled` chooses between `on` and `off`; without these, and for an unknown flag, `off` runs, or the last branch.
   *
   * @example
   * await flags.run("redis-readthrough", user, { on: () => cache.get(id), off: () => db.get(id) });
   *
   * @throws TypeError if there is no branch at all.
   */
  run<Branch extends () => unknown>(
    key: string,
    user: Subject | undefined,
    branches: Readonly<Record<string, Branch>>,
    options?: RunOptions,
  ): ReturnType<Branch>;
  /**
   * The variant that the user gets, with a way to tell how it went. For work that is no single function call.
   *
   * @example
   * const exposure = flags.expose("checkout", user);
   * queue.add(job, { layout: exposure.variant }).on("done", () => exposure.success()).on("failed", (error) => exposure.error(error));
   */
  expose(key: string, user?: Subject, options?: ExposeOptions): Exposure;
  /**
   * Where a user stands on the flag's split, without counting anything as served. For applications that hold a population and
   * want its shares exact: they rank their users by position and look up the ranges at each rank. Never throws or waits.
   */
  place(key: string, user?: Subject): Placement;
  /**
   * Counts an event of a custom metric, `conversion` say, for the variants that this user gets in running rollouts whose
   * guardrails look at that metric. Costs a map look-up if there is none. Never throws.
   */
  track(metric: string, user: Subject | undefined, value?: number): void;
  /**
   * Reports a figure of the whole process, as `queue_depth`: the last value within a batch. Of several processes guardrails judge
   * by the worst, within ten to twenty seconds, so report it about every ten seconds. Never throws.
   */
  gauge(metric: string, value: number): void;
  /**
   * Middleware that reports the outcome of requests: every flag that is read while a request is served, however deep in the
   * code, gets that request's status and latency. For hono, express, fastify and `node:http`; see docs/guides/evidence.md.
   *
   * @example
   * app.use(flags.outcomes()); // hono, express
   * await app.register(flags.outcomes()); // fastify
   * createServer(flags.outcomes()((request, response) => response.end("hello"))); // node:http
   *
   * @throws TypeError where the platform cannot follow a request through asynchronous calls: in browsers.
   */
  outcomes(options?: OutcomesOptions): OutcomesMiddleware;
  /** Waits for the first state from the network. Never rejects; says what is in use when it settles. */
  ready(options?: ReadyOptions): Promise<Source>;
  /** Calls the listener on each event until the returned function is called. What it throws is caught and counted. */
  on<Name extends keyof FlagsEvents>(name: Name, listener: (event: FlagsEvents[Name]) => void): () => void;
  status(): FlagsStatus;
  /** Sends what was counted until now and waits for the answer, at most 2 s. Never rejects. */
  flush(): Promise<void>;
  /** Flushes, says goodbye and lets go of everything. Evaluations go on with the last state. Never rejects. */
  close(): Promise<void>;
}
