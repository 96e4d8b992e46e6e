import type { RolloutPlan, RolloutPlanInput, VariantKey } from "@bunting/contracts";
import { EVIDENCE_GROUPS, EVIDENCE_INTERVAL_MS, LATENCY_LADDER_MS } from "@bunting/contracts/literals";
import type { ArmEvidence, EvidenceInterval } from "./evidence.ts";
import type { JudgementInputs } from "./judgement.ts";
import { defaultPlan } from "./plan.ts";
import { binIndex, binLatencyMs } from "./sketch.ts";

/* Evidence without randomness for tests of judgements: what is asked for is spread evenly over the groups. */

export const START = 1_700_000_000_000;
export const FIRST_INTERVAL: number = START / EVIDENCE_INTERVAL_MS;

export interface ArmOptions {
  readonly exposures?: number;
  readonly outcomes?: number;
  readonly errors?: number;
  /** Spread over this many groups. @default 32 */
  readonly errorGroups?: number;
  /** Latencies in ms with how many outcomes had them. */
  readonly latencies?: readonly (readonly [ms: number, count: number])[];
  /** Units of `conversion`; null: the application never reported it. */
  readonly conversions?: number | null;
  /** Users in this many groups only. @default 32 */
  readonly groups?: number;
  /** Where the spreading begins: a step per interval, or the same groups would have all that is left over. @default 0 */
  readonly turn?: number;
}

export function arm(options: ArmOptions): ArmEvidence {
  const { errors = 0, latencies = [], conversions = null, groups = EVIDENCE_GROUPS, turn = 0 } = options;
  const outcomes = options.outcomes ?? options.exposures ?? 0;
  const exposures = options.exposures ?? outcomes;
  const errorGroups = spread(errors, options.errorGroups ?? groups, turn);
  const conversionGroups = spread(conversions ?? 0, groups, turn);
  const ladder = new Float64Array(latencies.length === 0 ? 0 : EVIDENCE_GROUPS * LATENCY_LADDER_MS.length);
  const sketch = new Map<number, number>();
  for (const [ms, count] of latencies) {
    const bin = binIndex(ms);
    sketch.set(bin, (sketch.get(bin) ?? 0) + count);
    const counts = spread(count, groups, turn);
    for (const [rung, above] of LATENCY_LADDER_MS.entries()) {
      if (binLatencyMs(bin) <= above) continue;
      for (const [group, size] of counts.entries()) {
        const index = group * LATENCY_LADDER_MS.length + rung;
        ladder[index] = (ladder[index] ?? 0) + size;
      }
    }
  }
  const conversion = {
    eventCount: conversions ?? 0,
    unitEventCount: conversions ?? 0,
    sum: 0,
    sumOfSquares: 0,
    groupUnitEventCount: conversionGroups,
  };
  return {
    exposureCount: exposures,
    unitCount: exposures,
    outcomeCount: outcomes,
    errorCount: errors,
    unitErrorCount: errors,
    groups: {
      unitCount: spread(exposures, groups, turn),
      outcomeCount: spread(outcomes, groups, turn),
      errorCount: errorGroups,
      unitErrorCount: errorGroups,
    },
    sketch,
    ladder,
    metrics: new Map(conversions === null ? [] : [["conversion", conversion]]),
  };
}

/** As many intervals as asked for, all alike, from the first on. */
export function intervalsOf(
  count: number,
  canary: ArmOptions | null,
  control: ArmOptions | null,
  { stage = 0, from = 0 }: { readonly stage?: number; readonly from?: number } = {},
): readonly EvidenceInterval[] {
  return Array.from({ length: count }, (_, index) => ({
    interval: FIRST_INTERVAL + from + index,
    stage,
    canary: canary && arm({ turn: index * (canary.errors ?? 1), ...canary }),
    control: control && arm({ turn: index * (control.errors ?? 1), ...control }),
  }));
}

/** A plan with defaults of the contract; stages 5 % and 50 % unless said otherwise. */
export function planOf(changes: Partial<RolloutPlanInput>): RolloutPlan {
  const { stages = [{ percent: 5 }, { percent: 50 }], guardrails = [], ...rest } = changes;
  return {
    ...defaultPlan("on" as VariantKey, "off" as VariantKey),
    autoPromote: true,
    ...rest,
    stages: stages.map(({ guardrails: own, ...stage }) => ({
      ...stage,
      bakeSeconds: stage.bakeSeconds ?? 300,
      ...(own === undefined ? {} : { guardrails: own.map(withDefaults) }),
    })),
    guardrails: guardrails.map(withDefaults),
  } as RolloutPlan;
}

const withDefaults = (guardrail: object): object => ({
  onFail: "rollback",
  forSeconds: 0,
  required: true,
  exclusive: false,
  ...("kind" in guardrail && guardrail.kind === "gauge" ? { maxAgeSeconds: 300 } : {}),
  ...guardrail,
});

/** A look as soon as the last of the intervals is complete. */
export function inputsOf(
  plan: RolloutPlan,
  intervals: readonly EvidenceInterval[],
  changes: Partial<JudgementInputs> = {},
): JudgementInputs {
  const last = intervals.reduce((latest, { interval }) => Math.max(latest, interval), FIRST_INTERVAL);
  return {
    plan,
    stage: 0,
    stageStartedAt: START,
    intervals,
    samples: new Map(),
    breakers: { openInstanceCount: 0, canaryInstanceCount: 3 },
    failingSince: new Map(),
    now: (last + 2) * EVIDENCE_INTERVAL_MS,
    ...changes,
  };
}

function spread(count: number, groups: number, turn: number): Float64Array {
  const sums = new Float64Array(EVIDENCE_GROUPS);
  for (let index = 0; index < groups; index += 1) {
    sums[(turn + index) % groups] = Math.floor(count / groups) + (index < count % groups ? 1 : 0);
  }
  return sums;
}
