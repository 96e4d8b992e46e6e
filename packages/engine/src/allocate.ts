import type { BucketRange, VariantKey } from "@bunting/contracts";
import { BUCKET_COUNT } from "@bunting/contracts/literals";

/** A variant and the number of buckets it is to have. */
export type Weight = readonly [variant: VariantKey, buckets: number];

/**
 * Turns a split into an allocation, moving as few buckets as can be from the one before (EV-60 to 64).
 *
 * The result is a history, to be stored as it is and handed back as `previous` next time: each variant's ranges in the order
 * in which it acquired them, and each range in the direction in which it did. `[v, 0, 10]` was acquired upwards from bucket 0
 * to 9; `[v, 10, 0]` holds the same buckets, acquired downwards from 9 to 0. What was acquired last is given back first, so
 * a variant that shrinks walks its ranges backwards, and who receives them walks the same way. {@link toSortedRanges} makes
 * of it what an SDK gets.
 *
 * @param previous What this function returned for the split before, or null for a first split.
 * @param weights In the order in which the flag declares its variants; together {@link BUCKET_COUNT}.
 * @throws RangeError if the weights do not add up, or `previous` does not hold every bucket once: a bug of the caller.
 */
export function allocate(previous: readonly BucketRange[] | null, weights: readonly Weight[]): BucketRange[] {
  checkWeights(weights);
  if (previous === null) return first(weights);
  const holdings = holdingsOf(previous, weights);
  const given = [...holdings].reverse().flatMap((holding) => holding.give());
  for (const holding of holdings) holding.take(given);
  return holdings.flatMap(({ ranges }) => ranges);
}

/** An allocation as the wire has it: sorted, upwards, with neighbours of one variant merged (EV-65). */
export function toSortedRanges(allocation: readonly BucketRange[]): BucketRange[] {
  const sorted = allocation
    .map(([variant, start, end]): BucketRange => [variant, Math.min(start, end), Math.max(start, end)])
    .sort(([, a], [, b]) => a - b);
  const merged: BucketRange[] = [];
  for (const [variant, from, to] of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && last[0] === variant && last[2] === from) last[2] = to;
    else merged.push([variant, from, to]);
  }
  return merged;
}

/**
 * A first allocation. The first variant grows upwards from bucket 0. The others are laid out as if they had come downwards
 * from the top, so that each gives its lowest buckets first, and the first variant grows without a gap.
 */
function first(weights: readonly Weight[]): BucketRange[] {
  let next = 0;
  return weights.flatMap(([variant, buckets], index): BucketRange[] => {
    const from = next;
    next += buckets;
    if (buckets === 0) return [];
    return [index === 0 ? [variant, from, next] : [variant, next, from]];
  });
}

function checkWeights(weights: readonly Weight[]): void {
  const sum = weights.reduce((total, [, buckets]) => total + buckets, 0);
  if (sum === BUCKET_COUNT && weights.every(([, buckets]) => Number.isInteger(buckets) && buckets >= 0)) return;
  throw new RangeError(
    `Cannot allocate ${JSON.stringify(weights)}: the weights are buckets and add up to ${BUCKET_COUNT}.`,
  );
}

/**
 * In the order of the weights, then those that have no weight any more. Givers are asked in the reverse of this order, and
 * takers served in it: then the way back from a change is its exact reverse (EV-63).
 */
function holdingsOf(previous: readonly BucketRange[], weights: readonly Weight[]): readonly Holding[] {
  const holdings = new Map(weights.map(([variant, buckets]) => [variant, new Holding(variant, buckets)]));
  for (const [variant, start, end] of previous) {
    const holding = holdings.get(variant) ?? new Holding(variant, 0);
    holdings.set(variant, holding);
    holding.push(start, end);
  }
  const sorted = toSortedRanges(previous);
  if (sorted.some(([, from], index) => from !== (sorted[index - 1]?.[2] ?? 0)) || sorted.at(-1)?.[2] !== BUCKET_COUNT) {
    throw new RangeError("Cannot continue an allocation that does not hold every bucket once.");
  }
  return [...holdings.values()];
}

type Walk = readonly [start: number, end: number];

/** What one variant holds, as a stack of walks over buckets. */
class Holding {
  readonly ranges: BucketRange[] = [];
  private readonly variant: VariantKey;
  private missing: number;

  constructor(variant: VariantKey, target: number) {
    this.variant = variant;
    this.missing = target;
  }

  /** Acquires a walk. One that starts where the last one ended continues it: the other way lie buckets already held. */
  push(start: number, end: number): void {
    this.missing -= Math.abs(end - start);
    const last = this.ranges.at(-1);
    if (last !== undefined && last[2] === start) last[2] = end;
    else this.ranges.push([this.variant, start, end]);
  }

  /** Gives away what is too much, the last acquired bucket first. */
  give(): Walk[] {
    const given: Walk[] = [];
    while (this.missing < 0) {
      const [, start, end] = this.ranges.pop() as BucketRange;
      const size = Math.abs(end - start);
      const count = Math.min(size, -this.missing);
      const direction = start < end ? 1 : -1;
      const cut = end - direction * count;
      this.missing += count;
      if (count < size) this.ranges.push([this.variant, start, cut]);
      given.push([end, cut]);
    }
    return given;
  }

  /** Takes what is missing from the front of the walks that were given. */
  take(given: Walk[]): void {
    while (this.missing > 0) {
      const [start, end] = given.shift() as Walk;
      const size = Math.abs(end - start);
      const count = Math.min(size, this.missing);
      const cut = start + (start < end ? count : -count);
      if (count < size) given.unshift([cut, end]);
      this.push(start, cut);
    }
  }
}
