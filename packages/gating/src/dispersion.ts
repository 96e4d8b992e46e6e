import { EVIDENCE_GROUPS } from "@bunting/contracts/literals";
import { type EvidenceProcess, logEvidence } from "./evidence-process.ts";
import type { Grid } from "./grid.ts";

/** Units fall into this many groups by a hash of their own, so that clustering shows as variance between groups. */
export const GROUP_COUNT: number = EVIDENCE_GROUPS;

/** Cumulative sums of one hash group of one arm. */
export interface GroupCounts {
  readonly exposureCount: number;
  readonly eventCount: number;
}

/**
 * How much more than independent events the control's events vary between groups of users: 1 if a user's failures say
 * nothing about his next request. Pearson's statistic, shrunk towards `floor` while events are few. From the control only: a
 * real regression inflates the canary's.
 *
 * `floor` is 1, and for common events (latency exceedances) `1 - min(.5, pooled event rate)`, their binomial variance.
 */
export function dispersion(groups: readonly GroupCounts[], floor = 1): number {
  const eventCount = groups.reduce((sum, group) => sum + group.eventCount, 0);
  return shrink(pearsonDispersion(groups), eventCount, floor);
}

/** `1/(G - 1) sum (e_g - n_g p)^2 / (n_g p)` over the non-empty groups; 1 without events or with fewer than two groups. */
export function pearsonDispersion(groups: readonly GroupCounts[]): number {
  const filled = groups.filter(({ exposureCount }) => exposureCount > 0);
  const exposureCount = filled.reduce((sum, group) => sum + group.exposureCount, 0);
  const eventCount = filled.reduce((sum, group) => sum + group.eventCount, 0);
  if (filled.length < 2 || eventCount === 0) return 1;
  const rate = eventCount / exposureCount;
  const statistic = filled.reduce((sum, group) => {
    const expected = group.exposureCount * rate;
    return sum + (group.eventCount - expected) ** 2 / expected;
  }, 0);
  return statistic / (filled.length - 1);
}

/** `max(floor, (estimate weight + 15 floor) / (weight + 10))`: starts at 1.5 times the floor, follows the data from then on. */
export function shrink(estimate: number, weight: number, floor = 1): number {
  return Math.max(floor, (estimate * weight + 15 * floor) / (weight + 10));
}

/** Fewer events than this in the canary are no evidence of harm, whatever the likelihood says. */
const MINIMUM_EVENTS = 4;

/**
 * Evidence of harm that survives without its worst group, so that one broken user in a retry loop is not a regression:
 * `min(full, 2 x without)`. Dropping canary events can only lower evidence for alternatives above 1, so validity stays.
 *
 * @param worstGroupEventCount events of the canary group with the most, cumulative over the attempt
 */
export function robustLogEvidence(
  process: EvidenceProcess,
  grid: Grid,
  canary: { readonly eventCount: number; readonly worstGroupEventCount: number },
  dispersion: number,
): number {
  if (canary.eventCount < MINIMUM_EVENTS) return 0;
  const full = logEvidence(process, grid, { dispersion });
  if (full <= 1) return full;
  const without = logEvidence(process, grid, { dispersion, droppedEventCount: canary.worstGroupEventCount });
  return Math.min(full, 2 * without);
}
