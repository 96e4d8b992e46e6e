import type { GroupSums } from "./evidence.ts";

/** Cumulative sums of the hash groups of one arm: events out of exposures. */
export interface GroupCounts {
  readonly exposures: GroupSums;
  readonly events: GroupSums;
}

/**
 * How much more than independent events the control's events vary between groups of users: 1 if a user's failures say
 * nothing about his next request. Pearson's statistic of quasi-likelihood (Wedderburn 1974; McCullagh and Nelder 1989, 4.5),
 * shrunk towards `floor` while events are few. From the control only: a real regression inflates the canary's.
 *
 * @param floor 1, and for common events (latency exceedances) `1 - min(.5, pooled event rate)`, their binomial variance
 */
export function dispersion(groups: GroupCounts, floor = 1): number {
  return shrink(pearsonDispersion(groups), total(groups.events), floor);
}

/** `1/(G - 1) sum (e_g - n_g p)^2 / (n_g p)` over the non-empty groups; 1 without events or with fewer than two groups. */
export function pearsonDispersion({ exposures, events }: GroupCounts): number {
  const rate = total(events) / total(exposures);
  let filledCount = 0;
  let statistic = 0;
  for (let group = 0; group < exposures.length; group += 1) {
    const exposureCount = exposures[group] ?? 0;
    if (exposureCount === 0) continue;
    filledCount += 1;
    const expected = exposureCount * rate;
    statistic += ((events[group] ?? 0) - expected) ** 2 / expected;
  }
  return filledCount < 2 || !(rate > 0) ? 1 : statistic / (filledCount - 1);
}

/** `max(floor, (estimate weight + 15 floor) / (weight + 10))`: starts at 1.5 times the floor, follows the data from then on. */
export function shrink(estimate: number, weight: number, floor = 1): number {
  return Math.max(floor, (estimate * weight + 15 * floor) / (weight + 10));
}

/**
 * Dispersion of a canary whose event rate is `margin` times the control's, to divide evidence of non-inferiority by.
 *
 * Groups of users differ by luck. Let an arm's luck be gamma distributed around 1: its events are then negative binomial, and
 * with `m` of them expected their variance is `phi m`, `phi = 1 + v m`. An arm that expects `margin` times as many has
 * `1 + (phi - 1) margin`. Divided by its own `phi`, a likelihood ratio `r < 1` stays an e-value: with `b = 1 - 1/phi`,
 *
 *     E exp((e ln r + m (1 - r))/phi) = (exp(b (1 - r)) / (1 + (phi - 1)(1 - r^(1/phi))))^(1/v) <= 1,
 *
 * because both sides of the fraction are power series in `1 - r` with coefficients `b^k/k!` and `b b(b + 1)...(b + k - 2)/k!`.
 *
 * But `phi` is estimated. Pearson's statistic of G groups is `phi` times a chi-square of G - 1 degrees of freedom over G - 1
 * (McCullagh and Nelder 1989, 4.5), so it errs by `phi sqrt(2/(G - 1))`, a quarter for 32 groups. However many events there
 * are, an excess over 1 that is smaller than this is often seen as none, and whoever looks all the time finds the moment when
 * it is. A test of harm divides by the estimate itself and bears that; here the error would be multiplied by `margin`. What
 * the margin multiplies is therefore at least half a standard error. Half of one is a choice, made on the settings of
 * docs/gating-report.md: without it wrong proofs at a margin of six reached 7 % of a budget of 5 %, with it they reach 3.5 %, and
 * with a whole one a right proof takes twice as long. At a margin of 1 nothing is multiplied, and this is `phi`.
 */
export function dispersionAtMargin(phi: number, margin: number, { exposures }: GroupCounts): number {
  let filledCount = 0;
  for (const count of exposures) if (count > 0) filledCount += 1;
  const standardError = Math.sqrt(2 / Math.max(1, filledCount - 1));
  return phi + (margin - 1) * Math.max(phi - 1, standardError / 2);
}

/** Dispersion of exceedances: they are common events, so its floor is their binomial variance. */
export function exceedanceDispersion(groups: GroupCounts): number {
  const exposureCount = total(groups.exposures);
  const rate = exposureCount === 0 ? 0 : total(groups.events) / exposureCount;
  return dispersion(groups, 1 - Math.min(0.5, rate));
}

/** Variance over mean of counts per group: how unequally busy units are. At least 1. */
export function countDispersion(counts: GroupSums): number {
  const mean = total(counts) / counts.length;
  if (!(mean > 0)) return 1;
  let squares = 0;
  for (const count of counts) squares += (count - mean) ** 2;
  return Math.max(1, squares / (counts.length - 1) / mean);
}

export function total(counts: GroupSums): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}

export function largest(counts: GroupSums): number {
  let most = 0;
  for (const count of counts) if (count > most) most = count;
  return most;
}

/** Adds group by group; a report without groups adds nothing. */
export function addGroups(into: Float64Array, counts: GroupSums): void {
  for (let group = 0; group < into.length; group += 1) into[group] = (into[group] ?? 0) + (counts[group] ?? 0);
}
