import type { EnvironmentKey, FlagKey, Rollout, TelemetryBatch } from "@bunting/contracts";
import { telemetryBatch } from "@bunting/contracts";
import { namedGuardrails } from "@bunting/gating";
import type { Registry } from "prom-client";
import type { State } from "../ledger/state.ts";
import { fromInstant } from "../platform/instant.ts";
import type { Cancel, Clock, Logger, Scheduler } from "../ports.ts";
import type { EvidenceMerge } from "./evidence-merge.ts";
import type { AttemptKey, EvidenceStore, UnknownVariant } from "./evidence-store.ts";
import { ForgottenBoots } from "./forgotten-boots.ts";
import { IntervalIndex } from "./interval-index.ts";
import { mergeBatches, type Submission, type TelemetryAnswer } from "./merge.ts";
import { createTelemetryMetrics, type TelemetryMetrics } from "./telemetry-metrics.ts";
import { isDamage, TelemetryStore, type UnknownFlag } from "./telemetry-store.ts";
import { WaitingBatches } from "./waiting-batches.ts";

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
  /** What was reported of names that do not exist; `__other__` stands for those beyond the limits. */
  unknown(environment: EnvironmentKey): Unknown;
  /** Flags that local overrides force, by instance and boot, as their latest batches say. */
  overridden(environment: EnvironmentKey): readonly Overridden[];
  /** The interval index now. Evidence that is usable at it never changes again; see interval-index.ts. */
  index(): number;
  /** Reads or writes evidence, all or nothing. Null if the database failed. */
  withEvidence<Result>(work: (evidence: EvidenceStore) => Result): Result | null;
  /**
   * To be called once rollouts are known. Forgets evidence of attempts and stages that they have not come to: a backup was put
   * back, and what is to come again begins with none.
   */
  forgetUnserved(): void;
  /** Called after the COMMIT that stored something of a rollout, once for each. */
  onEvidence(listener: (rollout: string) => void): Cancel;
  close(): void;
}

export interface Unknown {
  readonly flags: readonly UnknownFlag[];
  readonly variants: readonly UnknownVariant[];
  /** Evidence that could not be stored, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface Overridden {
  readonly instance: string;
  readonly boot: string;
  readonly flags: readonly string[];
}

export interface TelemetryDeps {
  /** Path of its own database. */
  readonly file: string;
  /** Which flags and variants there are. */
  readonly state: () => Pick<State, "flags">;
  /** A rollout as it stands now, whatever its state. */
  readonly rollout: (id: string) => Rollout | undefined;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** Batches that arrive within this time share a commit, and its fsync. */
const GATHER_MS = 20;
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
  readonly #index: IntervalIndex;
  readonly #forgotten = new ForgottenBoots();
  readonly #listeners = new Set<(rollout: string) => void>();
  /** The highest index that anybody knows of. */
  #told: number;
  #store: TelemetryStore;
  readonly #waiting = new WaitingBatches<Submission & { readonly answer: (answer: TelemetryAnswer) => void }>();
  #committing = false;
  #pausedUntil = -Infinity;
  /** There is no database to be had any more. */
  #isOff = false;
  #closed = false;

