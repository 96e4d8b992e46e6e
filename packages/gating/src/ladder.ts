import { LATENCY_LADDER_MS } from "@bunting/contracts/literals";
import { GROUP_COUNT, type GroupSums, LADDER_RUNG_COUNT } from "./evidence.ts";
import { BIN_COUNT, binLatencyMs, LOWEST_BIN } from "./sketch.ts";

/*
 * Sketches tell an arm's latencies, not a group's: 32 of them would cost more than all the rest. What groups did is told at a
 * few rungs, close enough for their variance.
 */

/** How many rungs a latency of each bin is above: 0 to {@link LADDER_RUNG_COUNT}. */
const BRACKET_OF_BIN: readonly number[] = Array.from(
  { length: BIN_COUNT },
  (_, index) => LATENCY_LADDER_MS.filter((rung) => binLatencyMs(index + LOWEST_BIN) > rung).length,
);

export const BRACKET_COUNT: number = LADDER_RUNG_COUNT + 1;

/** Brackets lie between the rungs: the 0th below the first, the last above all. */
export const bracketOfBin = (bin: number): number => BRACKET_OF_BIN[bin - LOWEST_BIN] ?? 0;

/** The rung whose latency is nearest to the upper edge of a bin, as a ratio. */
export function nearestRung(bin: number): number {
  const latency = Math.log(binLatencyMs(bin));
  let nearest = 0;
  for (const [rung, ms] of LATENCY_LADDER_MS.entries()) {
    const best = LATENCY_LADDER_MS[nearest] ?? ms;
    if (Math.abs(Math.log(ms) - latency) < Math.abs(Math.log(best) - latency)) nearest = rung;
  }
  return nearest;
}

/** Outcomes above a rung, per group. */
export function groupsAbove(ladder: GroupSums, rung: number): Float64Array {
  const counts = new Float64Array(GROUP_COUNT);
  for (let group = 0; group < GROUP_COUNT; group += 1) counts[group] = ladder[group * LADDER_RUNG_COUNT + rung] ?? 0;
  return counts;
}

/** Outcomes of one group in one bracket. */
export function bracketCount(ladder: GroupSums, outcomes: GroupSums, group: number, bracket: number): number {
  const above = (rung: number): number =>
    rung < 0 ? (outcomes[group] ?? 0) : (ladder[group * LADDER_RUNG_COUNT + rung] ?? 0);
  return above(bracket - 1) - (bracket === LADDER_RUNG_COUNT ? 0 : above(bracket));
}
