import type { EnvironmentKey, FlagKey, TelemetryBatch } from "@bunting/contracts";
import { telemetryBatch } from "@bunting/contracts";
import type { Registry } from "prom-client";
import type { State } from "../ledger/state.ts";
import type { Cancel, Clock, Logger, Scheduler } from "../ports.ts";
import { mergeBatches, type Submission, type TelemetryAnswer } from "./merge.ts";
import { createTelemetryMetrics, type TelemetryMetrics } from "./telemetry-metrics.ts";
import { isDamage, TelemetryStore } from "./telemetry-store.ts";

export type { TelemetryAnswer } from "./merge.ts";

/** What names a batch within an environment. */
export type BatchIdentity = Pick<TelemetryBatch, "instance" | "boot" | "sequence">;

/** What SDKs report, counted exactly once. Never in the way of flags: its failures are its own. */
export interface Telemetry {
  /** Highest sequence of this boot that is durable, else 0. */
  lastSequence(environment: EnvironmentKey, instance: string, boot: string): number;
  /** Merges a batch, together with others. Resolves after COMMIT; never rejects. */
  record(environment: EnvironmentKey, batch: TelemetryBatch): Promise<TelemetryAnswer>;
  /** Takes the sequence of a batch whose content can never be merged, so that the next one counts. */
  refuse(environment: EnvironmentKey, batch: BatchIdentity): Promise<void>;
  /** How often each variant was served since an instant (Unix ms; to the minute for 24 hours, to the hour before). */
  exposures(environment: EnvironmentKey, flag: FlagKey, sinceMs: number): Readonly<Record<string, number>>;
  /** Evaluations of flags that do not exist, by the name the application used; `__other__` for names beyond the limit. */
  unknownFlags(environment: EnvironmentKey): Readonly<Record<string, number>>;
  close(): void;
}

export interface TelemetryDeps {
  /** Path of its own database. */
  readonly file: string;
  /** Which flags and variants there are. */
  readonly state: () => Pick<State, "flags">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** Batches that arrive within this time share a commit, and its fsync. */
const GATHER_MS = 20;
/** Batches in one commit: about 20 ms of work. */
const BATCHES_PER_COMMIT = 200;
/** Above this a batch is not taken, and comes again. */
const MAXIMUM_WAITING = 10_000;
/** After a failed commit nothing is tried for this long. */
const PAUSE_MS = 1_000;
const PRUNE_MS = 60_000;

/** Throws a StartupError if the database is another's or cannot be written. A damaged one is put aside and begun anew. */
export function openTelemetry(deps: TelemetryDeps): Telemetry {
  return new DurableTelemetry(deps);
}

class DurableTelemetry implements Telemetry {
  readonly #deps: TelemetryDeps;
  readonly #metrics: TelemetryMetrics;
  readonly #cancelPruning: Cancel;
  #store: TelemetryStore;
  #waiting: (Submission & { readonly answer: (answer: TelemetryAnswer) => void })[] = [];
  #committing = false;
  #pausedUntil = -Infinity;
  #closed = false;

