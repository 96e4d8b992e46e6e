/*
 * Evidence is multiplied over thousands of intervals, and e^709 is already infinite: everything stays in natural logarithms.
 */

/** `ln(sum of e^terms)`, with the maximum taken out. Nothing, or nothing but -Infinity, gives -Infinity. */
export function logSumExp(terms: ArrayLike<number>): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < terms.length; index += 1) largest = Math.max(largest, terms[index] ?? largest);
  if (largest === Number.NEGATIVE_INFINITY) return largest;
  let sum = 0;
  for (let index = 0; index < terms.length; index += 1) {
    sum += Math.exp((terms[index] ?? Number.NEGATIVE_INFINITY) - largest);
  }
  return largest + Math.log(sum);
}

/**
 * Log of the weighted mean of e-values that are given as logs. Weights need not be normalised. The mean of equal ones is
 * exactly that: weights that sum to 1 but for the last bit would turn no evidence into some.
 */
export function logWeightedMean(logs: readonly number[], weights: readonly number[]): number {
  const largest = Math.max(...logs);
  if (largest === Number.NEGATIVE_INFINITY) return largest;
  let sum = 0;
  let total = 0;
  for (const [index, weight] of weights.entries()) {
    sum += weight * Math.exp((logs[index] ?? Number.NEGATIVE_INFINITY) - largest);
    total += weight;
  }
  return largest + Math.log(sum / total);
}
