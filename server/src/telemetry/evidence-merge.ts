import type { BreakerReport, EnvironmentKey, EvidenceCell, Rollout, TelemetryBatch } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { CellSum } from "./cell-sum.ts";
import { intervalOf } from "./interval-index.ts";

/*
 * What the evidence of a number of batches comes to. Pure, and part of the merge of the batches: see merge.ts.
 */

export type KnownRollout = Pick<Rollout, "id" | "environment" | "flag" | "attempt" | "stage" | "plan">;

/** Whether a rollout has come as far as this: what was never served gave no evidence. */
export function isServed(
  rollout: Pick<Rollout, "attempt" | "stage">,
  { attempt, stage = 0 }: { readonly attempt: number; readonly stage?: number },
): boolean {
  // Attempts before reached whatever they reached. One that has not begun has no stage.
  return attempt < rollout.attempt || (attempt === rollout.attempt && rollout.stage !== null && stage <= rollout.stage);
}

export interface EvidenceReport {
  readonly environment: EnvironmentKey;
  readonly batch: TelemetryBatch;
  /** Unix ms. */
  readonly receivedAt: number;
}

/** What is known before, as of this transaction. */
export interface KnownRollouts {
  /** The interval index now, at the commit; see {@link availableAt}. */
  readonly index: number;
  rollout(id: string): KnownRollout | undefined;
  hasVariant(flag: string, variant: string): boolean;
}

export interface EvidenceKey {
  readonly rollout: string;
  readonly attempt: number;
  readonly stage: number;
  readonly variant: string;
  readonly interval: number;
  readonly availableAt: number;
}

/** All cells of one arm, stage and interval that arrived before the same index. */
export interface EvidenceSum extends EvidenceKey {
  readonly environment: EnvironmentKey;
  readonly sum: CellSum;
  readonly cellCount: number;
  /** Unix ms, of the last of them. */
  readonly lastAt: number;
}

/** What one process said of one attempt. */
export interface ReporterRow {
  readonly environment: EnvironmentKey;
  readonly rollout: string;
  readonly attempt: number;
  readonly instance: string;
  readonly boot: string;
  /** The latest stage of which it reported canary traffic; null: none in this commit. */
  readonly canaryStage: number | null;
  /** Null: it said nothing of its breaker. */
  readonly breaker: BreakerReport | null;
  /** Unix ms. */
  readonly lastAt: number;
}

interface GaugeRow {
  readonly environment: EnvironmentKey;
  readonly metric: string;
  /** Unix ms. */
  readonly at: number;
  readonly value: number;
}

export interface PostedGauge extends GaugeRow {
  readonly source: "posted";
}

/** What processes said of one interval, dated by its beginning. `value` is the last of it. */
export interface ReportedGauge extends GaugeRow {
  readonly source: "sdk";
  readonly lowest: number;
  readonly highest: number;
}

/** Why evidence was not stored. A fixed set: it labels a metric. */
export type EvidenceRefusal =
  | "unknown_rollout"
  | "unknown_attempt"
  | "unknown_stage"
  | "unknown_variant"
  | "misdated"
  | "row_limit"
  | "metric_limit"
  | "reporter_limit"
  | "gauge_limit";

/** Evidence of an interval is usable once whoever will has reported it: two flushes after its end. */
const WATERMARK_INTERVALS = 2;

/** An hour that a batch may live, and an hour for the outcome of an exposure to come in. */
const OLDEST_INTERVALS = (2 * 60 * 60 * 1000) / EVIDENCE_INTERVAL_MS;

/**
 * The index from which on a cell is usable, if it arrives at `index`. Always one that has not begun yet, so that no row that
 * somebody may have decided by ever changes.
 */
function availableAt(interval: number, index: number): number {
  return Math.max(interval + WATERMARK_INTERVALS, index + 1);
}

/** Sums what batches report, and counts what cannot be taken. */
export class EvidenceMerge {
  readonly #known: KnownRollouts;
  readonly #sums = new Map<string, EvidenceSum>();
  readonly #reporters = new Map<string, ReporterRow>();
  readonly #gauges = new Map<string, ReportedGauge>();
  readonly #refused = new Map<EnvironmentKey, Map<EvidenceRefusal, number>>();
  readonly #strangers: { environment: EnvironmentKey; flag: string; variant: string; count: number }[] = [];

  constructor(known: KnownRollouts) {
    this.#known = known;
  }

