import type { Identity } from "../address.ts";
import { telemetryUrl } from "../address.ts";
import { createListeners, type Listeners } from "../events.ts";
import type { EvidenceBook } from "../evidence/book.ts";
import type { ResolvedOptions } from "../options.ts";
import type { Cancel, Platform } from "../ports.ts";
import type { Replica } from "../ruleset/replica.ts";
import type { Serving } from "../serving/evaluator.ts";
import { createServedState, type ServedState } from "../serving/served-state.ts";
import { type Beginning, findBeginning } from "../sources/bootstrap.ts";
import { type CacheWriter, createCacheWriter } from "../sources/file.ts";
import { createPoller, type Poller } from "../sources/poll.ts";
import { codeOf, openStream, type Stream, type StreamHost } from "../sources/stream.ts";
import { type Carrier, createFlusher, type Flusher, POST_TIMEOUT_MS } from "../telemetry/flusher.ts";
import { ReportSource } from "../telemetry/report.ts";
import type { Slots } from "../telemetry/slots.ts";
import { createTimers } from "../timers.ts";
import type { FlagsError, FlagsStatus, ReadyOptions, Source } from "../types.ts";
import { createWarnings, type Warnings } from "../warnings.ts";
import { begin, type Effect, type Event, type State, transition, type Wish } from "./machine.ts";
import { type Failure, regimeOf } from "./retry.ts";

/** The running client behind the façade: owns every part, performs what the lifecycle machine decides, decides nothing itself. */
export interface Runner {
  readonly serving: Serving;
  readonly book: EvidenceBook;
  readonly listeners: Listeners;
  status(): FlagsStatus;
  ready(options?: ReadyOptions): Promise<Source>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

const READY_MS = 5_000;
/** Of what is wrong with a ruleset or its overrides, so much is said at once; `status()` has it all. */
const ISSUES_SAID = 5;

/** What decides where there is no word from the server, as a warning says it. */
const DECIDES: Readonly<Record<Source, string>> = {
  live: "the last state it sent decides",
  cached: "the last known good state, from the cache file, decides",
  bootstrap: "the bootstrap object decides",
  defaults: "the defaults in the code decide",
};

export function startRunner(platform: Platform, options: ResolvedOptions<never>): Runner {
  const runner = new ClientRunner(platform, options);
  runner.start();
  return runner;
}

class ClientRunner implements Runner {
  readonly listeners: Listeners;
  private readonly platform: Platform;
  private readonly options: ResolvedOptions<never>;
  private readonly beginning: Beginning;
  private readonly served: ServedState;
  private readonly replica: Replica;
  private readonly slots: Slots;
  private readonly cache: CacheWriter | null;
  private readonly flusher: Flusher;
  private readonly poller: Poller | null;
  private readonly warnings: Warnings;
  private readonly timers;
  private readonly streams = new Map<number, Stream>();
  private readonly waiters = new Set<() => void>();
  private readonly counted = { resyncs: 0, malformed: 0, refused: 0, connections: 0, listenerErrors: 0, dropped: 0 };
  private state: State;
  private source: Source;
  private since: number;
  private lastError: FlagsError | null = null;
  /** Monotonic ms of the last moment at which the state was known to be at head. */
  private confirmedAt: number | null = null;
  private resumeToken: string | null = null;
  private shown = "";
  private stopWatching: Cancel = () => {};
  private stopWaitingForExit: Cancel = () => {};
  private closing: Promise<void> | null = null;

