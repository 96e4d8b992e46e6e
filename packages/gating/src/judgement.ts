import type { DecisionCounts, Guardrail, GuardrailVerdict, HoldCause, RolloutPlan, Verdict } from "@bunting/contracts";
import type { EvidenceInterval } from "./evidence.ts";

/*
 * What `judgeGuardrails` is given and what it answers. Windows, approvals and what people asked for are not its business:
 * those belong to the rollout machine, which decides with a judgement in hand. All times are Unix ms.
 */

export interface JudgementInputs {
  readonly plan: RolloutPlan;
  /** Index in `plan.stages`. */
  readonly stage: number;
  /** When the stage's configuration was committed. */
  readonly stageStartedAt: number;
  /** All of the attempt, in any order, each interval and stage once; those of stages before are looked at too. */
  readonly intervals: readonly EvidenceInterval[];
  /** Latest value of each gauge and Prometheus guardrail, by guardrail id. */
  readonly samples: ReadonlyMap<string, Sample>;
  readonly breakers: Breakers;
  /** What the judgement before said (`failingSince`), by guardrail id; empty at the start of an attempt. */
  readonly failingSince: ReadonlyMap<string, number>;
  readonly now: number;
  /**
   * Since when evidence has been listened to without a break: a server's start, or a jump of its clock. Time before that is no
   * silence of the canary, and proves nothing by passing.
   *
   * @default always
   */
  readonly watchedSince?: number;
}

/** One value from outside. `value: null` is an answer without a value; `error` is no answer. */
export type Sample =
  | { readonly at: number; readonly value: number | null }
  /** A gauge that processes report: the last report, and the range of all that count. */
  | { readonly at: number; readonly value: number; readonly lowest: number; readonly highest: number }
  | { readonly at: number; readonly error: string };

/** Breakers of SDK instances, as last reported in this attempt. */
export interface Breakers {
  /** Instances whose breaker is open or half open. */
  readonly openInstanceCount: number;
  /** Instances that have reported canary traffic in this stage or one before, or a breaker. */
  readonly canaryInstanceCount: number;
}

/** Everything that one look at the evidence says. The same inputs give the same bytes within one version of a JavaScript engine. */
export interface Judgement {
  readonly verdict: Verdict;
  /** Only of a hold. */
  readonly cause: HoldCause | null;
  /** What `fail` asks for; null for every other verdict. */
  readonly failure: Failure | null;
  /** How a `pass` was reached: by proof of non-inferiority, by the plan's thresholds, or because `maxStageSeconds` are over. */
  readonly promotedBy: "evidence" | "threshold" | "elapsed" | null;
  /** One sentence with the figures. */
  readonly because: string;
  /** What a pass still waits for, in words, most important first. Empty with a pass. */
  readonly waitsFor: readonly string[];
  /** Every condition that held, in the order in which they decide; the first gave the verdict. */
  readonly findings: readonly Finding[];
  /** One per guardrail that binds this stage, in the order of the plan. */
  readonly guardrails: readonly GuardrailVerdict[];
  /** Guardrails that fail and ask for people: `onFail: "alert"`, or informational. */
  readonly alerts: readonly string[];
  /** `failingSince` for the next judgement. */
  readonly failingSince: ReadonlyMap<string, number>;
  /** Log of the merged e-value of harm, to be compared with `ln(1 / falseAlarmBudget)`. */
  readonly mergedLogEvidence: number;
  /** Shares of the merged e-value by guardrail, as `weight * e-value` in logs, largest first. */
  readonly contributions: readonly { readonly id: string; readonly logEvidence: number }[];
  readonly bakedSeconds: number;
  /** The evidence that the verdict rests on. Of a gross failure or open breakers that is also what has only just come in. */
  readonly counts: DecisionCounts;
  readonly grossFailure: boolean;
  readonly sampleRatio: SampleRatio;
  /** Intervals up to this one were judged: later ones may still be coming in. Null: none yet. */
  readonly judgedThrough: number | null;
}

/** Of the current stage. */
export interface StageCounts {
  readonly exposureCount: number;
  readonly outcomeCount: number;
  readonly errorCount: number;
  readonly unitCount: number;
}

export interface Finding {
  readonly verdict: Verdict;
  readonly cause: HoldCause | null;
  readonly because: string;
}

export interface Failure {
  /** What refuted the canary. */
  readonly by: "gross_failure" | "breakers" | "merged" | "absolute" | "guardrail" | "no_data";
  readonly action: "rollback" | "kill";
  /** Ids of the guardrails that it rests on, worst first. */
  readonly guardrails: readonly string[];
}

export interface SampleRatio {
  /** Log of the e-value that traffic is not split as configured; an alarm from `ln 1000`. Null where there is one arm only. */
  readonly logEvidence: number | null;
  readonly mismatch: boolean;
  /** Share of the canary among units of both arms, as observed. */
  readonly observedShareRate: number | null;
  readonly expectedShareRate: number;
}

/** Guardrails with their names, the plan's first and then those of each stage. */
export interface NamedGuardrail {
  readonly id: string;
  readonly guardrail: Guardrail;
  /** Index of the only stage that it binds; null: all. */
  readonly stage: number | null;
}