  get sums(): readonly EvidenceSum[] {
    return [...this.#sums.values()];
  }

  /** Whether there is nothing to store. */
  get isEmpty(): boolean {
    return this.#sums.size + this.#reporters.size + this.#gauges.size === 0;
  }

  get reporters(): readonly ReporterRow[] {
    return [...this.#reporters.values()];
  }

  get gauges(): readonly ReportedGauge[] {
    return [...this.#gauges.values()];
  }

  get refused(): ReadonlyMap<EnvironmentKey, ReadonlyMap<EvidenceRefusal, number>> {
    return this.#refused;
  }

  get unknownVariants(): readonly {
    readonly environment: EnvironmentKey;
    readonly flag: string;
    readonly variant: string;
    readonly count: number;
  }[] {
    return this.#strangers;
  }

  add(report: EvidenceReport): void {
    const { environment, batch, receivedAt } = report;
    for (const cell of batch.evidence ?? []) this.#addCell(report, cell);
    for (const breaker of batch.breakers ?? []) {
      const rollout = this.#find(environment, breaker);
      if (rollout) this.#heard(report, breaker, { breaker });
    }
    const present = intervalOf(receivedAt);
    for (const { metric, last, interval } of batch.gauges ?? []) {
      const at = Math.min(interval, present) * EVIDENCE_INTERVAL_MS;
      const key = JSON.stringify([environment, metric, at]);
      // Of several processes the one that is heard last must not hide what the others said.
      const { lowest, highest } = this.#gauges.get(key) ?? { lowest: last, highest: last };
      this.#gauges.set(key, {
        environment,
        metric,
        source: "sdk",
        at,
        value: last,
        lowest: Math.min(lowest, last),
        highest: Math.max(highest, last),
      });
    }
  }

  /** Counts something that was not stored. */
  refuse(environment: EnvironmentKey, reason: EvidenceRefusal, count = 1): undefined {
    if (count === 0) return;
    const reasons = this.#refused.get(environment) ?? new Map<EvidenceRefusal, number>();
    this.#refused.set(environment, reasons.set(reason, (reasons.get(reason) ?? 0) + count));
  }

  /** Exposures of a variant that its flag does not have. */
  addStranger(environment: EnvironmentKey, flag: string, variant: string, count: number): void {
    this.#strangers.push({ environment, flag, variant, count });
  }

  #addCell(report: EvidenceReport, cell: EvidenceCell): void {
    const { environment, receivedAt } = report;
    const rollout = this.#find(environment, cell);
    if (!rollout) return;
    const { rollout: id, attempt, stage, variant } = cell;
    if (!rollout.plan.stages[stage] || !isServed(rollout, cell)) return this.refuse(environment, "unknown_stage");
    if (!this.#known.hasVariant(rollout.flag, variant)) return this.refuse(environment, "unknown_variant");
    const present = intervalOf(receivedAt);
    if (cell.interval < present - OLDEST_INTERVALS) return this.refuse(environment, "misdated");
    // Nothing is exposed after it was reported: a clock runs ahead, if only by the time the batch was on its way.
    const interval = Math.min(cell.interval, present);
    const names = {
      rollout: id,
      attempt,
      stage,
      variant,
      interval,
      availableAt: availableAt(interval, this.#known.index),
    };
    const key = JSON.stringify(Object.values(names));
    const before = this.#sums.get(key);
    const sum = (before?.sum ?? new CellSum()).add(cell);
    this.#sums.set(key, { ...names, environment, sum, cellCount: (before?.cellCount ?? 0) + 1, lastAt: receivedAt });
    const isCanary = variant === rollout.plan.canary && cell.exposureCount > 0;
    this.#heard(report, cell, { canaryStage: isCanary ? stage : null });
  }

  #heard(
    { environment, batch, receivedAt }: EvidenceReport,
    { rollout, attempt }: Pick<EvidenceCell, "rollout" | "attempt">,
    said: Partial<Pick<ReporterRow, "canaryStage" | "breaker">>,
  ): void {
    const { instance, boot } = batch;
    const key = JSON.stringify([rollout, attempt, instance, boot]);
    const before = this.#reporters.get(key);
    this.#reporters.set(key, {
      environment,
      rollout,
      attempt,
      instance,
      boot,
      canaryStage: latest(said.canaryStage ?? null, before?.canaryStage ?? null),
      breaker: said.breaker ?? before?.breaker ?? null,
      lastAt: receivedAt,
    });
  }

  #find(environment: EnvironmentKey, { rollout: id, attempt }: Pick<EvidenceCell, "rollout" | "attempt">) {
    const rollout = this.#known.rollout(id);
    if (rollout?.environment !== environment) return this.refuse(environment, "unknown_rollout");
    if (!isServed(rollout, { attempt })) return this.refuse(environment, "unknown_attempt");
    return rollout;
  }
}

function latest(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other);
}
