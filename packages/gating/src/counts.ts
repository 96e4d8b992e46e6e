import type { DecisionCounts } from "@bunting/contracts";
import type { JudgementInputs, StageCounts } from "./judgement.ts";
import { hasBegun, isComplete } from "./watermark.ts";

export const NO_STAGE_COUNTS: StageCounts = { exposureCount: 0, outcomeCount: 0, errorCount: 0, unitCount: 0 };

export function plusArm(counts: StageCounts, arm: StageCounts | null): StageCounts {
  if (arm === null) return counts;
  return {
    exposureCount: counts.exposureCount + arm.exposureCount,
    outcomeCount: counts.outcomeCount + arm.outcomeCount,
    errorCount: counts.errorCount + arm.errorCount,
    unitCount: counts.unitCount + arm.unitCount,
  };
}

/**
 * What has been received of the stage, intervals before the watermark included and marked: the evidence of a failure that
 * waits for nobody. Figures without them would show that failure with no errors.
 */
export function countsWithFresh(
  settled: Pick<DecisionCounts, "canary" | "control">,
  { intervals, stage, now }: Pick<JudgementInputs, "intervals" | "stage" | "now">,
): DecisionCounts {
  const running = intervals.filter((each) => each.stage === stage && hasBegun(each, now) && !isComplete(each, now));
  if (running.length === 0) return settled;
  const canary = running.reduce((sum, each) => plusArm(sum, each.canary), NO_STAGE_COUNTS);
  const control = running.reduce((sum, each) => plusArm(sum, each.control), NO_STAGE_COUNTS);
  return {
    canary: plusArm(settled.canary, canary),
    control: plusArm(settled.control, control),
    fresh: { canary, control },
  };
}