  constructor(deps: TelemetryDeps) {
    this.#deps = deps;
    this.#metrics = createTelemetryMetrics(deps.registry);
    this.#store = TelemetryStore.open(deps.file, (aside) => {
      deps.logger.error({ file: deps.file, aside }, "telemetry database was damaged and is begun anew");
    });
    this.#cancelPruning = deps.scheduler.every(PRUNE_MS, () => this.#prune());
  }

  lastSequence(environment: EnvironmentKey, instance: string, boot: string): number {
    if (instance === "" || boot === "") return 0;
    return this.#attempt(() => this.#store.lastSequence(environment, instance, boot)) ?? 0;
  }

  record(environment: EnvironmentKey, batch: TelemetryBatch): Promise<TelemetryAnswer> {
    return this.#submit({ environment, batch, receivedAt: this.#deps.clock.now() });
  }

  async refuse(environment: EnvironmentKey, { instance, boot, sequence }: BatchIdentity): Promise<void> {
    const nothing = { instance, boot, sequence, from: 0, to: 0, ageMs: 0, cells: [] };
    this.#metrics.batches.inc({ outcome: "malformed" });
    await this.#submit({ environment, batch: nothing, receivedAt: this.#deps.clock.now() });
  }

  exposures(environment: EnvironmentKey, flag: FlagKey, sinceMs: number): Readonly<Record<string, number>> {
    return this.#attempt(() => this.#store.exposures(environment, flag, sinceMs, this.#deps.clock.now())) ?? {};
  }

  unknownFlags(environment: EnvironmentKey): Readonly<Record<string, number>> {
    return this.#attempt(() => this.#store.unknownFlags(environment)) ?? {};
  }

  close(): void {
    this.#cancelPruning();
    while (this.#waiting.length > 0) this.#commit();
    this.#closed = true;
    this.#store.close();
  }

  #submit(submission: Submission): Promise<TelemetryAnswer> {
    const isPaused = this.#deps.clock.monotonic() < this.#pausedUntil;
    if (this.#closed || isPaused || this.#waiting.length >= MAXIMUM_WAITING) {
      this.#metrics.batches.inc({ outcome: "unavailable" });
      return Promise.resolve({ type: "unavailable" });
    }
    return new Promise((answer) => {
      this.#waiting.push({ ...submission, answer });
      if (this.#committing) return;
      this.#committing = true;
      this.#deps.scheduler.after(GATHER_MS, () => this.#commitAll());
    });
  }

  /** One commit at a time, with the event loop in between. */
  #commitAll(): void {
    this.#commit();
    this.#committing = this.#waiting.length > 0;
    if (this.#committing) this.#deps.scheduler.soon(() => this.#commitAll());
  }

  #commit(): void {
    const submissions = this.#waiting.splice(0, BATCHES_PER_COMMIT);
    if (submissions.length === 0 || this.#closed) return;
    const startedAt = this.#deps.clock.monotonic();
    const answers = this.#attempt(() => this.#store.transaction(() => this.#merge(submissions)));
    this.#metrics.commitSeconds.observe((this.#deps.clock.monotonic() - startedAt) / 1_000);
    for (const [index, { answer }] of submissions.entries()) answer(answers?.[index] ?? { type: "unavailable" });
    if (!answers) this.#metrics.batches.inc({ outcome: "unavailable" }, submissions.length);
  }

  #merge(submissions: readonly Submission[]): readonly TelemetryAnswer[] {
    const { flags } = this.#deps.state();
    const merged = mergeBatches(submissions, {
      lastSequence: (environment, { instance, boot }) => this.#store.storedSequence(environment, instance, boot),
      hasFlag: (flag) => flags.has(flag as FlagKey),
      hasVariant: (flag, variant) => {
        const known = flags.get(flag as FlagKey);
        return (
          known !== undefined &&
          (Object.hasOwn(known.variants, variant) || Object.hasOwn(known.retiredVariants, variant))
        );
      },
    });
    for (const boot of merged.boots) this.#store.putBoot(boot);
    for (const exposure of merged.exposures) this.#store.addExposures(exposure);
    for (const unknown of merged.unknown) this.#store.addUnknown(unknown);
    for (const [environment, count] of merged.dropped) this.#store.addDropped(environment, count);
    for (const outcome of merged.outcomes) this.#metrics.batches.inc({ outcome });
    return merged.answers;
  }

  #prune(): void {
    const { clock, scheduler } = this.#deps;
    const more = !this.#closed && this.#attempt(() => this.#store.pruneSome(clock.now()));
    if (more) scheduler.soon(() => this.#prune());
  }

  /** Undefined if the database failed: then nothing is acknowledged, and what was sent comes again. */
  #attempt<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      const { clock, file, logger } = this.#deps;
      logger.error({ error, file }, "telemetry could not be stored");
      this.#metrics.failures.inc();
      this.#pausedUntil = clock.monotonic() + PAUSE_MS;
      if (isDamage(error)) this.#beginAnew();
      return undefined;
    }
  }

  #beginAnew(): void {
    const { file, logger } = this.#deps;
    try {
      this.#store = this.#store.replace();
      logger.error({ file }, "telemetry database was damaged and is begun anew");
    } catch (error) {
      logger.error({ error, file }, "telemetry is off until the next start");
      this.#pausedUntil = Infinity;
    }
  }
}

const identityShape = telemetryBatch.pick({ instance: true, boot: true, sequence: true });

/** The identity of a batch whose content does not fit, or null if not even that can be read. */
export function telemetryIdentity(message: unknown): BatchIdentity | null {
  if (typeof message !== "object" || message === null) return null;
  const { type, batch } = message as { readonly type?: unknown; readonly batch?: unknown };
  const parsed = identityShape.safeParse(batch);
  return type === "telemetry" && parsed.success ? parsed.data : null;
}
