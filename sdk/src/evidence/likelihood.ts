/*
 * Evidence that failures are more frequent than a limit, or than somewhere else: e-values over a grid of alternatives (Robbins'
 * method of mixtures over Wald's likelihood ratios), which stay valid however often one looks. The same formulas as the
 * server's; a property test holds the two to the same values.
 */

/** How many times the rate of the null hypothesis, and with what prior weight. */
const HARM = [
  [1.25, 2],
  [1.5, 4],
  [2, 6],
  [3, 6],
  [5, 5],
  [9, 3],
  [20, 2],
  [60, 1],
  [200, 1],
] as const;
const TOTAL_WEIGHT = HARM.reduce((sum, [, weight]) => sum + weight, 0);

/** Failed units out of trials. A trial is a success, or a unit that failed at least once. */
export interface Trials {
  readonly trialCount: number;
  readonly failureCount: number;
}

/** Natural logarithm of the e-value of "the failure rate is above `limitRate`". `dispersion` is 1 for independent failures. */
export function absoluteLogEvidence(
  { trialCount, failureCount }: Trials,
  limitRate: number,
  dispersion: number,
): number {
  return logMixture((alternative) => {
    const rate = Math.min(alternative * limitRate, limitRate + 0.999 * (1 - limitRate));
    const hit = Math.log(rate) - Math.log(limitRate);
    const miss = Math.log1p(-rate) - Math.log1p(-limitRate);
    return (failureCount * hit + (trialCount - failureCount) * miss) / dispersion;
  });
}

/** The same of "the canary's failure rate is more than `rateRatio` times the control's". */
export function relativeLogEvidence(canary: Trials, control: Trials, rateRatio: number, dispersion: number): number {
  const failureCount = canary.failureCount + control.failureCount;
  if (failureCount === 0 || canary.trialCount === 0 || control.trialCount === 0) return 0;
  const mass = rateRatio * canary.trialCount;
  const share = mass / (mass + control.trialCount);
  return logMixture((alternative) => {
    const gain = canary.failureCount * Math.log(alternative);
    return (gain - failureCount * Math.log1p((alternative - 1) * share)) / dispersion;
  });
}

/** `ln(sum of weight x e^logRatio)`, with the maximum taken out: e^709 is already infinite. */
function logMixture(logRatio: (alternative: number) => number): number {
  const terms = HARM.map(([alternative, weight]) => Math.log(weight / TOTAL_WEIGHT) + logRatio(alternative));
  const largest = Math.max(...terms);
  return largest + Math.log(terms.reduce((sum, term) => sum + Math.exp(term - largest), 0));
}
