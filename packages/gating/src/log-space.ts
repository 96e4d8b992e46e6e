/*
 * Evidence is multiplied over thousands of intervals, and e^709 is already infinite: everything stays in natural logarithms.
 */

/** `ln(sum of e^terms)`, with the maximum taken out. Nothing, or nothing but -Infinity, gives -Infinity. */
export function logSumExp(terms: readonly number[]): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const term of terms) if (term > largest) largest = term;
  if (largest === Number.NEGATIVE_INFINITY) return largest;
  let sum = 0;
  for (const term of terms) sum += Math.exp(term - largest);
  return largest + Math.log(sum);
}

/** Log of the weighted mean of e-values that are given as logs. Weights need not be normalised. */
export function logWeightedMean(logs: readonly number[], weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return logSumExp(logs.map((log, index) => log + Math.log((weights[index] ?? 0) / total)));
}
