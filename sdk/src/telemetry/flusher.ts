import type { TelemetryBatch } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { eventsOf } from "../evidence/book.ts";
import { isCount, isObject, parseJson } from "../guards.ts";
import { type Failure, retryDelayMs } from "../lifecycle/retry.ts";
import type { Cancel, HttpOutcome, Platform } from "../ports.ts";
import { parseRetryAfter } from "../sources/poll.ts";
import { createTimers, type Timers } from "../timers.ts";
import { type NumberedBatch, renderBatch } from "./batch.ts";
import { exposuresOf, type ReportSource } from "./report.ts";

/** The ways a batch can take. At most one of the two is open at a time. */
export type Carrier =
  | { readonly kind: "stream"; send(batch: TelemetryBatch): void }
  | { readonly kind: "post"; send(body: string, done: (outcome: HttpOutcome) => void): Cancel };

export interface FlusherHost {
  readonly platform: Platform;
  readonly source: ReportSource;
  readonly instance: string;
  /** The way that is open now, for batches of this boot; null if none. */
  carrier(boot: string): Carrier | null;
  /** Whether one is about to open, if all goes well: then {@link Flusher.carrierChanged} or {@link Flusher.carrierFailed} follows. */
  isConnecting(): boolean;
  /** Batches need a connection that was opened under the new boot. */
  bootChanged(boot: string): void;
}

/**
 * Sends what was counted, exactly once: one numbered batch is in flight and is sent again until the server says that it is
 * durable. An hour's outage costs resolution in time, neither memory nor counts.
 */
export interface Flusher {
  readonly boot: string;
  readonly restarts: number;
  /** Highest sequence of this boot that is done: durable, or refused for good. */
  readonly settled: number;
  /** Evaluations, and events of rollouts, in the batch in flight. */
  readonly inFlight: { readonly exposures: number; readonly events: number };
  start(): void;
  /** Whether a rollout is waiting for evidence: then batches go out every 5 s, unless the server names another interval. */
  setLive(isLive: boolean): void;
  /** A way has opened, or another one. */
  carrierChanged(): void;
  /** The one that was about to open did not. */
  carrierFailed(): void;
  /**
   * `durable`: the highest sequence the server has of this boot, as a welcome tells it. `settledBefore`: what was settled when the
   * connection was asked for. A welcome may be on its way for long, and knows nothing of what was acknowledged meanwhile.
   */
  welcomed(durable: number, settledBefore: number): void;
  acknowledged(sequence: number, nextMs: number | undefined): void;
  /** The server will never take this batch, and has recorded so. */
  refused(sequence: number): void;
  /** The server takes this batch, but not before that time (TE-11). */
  delayed(retryAfterMs: number): void;
  /** Calls back once all that is counted now is acknowledged, or no way is there nor about to open, or 2 s are over. */
  flush(done: () => void): void;
  stop(): void;
}

/** A batch that nobody answered is sent again; the server merges it once whatever happens. */
const RESEND_MS = 30_000;
const FLUSH_LIMIT_MS = 2_000;
/** While a rollout runs: half of an evidence interval. */
const LIVE_INTERVAL_MS = 5_000;
const LEAST_INTERVAL_MS = 1_000;
const MOST_INTERVAL_MS = 5 * 60_000;
export const POST_TIMEOUT_MS = 10_000;
/** Problems that say of a batch that it will never be taken, and that the next one may come. */
const REFUSALS: ReadonlySet<unknown> = new Set(["telemetry_too_old", "invalid_request"]);
/** The server forgets boots; a batch that is older than this could be counted twice after it did (telemetry_too_old). */
const LONGEST_LIFE_MS = 60 * 60_000;

export function createFlusher(host: FlusherHost, intervalMs: number): Flusher {
  return new BatchFlusher(host, intervalMs);
}

class BatchFlusher implements Flusher {
  boot: string;
  restarts = 0;
  settled = 0;
  private readonly host: FlusherHost;
  private readonly timers: Timers<"tick" | "resend" | "spacing">;
  /** Of those who flush: they wait for a batch with all that was counted when they asked. */
  private readonly flushes = new Set<() => void>();
  /** They wait for the answer to the batch in flight, whatever is counted since. */
  private readonly flushesInFlight = new Set<() => void>();
  private readonly quietIntervalMs: number;
  private intervalMs: number;
  private isLive = false;
  private batch: NumberedBatch | null = null;
  private countingSince: number;
  private lastSentAt = Number.NEGATIVE_INFINITY;
  private request: Cancel | null = null;
  private failedPosts = 0;