  constructor(platform: Platform, options: ResolvedOptions<never>) {
    this.platform = platform;
    this.options = options;
    this.listeners = createListeners((name, error) => this.takeListenerError(name, error));
    this.warnings = createWarnings(options.warn, platform.clock);
    this.timers = createTimers<"move">(platform.scheduler);
    this.since = platform.clock.now();
    this.state = begin(options.server === null ? "missing" : "given").state;
    this.beginning = findBeginning(options, platform);
    this.source = this.beginning.source;
    this.warnOf(this.beginning.issues);
    this.served = createServedState({
      platform,
      options,
      beginning: this.beginning,
      freshness: () => this.freshness(),
      moved: (replica) => this.save(replica),
      changed: (change) => {
        // A rollout may have begun or ended: by what the server said, or by an override that went or came.
        this.flusher.setLive(this.book.isLive);
        this.listeners.tell("change", change);
      },
      noticed: (issues) => this.warnOf(issues),
      report: (code, message) => this.report(code, message),
    });
    this.replica = this.served.replica;
    this.slots = this.served.slots;
    this.cache = options.cacheFile === null ? null : createCacheWriter(options.cacheFile, options.cacheScope, platform);
    this.flusher = createFlusher(
      {
        platform,
        source: new ReportSource(this.slots, this.served.book, () => this.served.table.overrides),
        instance: options.instance,
        carrier: (boot) => this.carrier(boot),
        isConnecting: () => this.state.name === "connecting",
        bootChanged: () => this.changeBoot(),
      },
      options.flushIntervalMs,
    );
    this.poller = options.server === null ? null : this.createPoller(options.server);
  }

  get serving(): Serving {
    return this.served;
  }

  get book(): EvidenceBook {
    return this.served.book;
  }

  start(): void {
    this.stopWatching = this.served.watch();
    if (this.options.server === null) return;
    this.flusher.start();
    this.flusher.setLive(this.book.isLive);
    this.stopWaitingForExit = this.platform.beforeExit?.(() => void this.flush()) ?? (() => {});
    this.perform(begin("given").effects);
  }

  // --- what the façade asks

  status(): FlagsStatus {
    const { ageMs, stale } = this.freshness();
    return {
      state: this.state.name,
      source: this.source,
      transport: this.transport(),
      since: this.since,
      position: this.replica.position,
      ageMs,
      stale,
      lastError: this.lastError,
      overrides: this.served.table.overrides,
      breakers: this.book.breakers,
      issues: [...this.beginning.issues, ...this.served.table.issues],
      counters: {
        ...this.counted,
        cacheErrors: this.cache?.errors ?? 0,
        pending: this.slots.pending + this.flusher.inFlight.exposures,
        evidencePending: this.book.pending + this.flusher.inFlight.events,
        evidenceDropped: this.book.droppedSoFar,
        telemetryRestarts: this.flusher.restarts,
        dropped: this.slots.droppedSoFar,
      },
    };
  }

  private freshness(): { readonly ageMs: number | null; readonly stale: boolean } {
    const { clock } = this.platform;
    if (this.confirmedAt !== null) {
      const ageMs = Math.round(clock.monotonic() - this.confirmedAt);
      return { ageMs, stale: this.state.name !== "live" && ageMs > this.options.staleAfterMs };
    }
    const { savedAt } = this.beginning;
    // A wall clock that went back would make a saved state look as if it came from the future.
    const ageMs = savedAt === null ? null : Math.max(0, clock.now() - savedAt);
    return { ageMs, stale: this.options.server !== null };
  }

  ready({ timeoutMs = READY_MS }: ReadyOptions = {}): Promise<Source> {
    if (this.source === "live" || this.state.name === "offline" || this.state.name === "closed") {
      return Promise.resolve(this.source);
    }
    const release = this.platform.hold();
    return new Promise((resolve) => {
      const settle = (): void => {
        cancel();
        release();
        this.waiters.delete(settle);
        resolve(this.source);
      };
      const cancel = this.platform.scheduler.after(Math.max(0, timeoutMs), settle);
      this.waiters.add(settle);
    });
  }

