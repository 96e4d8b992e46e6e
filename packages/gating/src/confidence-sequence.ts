import type { ArmCounts } from "./evidence-process.ts";
import { logSumExp } from "./log-space.ts";

/** Rate ratios 2^(-6) to 2^8 in eighths of a doubling. */
const RATIOS = Array.from({ length: 113 }, (_, index) => 2 ** ((index - 48) / 8));

const LOG_RATIOS = RATIOS.map(Math.log);

const LOG_PRIOR = (() => {
  const prior = RATIOS.map((ratio) => 1 / (1 + Math.abs(Math.log2(ratio))) ** 2);
  const total = prior.reduce((sum, weight) => sum + weight, 0);
  return prior.map((weight) => Math.log(weight / total));
})();

/** Canary rate over control rate; a bound is null where the data (or the grid) do not bound it. */
export interface RatioInterval {
  readonly low: number | null;
  readonly estimate: number;
  readonly high: number | null;
}

/**
 * The rate ratio with an interval that is right at every look at once with probability `1 - errorBudget`: the ratios that the
 * mixture of all does not refute (Robbins' confidence sequence by the method of mixtures).
 */
export class RatioSequence {
  /** Log likelihood of each ratio, up to what is the same for all. */
  readonly #logLikelihoods = new Float64Array(RATIOS.length);

  add(counts: ArmCounts): void {
    const { canaryExposureCount, canaryEventCount, controlExposureCount, controlEventCount } = counts;
    const eventCount = canaryEventCount + controlEventCount;
    if (eventCount === 0 || canaryExposureCount === 0 || controlExposureCount === 0) return;
    const canaryShare = canaryExposureCount / (canaryExposureCount + controlExposureCount);
    for (let index = 0; index < RATIOS.length; index += 1) {
      this.#logLikelihoods[index] =
        (this.#logLikelihoods[index] ?? 0) +
        canaryEventCount * (LOG_RATIOS[index] ?? 0) -
        eventCount * Math.log1p(((RATIOS[index] ?? 1) - 1) * canaryShare);
    }
  }

  /** The same so far; what is added to one is not added to the other. */
  copy(): RatioSequence {
    const copy = new RatioSequence();
    copy.#logLikelihoods.set(this.#logLikelihoods);
    return copy;
  }

  /** Null if nothing has been compared: there was no interval with an event and both arms. */
  interval(dispersion: number, errorBudget: number): RatioInterval | null {
    if (this.#logLikelihoods.every((value) => value === 0)) return null;
    const scaled = this.#logLikelihoods.map((value) => value / dispersion);
    const mixture = logSumExp(scaled.map((value, index) => (LOG_PRIOR[index] ?? 0) + value));
    const refuted = Math.log(1 / errorBudget);
    const inside = (value: number): boolean => mixture - value < refuted;
    const low = scaled.findIndex(inside);
    const high = scaled.findLastIndex(inside);
    const best = scaled.indexOf(Math.max(...scaled));
    return {
      low: low <= 0 ? null : (RATIOS[low] ?? null),
      // Likeliest at the lower edge is what has no lower one: the canary had no event, or as good as none.
      estimate: best === 0 ? 0 : (RATIOS[best] ?? 1),
      high: high < 0 || high === RATIOS.length - 1 ? null : (RATIOS[high] ?? null),
    };
  }
}
