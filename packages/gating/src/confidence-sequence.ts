import type { ArmCounts } from "./evidence-process.ts";
import { logSumExp } from "./log-space.ts";

/** Rate ratios 2^(-6) to 2^8 in eighths of a doubling. */
const RATIOS = Array.from({ length: 113 }, (_, index) => 2 ** ((index - 48) / 8));

const LOG_PRIOR = (() => {
  const prior = RATIOS.map((ratio) => 1 / (1 + Math.abs(Math.log2(ratio))) ** 2);
  const total = prior.reduce((sum, weight) => sum + weight, 0);
  return prior.map((weight) => Math.log(weight / total));
})();

/** Log likelihood of each ratio of the grid, given the intervals so far. */
export type RatioLikelihood = readonly number[];

export const startRatioLikelihood = (): RatioLikelihood => RATIOS.map(() => 0);

export function addToRatioLikelihood(likelihood: RatioLikelihood, counts: ArmCounts): RatioLikelihood {
  const { canaryExposureCount, canaryEventCount, controlExposureCount, controlEventCount } = counts;
  const eventCount = canaryEventCount + controlEventCount;
  if (eventCount === 0 || canaryExposureCount === 0 || controlExposureCount === 0) return likelihood;
  return likelihood.map((sum, index) => {
    const mass = (RATIOS[index] ?? 1) * canaryExposureCount;
    const share = mass / (mass + controlExposureCount);
    return sum + canaryEventCount * Math.log(share) + controlEventCount * Math.log1p(-share);
  });
}

/**
 * An interval for the rate ratio that is right at every look at once with probability `1 - errorBudget`: the ratios that the
 * mixture of all does not refute. `low` and `high` are null where the grid ends.
 */
export function rateRatioInterval(
  likelihood: RatioLikelihood,
  dispersion: number,
  errorBudget: number,
): { readonly low: number | null; readonly estimate: number; readonly high: number | null } {
  const mixture = logSumExp(likelihood.map((value, index) => (LOG_PRIOR[index] ?? 0) + value / dispersion));
  let low: number | null = null;
  let high: number | null = null;
  let best = 0;
  for (const [index, value] of likelihood.entries()) {
    if (value > (likelihood[best] ?? Number.NEGATIVE_INFINITY)) best = index;
    if (mixture - value / dispersion >= Math.log(1 / errorBudget)) continue;
    low ??= index;
    high = index;
  }
  const at = (index: number | null, edge: number): number | null =>
    index === null || index === edge ? null : (RATIOS[index] ?? null);
  return { low: at(low, 0), estimate: RATIOS[best] ?? 1, high: at(high, RATIOS.length - 1) };
}