  flush(): Promise<void> {
    if (this.state.name === "closed") return Promise.resolve();
    const release = this.platform.hold();
    return new Promise((resolve) =>
      this.flusher.flush(() => {
        release();
        resolve();
      }),
    );
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    const release = this.platform.hold();
    await this.flush();
    this.happened({ type: "close" });
    this.flusher.stop();
    this.book.stop();
    this.stopWatching();
    this.stopWaitingForExit();
    this.timers.end();
    for (const settle of this.waiters) settle();
    await new Promise<void>((resolve) => (this.cache === null ? resolve() : this.cache.finish(resolve)));
    release();
  }

  // --- lifecycle

  private happened(event: Event): void {
    const before = this.state;
    const { state, effects } = transition(before, event);
    this.state = state;
    if (state.name !== before.name) this.since = this.platform.clock.now();
    this.perform(effects);
    if (state.name === "live" && before.name !== "live") this.becomeLive();
    if (state.name === "waiting") this.flusher.carrierFailed();
    this.keepBoot();
    this.tellStatus();
  }

  private perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "open":
          this.open(effect.connection, effect.wish);
          break;
        case "hang_up":
          this.streams.get(effect.connection)?.hangUp();
          this.streams.delete(effect.connection);
          break;
        case "cut":
          this.streams.get(effect.connection)?.cut();
          this.streams.delete(effect.connection);
          break;
        case "schedule":
          this.timers.set("move", effect.delayMs, () => this.happened({ type: "timer" }));
          break;
        case "unschedule":
          this.timers.clear("move");
          break;
        case "start_polling":
          this.poller?.start();
          break;
        case "stop_polling":
          this.poller?.stop();
          break;
        case "forget_session":
          this.resumeToken = null;
          break;
      }
    }
  }

  private open(connection: number, wish: Wish): void {
    const { server } = this.options;
    if (server === null) return;
    this.counted.connections += 1;
    const { platform, replica, resumeToken } = this;
    const identity = this.identity();
    const isCurrent = (): boolean => identity.boot === this.flusher.boot;
    const { settled } = this.flusher;
    const host: StreamHost = {
      platform,
      server,
      identity,
      replica,
      resumeToken,
      owns: (number) => this.owns(number),
      happened: (event) => this.happened(event),
      confirmed: () => this.confirm(),
      serverTime: (sentAt) => this.book.hear(sentAt),
      welcomed: ({ resume, telemetrySequence, sentAt }) => {
        if (sentAt !== undefined) this.book.hear(sentAt);
        if (!isCurrent()) return;
        this.resumeToken = resume;
        this.flusher.welcomed(telemetrySequence, settled);
      },
      telemetryAcknowledged: (sequence, nextMs) => {
        if (isCurrent()) this.flusher.acknowledged(sequence, nextMs);
      },
      telemetryRefused: (sequence) => {
        if (isCurrent()) this.flusher.refused(sequence);
      },
      telemetryDelayed: (retryAfterMs) => {
        if (isCurrent()) this.flusher.delayed(retryAfterMs);
      },
      report: (code, message) => this.report(code, message),
      counted: (what) => {
        this.counted[what] += 1;
      },
    };
    this.streams.set(connection, openStream(host, connection, wish));
  }

  private owns(connection: number): boolean {
    const { state } = this;
    if (state.name === "moving" && connection === state.next) return true;
    return "connection" in state && state.connection === connection;
  }

  private createPoller(server: NonNullable<ResolvedOptions<never>["server"]>): Poller {
    return createPoller({
      platform: this.platform,
      server,
      replica: this.replica,
      identity: () => this.identity(),
      serverTime: (sentAt) => this.book.hear(sentAt),
      confirmed: () => {
        this.confirm();
        this.becomeLive();
      },
      answered: () => {
        this.flusher.carrierChanged();
        this.tellStatus();
      },
      failed: (failure, message) => {
        this.report(codeOf(failure), message);
        this.warnOfSilence(failure, message);
      },
      counted: (what) => {
        this.counted[what] += 1;
      },
    });
  }

  private identity(): Identity {
    return { instance: this.options.instance, boot: this.flusher.boot, sdk: this.platform.sdk };
  }

  private transport(): FlagsStatus["transport"] {
    const isPolled = this.poller?.isAnswered === true;
    // Until the stream has caught up both bring changes, and what a poll brings may pass over some.
    const isBehind = this.state.name === "syncing" && isPolled;
    if (this.currentStream()?.isGreeted === true && !isBehind) return "stream";
    return isPolled ? "poll" : "none";
  }

  private currentStream(): Stream | undefined {
    return "connection" in this.state ? this.streams.get(this.state.connection) : undefined;
  }

  private carrier(boot: string): Carrier | null {
    const stream = this.currentStream();
    if (stream?.isGreeted === true) {
      return stream.boot === boot ? { kind: "stream", send: (batch) => stream.sendTelemetry(batch) } : null;
    }
    const { server } = this.options;
    if (server === null || this.poller?.isAnswered !== true) return null;
    const request = {
      method: "POST",
      url: telemetryUrl(server.origin),
      token: server.token,
      headers: { "content-type": "application/json" },
      timeoutMs: POST_TIMEOUT_MS,
      maxBytes: 64 * 1024,
    } as const;
    return { kind: "post", send: (body, done) => this.platform.network.request({ ...request, body }, done) };
  }

  private changeBoot(): void {
    this.resumeToken = null;
    this.keepBoot();
  }

  /** Batches travel on connections of their own boot only: after a change, move to a new connection at once. */
  private keepBoot(): void {
    const { state } = this;
    if (state.name !== "live" || this.streams.get(state.connection)?.boot === this.flusher.boot) return;
    this.happened({ type: "goaway", connection: state.connection, spreadMs: 0, random: 0 });
  }

  // --- state

  private confirm(): void {
    this.confirmedAt = this.platform.clock.monotonic();
  }

  /** The state in use is the network's now. */
  private becomeLive(): void {
    const isFirst = this.source !== "live";
    this.source = "live";
    if (isFirst) this.listeners.tell("ready", { source: "live" });
    for (const settle of this.waiters) settle();
  }

  private save({ ruleset, left }: Replica): void {
    if (this.state.name !== "closed") this.cache?.save({ ruleset, left, savedAt: this.platform.clock.now() });
  }

  // --- telling

  private report(code: string, message: string): void {
    this.lastError = { code, message, at: this.platform.clock.now() };
    this.listeners.tell("error", this.lastError);
  }

  private warnOf(issues: readonly string[]): void {
    for (const issue of issues.slice(0, ISSUES_SAID)) this.warnings.tell(issue, issue);
    const more = issues.length - ISSUES_SAID;
    if (more > 0) this.warnings.tell("issues", `status().issues lists ${more} more.`);
  }

  /**
   * A poll is only tried where push failed, so now neither brings anything (LC-72). What may pass by itself is said when the
   * state is old: servers restart.
   */
  private warnOfSilence(failure: Failure, message: string): void {
    if (this.transport() !== "none" || !(regimeOf(failure) === "slow" || this.freshness().stale)) return;
    const isToken = failure.kind === "refused" && (failure.status === 401 || failure.status === 403);
    const cause = isToken ? " (is the token right, and was it revoked?)" : "";
    const said = `no word from ${this.options.server?.origin}: ${message}${cause}; ${DECIDES[this.source]}. It is tried again.`;
    this.warnings.tell(codeOf(failure), said);
  }

  private takeListenerError(name: string, error: unknown): void {
    this.counted.listenerErrors += 1;
    const message = `a listener of "${name}" threw: ${textOf(error)}`;
    this.lastError = { code: "listener", message, at: this.platform.clock.now() };
    if (name !== "error") this.listeners.tell("error", this.lastError);
  }

  private tellStatus(): void {
    const shown = `${this.state.name} ${this.source} ${this.transport()}`;
    if (shown === this.shown) return;
    this.shown = shown;
    this.listeners.tell("status", this.status());
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : "something that is no Error";
}
