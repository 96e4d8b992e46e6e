import { type RolloutPlan, type RolloutPlanInput, rolloutPlan } from "@bunting/contracts";

/** For tests of this package only: a short plan that is judged by thresholds. */
export function planOf(fields: Partial<RolloutPlanInput> = {}): RolloutPlan {
  return rolloutPlan.parse({
    canary: "on",
    control: "off",
    stages: [
      { percent: 10, bakeSeconds: 60 },
      { percent: 50, bakeSeconds: 60 },
      { percent: 100, bakeSeconds: 60 },
    ],
    guardrails: [{ metric: "error_rate", max: 0.01 }],
    minSamples: 100,
    analysisIntervalSeconds: 10,
    autoPromote: true,
    decideBy: "threshold",
    ...fields,
  });
}
