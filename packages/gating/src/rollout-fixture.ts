import type { EnvironmentKey, EvidenceCell, FlagKey, Rollout, RolloutPlan, VariantKey } from "@bunting/contracts";
import { EVIDENCE_GROUPS, EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import type { DecisionInputs } from "./decide.ts";
import { instantText, toUnixMs } from "./instant.ts";
import type { Judgement } from "./judgement.ts";
import { defaultPlan } from "./plan.ts";
import { pendingRollout } from "./rollout.ts";
import { binIndex } from "./sketch.ts";

/* Rollouts, judgements and evidence for tests. */

export const ON = "on" as VariantKey;
export const OFF = "off" as VariantKey;

/** A Tuesday, 14:00 in Paris. */
export const TUESDAY = toUnixMs("2025-08-19T12:00:00Z");

export function planWith(changes: Partial<RolloutPlan> = {}): RolloutPlan {
  return { ...defaultPlan(ON, OFF), ...changes };
}

/** Pending, unless said otherwise. */
export function rolloutWith(changes: Partial<Rollout> = {}): Rollout {
  const planned = {
    id: "r-1",
    environment: "production" as EnvironmentKey,
    flag: "redis-readthrough" as FlagKey,
    plan: changes.plan ?? planWith(),
    createdBy: "ana",
    createdAt: instantText(TUESDAY - 3_600_000),
  };
  return { ...pendingRollout(planned), ...changes };
}

/** In a stage since {@link TUESDAY}. */
export function runningWith(changes: Partial<Rollout> = {}): Rollout {
  const stage = changes.stage ?? 1;
  const plan = changes.plan ?? planWith();
  return rolloutWith({
    state: "running",
    stage,
    percent: plan.stages[stage]?.percent ?? 0,
    configurationVersion: 7,
    formerServe: { variant: OFF },
    startedAt: instantText(TUESDAY),
    startedBy: "ana",
    stageStartedAt: instantText(TUESDAY),
    ...changes,
  });
}

const arm = { exposureCount: 1000, outcomeCount: 1000, errorCount: 4, unitCount: 900 };

export function judgementWith(changes: Partial<Judgement> = {}): Judgement {
  return {
    verdict: "pass",
    cause: null,
    failure: null,
    promotedBy: "evidence",
    because: "0.4 % errors of 1,000, as many as the control",
    waitsFor: [],
    findings: [],
    guardrails: [],
    alerts: [],
    failingSince: new Map(),
    mergedLogEvidence: -1,
    contributions: [],
    bakedSeconds: 300,
    counts: { canary: arm, control: arm },
    grossFailure: false,
    sampleRatio: { logEvidence: 0, mismatch: false, observedShareRate: 0.05, expectedShareRate: 0.05 },
    judgedThrough: 0,
    ...changes,
  };
}

export function inputsWith(changes: Partial<DecisionInputs> = {}): DecisionInputs {
  return {
    kind: "analysis",
    rollout: runningWith(),
    flag: { killed: false, configurationVersion: 7 },
    cells: [],
    samples: {},
    breakers: { openInstanceCount: 0, canaryInstanceCount: 1 },
    previous: null,
    now: TUESDAY + 310_000,
    ...changes,
  };
}

/** What one arm counted in an interval. */
export interface ArmTraffic {
  readonly outcomeCount: number;
  readonly errorCount: number;
  /** Decisions, one to a unit. @default outcomeCount */
  readonly exposureCount?: number;
  /** Median and 99th percentile of latency: 98 % of requests take the one, 2 % the other. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Evidence of an arm in one interval, spread evenly over the groups, each unit with one request at most. */
function cellOf(
  place: { readonly variant: VariantKey; readonly interval: number; readonly stage: number; readonly attempt?: number },
  { outcomeCount, errorCount, p50Ms, p99Ms, exposureCount = outcomeCount }: ArmTraffic,
): EvidenceCell {
  const slowCount = Math.ceil(outcomeCount * 0.02);
  const units = spread(exposureCount);
  const outcomes = spread(outcomeCount);
  const errors = spread(errorCount);
  return {
    rollout: "r-1",
    attempt: 1,
    ...place,
    exposureCount,
    unitCount: exposureCount,
    outcomeCount,
    errorCount,
    unitErrorCount: errorCount,
    uncheckedCount: 0,
    groups: units.flatMap((count, group): EvidenceCell["groups"] => {
      const errorsOfGroup = errors[group] ?? 0;
      return count === 0 ? [] : [[group, count, outcomes[group] ?? 0, errorsOfGroup, errorsOfGroup]];
    }),
    sketch: [
      [binIndex(p50Ms), outcomeCount - slowCount],
      [binIndex(p99Ms), slowCount],
    ],
    ladder: [],
  };
}

/** The arms with exposures as the canary's percent splits them, whatever number of them had an outcome. */
export function exposedAt(
  percent: number,
  arms: { readonly canary: ArmTraffic; readonly control: ArmTraffic },
): typeof arms {
  const share = percent / 100;
  const total = Math.ceil(Math.max(arms.canary.outcomeCount / share, arms.control.outcomeCount / (1 - share)));
  return {
    canary: { ...arms.canary, exposureCount: Math.round(total * share) },
    control: { ...arms.control, exposureCount: Math.round(total * (1 - share)) },
  };
}

/** Evidence of both arms in every interval of a span. */
export function cellsOf(
  span: { readonly from: number; readonly to: number; readonly stage: number; readonly attempt?: number },
  arms: { readonly canary?: ArmTraffic; readonly control?: ArmTraffic },
): EvidenceCell[] {
  const { from, to, ...place } = span;
  const first = Math.floor(from / EVIDENCE_INTERVAL_MS);
  const count = Math.floor(to / EVIDENCE_INTERVAL_MS) - first;
  return Array.from({ length: count }, (_, index) => first + index).flatMap((interval) => [
    ...(arms.canary ? [cellOf({ ...place, interval, variant: ON }, arms.canary)] : []),
    ...(arms.control ? [cellOf({ ...place, interval, variant: OFF }, arms.control)] : []),
  ]);
}

function spread(count: number): number[] {
  const even = Math.floor(count / EVIDENCE_GROUPS);
  return Array.from({ length: EVIDENCE_GROUPS }, (_, group) => even + (group < count % EVIDENCE_GROUPS ? 1 : 0));
}