  constructor(host: FlusherHost, intervalMs: number) {
    this.host = host;
    this.quietIntervalMs = intervalMs;
    this.intervalMs = intervalMs;
    this.timers = createTimers(host.platform.scheduler);
    this.countingSince = host.platform.clock.now();
    this.boot = newBoot(host.platform);
  }

  get inFlight(): { readonly exposures: number; readonly events: number } {
    if (this.batch === null) return { exposures: 0, events: 0 };
    const { report } = this.batch;
    return { exposures: exposuresOf(report), events: eventsOf(report) };
  }

  start(): void {
    this.timers.set("tick", this.intervalMs, () => {
      this.start();
      this.collect();
    });
  }

  setLive(isLive: boolean): void {
    if (isLive === this.isLive) return;
    this.isLive = isLive;
    // What the server asked for was for the other case.
    this.changeInterval(isLive ? Math.min(LIVE_INTERVAL_MS, this.quietIntervalMs) : this.quietIntervalMs);
  }

  carrierChanged(): void {
    this.request?.();
    this.request = null;
    this.timers.clear("resend");
    this.failedPosts = 0;
    if (this.batch !== null) this.transmit(this.batch);
    else if (this.flushes.size > 0) this.collect();
  }

  carrierFailed(): void {
    if (this.flushes.size + this.flushesInFlight.size > 0) this.collect();
  }

  welcomed(durable: number, settledBefore: number): void {
    if (durable < settledBefore) return this.restart();
    this.settle(durable);
    this.carrierChanged();
  }

  acknowledged(sequence: number, nextMs: number | undefined): void {
    if (nextMs !== undefined) this.setInterval(nextMs);
    // The batch in flight follows on what was settled. A server that has less cannot take it: it lost history.
    if (sequence < this.settled && this.batch !== null && sequence < this.batch.sequence - 1) return this.restart();
    this.settle(sequence);
  }

  refused(sequence: number): void {
    if (this.batch === null || this.batch.sequence !== sequence) return;
    this.host.source.giveUp(this.batch.report);
    this.settle(sequence);
  }

  delayed(retryAfterMs: number): void {
    if (this.batch === null) return;
    this.timers.set("resend", Math.min(retryAfterMs, MOST_INTERVAL_MS), () => this.resend());
  }

  flush(done: () => void): void {
    const finish = (): void => {
      cancel();
      const isWaiting = this.flushes.delete(finish) || this.flushesInFlight.delete(finish);
      if (isWaiting) done();
    };
    const cancel = this.host.platform.scheduler.after(FLUSH_LIMIT_MS, finish);
    this.flushes.add(finish);
    this.collect();
  }

  stop(): void {
    this.timers.end();
    this.request?.();
    this.request = null;
    this.finishFlushes();
  }

  /** Makes the next batch, if none is in flight, there is a way, and the last one is long enough ago. */
  private collect(): void {
    const { platform, source } = this.host;
    if (this.batch !== null) return this.transmitWhereNotWaiting(this.batch);
    if (source.isEmpty) return this.finishFlushes();
    if (this.host.carrier(this.boot) === null) return this.finishFlushesWithoutWay();
    const wait = this.lastSentAt + LIMITS.telemetryBatchIntervalMs - platform.clock.monotonic();
    if (wait > 0) return this.timers.set("spacing", wait, () => this.collect());
    const report = source.take();
    if (report === null) return this.finishFlushes();
    const to = platform.clock.now();
    const [sequence, numberedAt] = [this.settled + 1, platform.clock.monotonic()];
    this.batch = { boot: this.boot, sequence, from: Math.min(this.countingSince, to), to, numberedAt, report };
    this.countingSince = to;
    if (!report.isFull) {
      for (const finish of this.flushes) this.flushesInFlight.add(finish);
      this.flushes.clear();
    }
    this.transmit(this.batch);
  }

  private transmitWhereNotWaiting(batch: NumberedBatch): void {
    if (this.request === null && !this.timers.has("resend")) this.transmit(batch);
    if (this.host.carrier(this.boot) === null) this.finishFlushesWithoutWay();
  }

