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

/** The rung whose latency is nearest to that of a bin, as a ratio. */
export const nearestRung = (bin: number): number => NEAREST_RUNG_OF_BIN[bin - LOWEST_BIN] ?? LADDER_RUNG_COUNT - 1;

const NEAREST_RUNG_OF_BIN: readonly number[] = Array.from({ length: BIN_COUNT }, (_, index) => {
  const distances = LATENCY_LADDER_MS.map((rung) => Math.abs(Math.log(rung / binLatencyMs(index + LOWEST_BIN))));
  return distances.indexOf(Math.min(...distances));
});

/** Outcomes above a rung, per group. */
export function groupsAbove(ladder: GroupSums, rung: number): Float64Array {
  const counts = new Float64Array(GROUP_COUNT);
  for (let group = 0; group < GROUP_COUNT; group += 1) counts[group] = ladder[group * LADDER_RUNG_COUNT + rung] ?? 0;
  return counts;
}

/** Per group, the sum over its outcomes of the score of the bracket that each is in. */
export function groupScores(ladder: GroupSums, outcomes: GroupSums, brackets: GroupSums): Float64Array {
  const sums = new Float64Array(GROUP_COUNT);
  const first = brackets[0] ?? 0;
  for (let group = 0; group < GROUP_COUNT; group += 1) {
    // Counts are cumulative: whoever is above a rung adds the step from the bracket below it to the one above.
    let sum = (outcomes[group] ?? 0) * first;
    for (let rung = 0; rung < LADDER_RUNG_COUNT; rung += 1) {
      const step = (brackets[rung + 1] ?? 0) - (brackets[rung] ?? 0);
      sum += (ladder[group * LADDER_RUNG_COUNT + rung] ?? 0) * step;
    }
    sums[group] = sum;
  }
  return sums;
}
