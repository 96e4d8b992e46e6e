import type { EvidenceCell, Rollout } from "@bunting/contracts";
import type { Breakers, EvidenceInterval, Sample } from "@bunting/gating";
import type { Cancel } from "../ports.ts";

/*
 * What is known of running rollouts, for whoever judges them. Evidence is written with the batch that brought it
 * (telemetry/), and read here; nothing here decides anything.
 */

/** One attempt and its two arms. */
export interface AttemptArms {
  readonly rollout: string;
  readonly attempt: number;
  readonly canary: string;
  readonly control: string;
}

export function armsOf({ id, attempt, plan }: Pick<Rollout, "id" | "attempt" | "plan">): AttemptArms {
  return { rollout: id, attempt, canary: plan.canary, control: plan.control };
}

/** What of a rollout says which values from outside are its attempt's. */
export type Sampled = Pick<Rollout, "id" | "attempt" | "environment" | "plan" | "startedAt">;

/** Bounds on `availableAt`, the interval index at which evidence became usable. */
export interface AvailabilityRange {
  /** Left out: from the beginning. */
  readonly after?: number;
  readonly through: number;
}

/** Unix ms of the last batch with evidence of each arm; null: none in this attempt. */
export interface LastReceived {
  readonly canary: number | null;
  readonly control: number | null;
}

export interface GaugeValue {
  /** Unix ms. */
  readonly at: number;
  readonly value: number;
}

/** One stored row: all instances' cells of one arm, stage and interval that became usable at the same time. */
export interface EvidenceRow extends EvidenceCell {
  readonly availableAt: number;
}

/** Names one row of an attempt. */
export type EvidencePlace = Pick<EvidenceRow, "interval" | "stage" | "availableAt"> & { readonly variant: string };

export interface EvidencePageRange {
  /** The row before; null: from the beginning. */
  readonly after: EvidencePlace | null;
  /** On `availableAt`. */
  readonly through: number;
  readonly limit: number;
}

export interface EvidenceSource {
  /**
   * The interval index now. What has `availableAt` at most this MUST never change again, also over restarts and a clock that
   * is set back: a decision stores this number and no copy of the evidence, and is replayed from it.
   */
  through(): number;
  /**
   * Everything of an attempt that became usable in the range, by interval and stage. The same range gives the same answer
   * for ever. Late evidence of an interval comes in a range of its own: merge by addition. Null if it cannot be read at the
   * moment, which is not the same as no evidence.
   */
  intervals(arms: AttemptArms, range: AvailabilityRange): readonly EvidenceInterval[] | null;
  /**
   * The 60 s before `now` (Unix ms) as far as received, the interval under way included: for gross failures. Not behind the
   * watermark and so not repeatable: who decides by it keeps it.
   */
  recent(arms: AttemptArms, now: number): readonly EvidenceInterval[];
  /** The rows of `intervals`, as JSON: what a decision is made of and replayed from. Null as there. */
  cells(arms: AttemptArms, range: AvailabilityRange): readonly EvidenceRow[] | null;
  /** How many rows of an attempt had become usable at `through`. Null as there. */
  count(arms: AttemptArms, through: number): number | null;
  /** The same rows bit by bit, by interval, stage, variant and availability. Null as there. */
  page(arms: AttemptArms, range: EvidencePageRange): readonly EvidenceRow[] | null;
  /** The rows of `recent`. */
  recentCells(arms: AttemptArms, now: number): readonly EvidenceRow[];
  lastReceived(arms: AttemptArms): LastReceived;
  /** By what instances said within ten minutes. `stage`: canary traffic of it or one before makes an instance count. */
  breakers(arms: AttemptArms, stage: number): Breakers;
  /** The last values that SDKs reported and people posted, oldest first. */
  gauges(environment: string, metric: string, sinceMs: number): readonly GaugeValue[];
  /** The latest of each gauge and Prometheus guardrail that this attempt has, by guardrail id. */
  samples(rollout: Sampled): ReadonlyMap<string, Sample>;
  /** Called after the COMMIT that stored evidence or a breaker's report of a rollout, once for each. */
  onArrival(listener: (rollout: string) => void): Cancel;
}