  private transmit(batch: NumberedBatch): void {
    const { platform, instance } = this.host;
    const monotonic = platform.clock.monotonic();
    if (monotonic - batch.numberedAt > LONGEST_LIFE_MS) return this.abandon(batch);
    const carrier = this.host.carrier(this.boot);
    if (carrier === null) return;
    const wait = this.lastSentAt + LIMITS.telemetryBatchIntervalMs - monotonic;
    if (wait > 0) return this.timers.set("resend", wait, () => this.resend());
    this.lastSentAt = monotonic;
    const rendered = renderBatch(batch, instance, monotonic);
    if (carrier.kind === "stream") {
      carrier.send(rendered);
      this.timers.set("resend", RESEND_MS, () => this.resend());
    } else {
      this.request = carrier.send(JSON.stringify(rendered), (outcome) => this.takeAnswer(outcome));
    }
  }

  private resend(): void {
    if (this.batch !== null) this.transmit(this.batch);
  }

  private takeAnswer(outcome: HttpOutcome): void {
    this.request = null;
    const answer = outcome.kind === "answered" ? parseJson(outcome.body) : undefined;
    if (
      outcome.kind === "answered" &&
      outcome.status >= 200 &&
      outcome.status < 300 &&
      isObject(answer) &&
      isCount(answer.sequence)
    ) {
      this.failedPosts = 0;
      return this.acknowledged(answer.sequence, isCount(answer.nextMs) ? answer.nextMs : undefined);
    }
    if (isObject(answer) && REFUSALS.has(answer.code) && this.batch !== null) return this.refused(this.batch.sequence);
    const failure = failureOf(outcome);
    const delay = retryDelayMs({
      failure,
      failed: this.failedPosts,
      livedMs: 0,
      random: this.host.platform.random.next(),
    });
    this.failedPosts = Math.min(this.failedPosts + 1, 64);
    this.timers.set("resend", Math.max(delay, LIMITS.telemetryBatchIntervalMs), () => this.resend());
  }

  private settle(sequence: number): void {
    const { batch } = this;
    if (batch === null || sequence < batch.sequence) return;
    this.settled = batch.sequence;
    this.batch = null;
    this.timers.clear("resend");
    this.request?.();
    this.request = null;
    for (const finish of this.flushesInFlight) finish();
    // Somebody waits for what was counted since; or more waits than one batch holds.
    if (this.flushes.size > 0 || batch.report.isFull) this.collect();
  }

  /** The server has lost what it acknowledged. The batch in flight is not in its new history: the same cells, a new name. */
  private restart(): void {
    this.restarts += 1;
    this.renameBoot();
    if (this.batch !== null) this.batch = { ...this.batch, boot: this.boot, sequence: 1 };
    this.host.bootChanged(this.boot);
  }

  /** Whether this batch arrived will never be known. Its number must not be used again, so the count begins anew. */
  private abandon(batch: NumberedBatch): void {
    this.host.source.giveUp(batch.report);
    this.batch = null;
    this.renameBoot();
    this.host.bootChanged(this.boot);
  }

  private renameBoot(): void {
    this.boot = newBoot(this.host.platform);
    this.settled = 0;
    this.timers.clear("resend");
    this.request?.();
    this.request = null;
  }

  private setInterval(nextMs: number): void {
    this.changeInterval(Math.min(Math.max(nextMs, LEAST_INTERVAL_MS), MOST_INTERVAL_MS));
  }

  private changeInterval(intervalMs: number): void {
    if (intervalMs === this.intervalMs) return;
    this.intervalMs = intervalMs;
    this.start();
  }

  /** A job may be done before its first connection is there. */
  private finishFlushesWithoutWay(): void {
    if (!this.host.isConnecting()) this.finishFlushes();
  }

  private finishFlushes(): void {
    for (const finish of [...this.flushes, ...this.flushesInFlight]) finish();
  }
}

function newBoot({ random }: Platform): string {
  return Array.from(random.bytes(16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function failureOf(outcome: HttpOutcome): Failure {
  if (outcome.kind === "failed") return { kind: "network", code: outcome.code };
  const retryAfterMs = parseRetryAfter(outcome.headers.get("retry-after"));
  return { kind: "refused", status: outcome.status, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}