  constructor(deps: TelemetryDeps) {
    this.#deps = deps;
    this.#metrics = createTelemetryMetrics(deps.registry);
    this.#store = TelemetryStore.open(deps.file, (aside) => {
      deps.logger.error({ file: deps.file, aside }, "telemetry database was damaged and is begun anew");
    });
    this.#told = this.#store.evidence.index;
    this.#index = new IntervalIndex(deps.clock, this.#told);
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

  unknown(environment: EnvironmentKey): Unknown {
    const read = (): Unknown => ({
      flags: this.#store.unknownFlags(environment).filter(({ flag }) => !this.#hasFlag(flag)),
      variants: this.#store.evidence
        .unknownVariants(environment)
        .filter(({ flag, variant }) => !this.#hasVariant(flag, variant)),
      refused: this.#store.evidence.refused(environment),
    });
    return this.#attempt(read) ?? { flags: [], variants: [], refused: {} };
  }

  overridden(environment: EnvironmentKey): readonly Overridden[] {
    return this.#attempt(() => this.#store.overridden(environment)) ?? [];
  }

  /**
   * Stored before it is told: what was usable at it must stay so, also if the next process starts with a clock that was set back.
   * Where it cannot be stored the one before is told once more, and evidence becomes usable late.
   */
  index(): number {
    const index = this.#index.now();
    if (index > this.#told) this.#told = this.withEvidence((evidence) => evidence.raiseIndex(index)) ?? this.#told;
    return this.#told;
  }

  withEvidence<Result>(work: (evidence: EvidenceStore) => Result): Result | null {
    if (this.#closed) return null;
    return this.#attempt(() => this.#store.transaction(() => work(this.#store.evidence))) ?? null;
  }

  forgetUnserved(): void {
    this.withEvidence((evidence) => evidence.forgetUnserved(this.#deps.rollout));
  }

  onEvidence(listener: (rollout: string) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#cancelPruning();
    while (!this.#waiting.isEmpty) this.#commit();
    this.#closed = true;
    this.#store.close();
  }

  #submit(submission: Submission): Promise<TelemetryAnswer> {
    const isPaused = this.#isOff || this.#deps.clock.monotonic() < this.#pausedUntil;
    return new Promise((answer) => {
      if (this.#closed || isPaused || !this.#waiting.add({ ...submission, answer })) {
        this.#metrics.batches.inc({ outcome: "unavailable" });
        return answer({ type: "unavailable" });
      }
      if (this.#committing) return;
      this.#committing = true;
      this.#deps.scheduler.after(GATHER_MS, () => this.#commitAll());
    });
  }

  /** One commit at a time, with the event loop in between. */
  #commitAll(): void {
    this.#commit();
    this.#committing = !this.#waiting.isEmpty;
    if (this.#committing) this.#deps.scheduler.soon(() => this.#commitAll());
  }

  #commit(): void {
    const submissions = this.#waiting.take();
    if (submissions.length === 0 || this.#closed) return;
    const startedAt = this.#deps.clock.monotonic();
    const merged = this.#attempt(() => this.#store.transaction(() => this.#merge(submissions)));
    this.#metrics.commitSeconds.observe((this.#deps.clock.monotonic() - startedAt) / 1_000);
    for (const [index, { answer }] of submissions.entries()) {
      answer(merged?.answers[index] ?? { type: "unavailable" });
    }
    if (merged) this.#announce(merged);
    else this.#metrics.batches.inc({ outcome: "unavailable" }, submissions.length);
  }

  #merge(submissions: readonly Submission[]): Committed {
    const index = this.#index.now();
    const known = {
      index,
      lastSequence: (environment: EnvironmentKey, { instance, boot }: BatchIdentity) =>
        this.#store.storedSequence(environment, instance, boot),
      hasFlag: (flag: string) => this.#hasFlag(flag),
      hasVariant: (flag: string, variant: string) => this.#hasVariant(flag, variant),
      rollout: this.#deps.rollout,
    };
    const merged = mergeBatches(submissions, known);
    for (const boot of merged.boots) this.#store.putBoot(boot);
    for (const exposure of merged.exposures) this.#store.addExposures(exposure);
    for (const unknown of merged.unknown) this.#store.addUnknown(unknown);
    for (const [environment, count] of merged.dropped) this.#store.addDropped(environment, count);
    const refused = this.#mergeEvidence(merged.evidence, index, submissions[0]?.receivedAt ?? 0);
    return { ...merged, refused };
  }

  #hasFlag(flag: string): boolean {
    return this.#deps.state().flags.has(flag as FlagKey);
  }

  #hasVariant(flag: string, variant: string): boolean {
    const found = this.#deps.state().flags.get(flag as FlagKey);
    if (!found) return false;
    return Object.hasOwn(found.variants, variant) || Object.hasOwn(found.retiredVariants, variant);
  }

  /** Answers what was refused, by reason. */
  #mergeEvidence(merge: EvidenceMerge, index: number, now: number): Committed["refused"] {
    const { evidence } = this.#store;
    for (const stranger of merge.unknownVariants)
      evidence.addUnknownVariant(stranger.environment, { ...stranger, lastAt: now });
    // Later than its batches were received: a gauge may have been posted while they waited.
    const times = { index, committedAt: this.#deps.clock.now() };
    if (!merge.isEmpty) evidence.merge(merge, times, (rollout) => metricsOf(this.#deps.rollout(rollout)));
    const total = new Map<string, number>();
    for (const [environment, reasons] of merge.refused) {
      for (const [reason, count] of reasons) {
        evidence.addRefused(environment, reason, count);
        total.set(reason, (total.get(reason) ?? 0) + count);
      }
    }
    return total;
  }

  /** After COMMIT: nobody is told, and nothing counted, that a roll-back takes away. */
  #announce({ outcomes, dropped, evidenceDropped, evidence, refused }: Committed): void {
    for (const outcome of outcomes) this.#metrics.batches.inc({ outcome });
    for (const count of dropped.values()) this.#metrics.dropped.inc({ what: "exposures" }, count);
    this.#metrics.dropped.inc({ what: "evidence" }, evidenceDropped);
    this.#metrics.evidenceCells.inc(
      { outcome: "stored" },
      evidence.sums.reduce((sum, { cellCount }) => sum + cellCount, 0),
    );
    for (const [reason, count] of refused) this.#metrics.evidenceCells.inc({ outcome: reason }, count);
    const rollouts = new Set([...evidence.sums, ...evidence.reporters].map(({ rollout }) => rollout));
    for (const rollout of rollouts) for (const listener of this.#listeners) listener(rollout);
  }

  #prune(): void {
    const { clock, scheduler } = this.#deps;
    const pruneSome = (now: number): boolean => {
      const counts = this.#store.pruneSome(now, this.#forgotten.before(now, clock.monotonic()));
      return this.#store.evidence.pruneSome(now, (attempt) => this.#endOf(attempt)) || counts;
    };
    const more = !this.#closed && this.#attempt(() => pruneSome(clock.now()));
    if (more) scheduler.soon(() => this.#prune());
  }

  /** Unix ms; null while the attempt lives. One that was retried ended with its last evidence, as far as is known here. */
  #endOf({ rollout: id, attempt, lastAt }: AttemptKey & { readonly lastAt: number }): number | null {
    const rollout = this.#deps.rollout(id);
    if (rollout?.attempt !== attempt) return lastAt;
    return rollout.endedAt === null ? null : Math.max(lastAt, fromInstant(rollout.endedAt));
  }

  /** Undefined if the database failed: then nothing is acknowledged, and what was sent comes again. */
  #attempt<Result>(work: () => Result): Result | undefined {
    if (this.#isOff) return undefined;
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
      this.#isOff = true;
    }
  }
}

type Committed = ReturnType<typeof mergeBatches> & { readonly refused: ReadonlyMap<string, number> };

/** Custom metrics that a plan judges by. */
function metricsOf(rollout: Rollout | undefined): readonly string[] {
  if (!rollout) return [];
  return namedGuardrails(rollout.plan).flatMap(({ guardrail }) =>
    "kind" in guardrail && guardrail.kind === "ratio" ? [guardrail.metric] : [],
  );
}

const identityShape = telemetryBatch.pick({ instance: true, boot: true, sequence: true });

/** The identity of a batch whose content does not fit, or null if not even that can be read. */
export function telemetryIdentity(message: unknown): BatchIdentity | null {
  if (typeof message !== "object" || message === null) return null;
  const { type, batch } = message as { readonly type?: unknown; readonly batch?: unknown };
  const parsed = identityShape.safeParse(batch);
  return type === "telemetry" && parsed.success ? parsed.data : null;
}
