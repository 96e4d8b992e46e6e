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

/** Log of the weighted mean of e-values that are given as logs. Weights need not be normalised. */
export function logWeightedMean(logs: readonly number[], weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return logSumExp(logs.map((log, index) => log + Math.log((weights[index] ?? 0) / total)));
}
