import type { BucketRange } from "@bunting/contracts";
import { BUCKET_COUNT } from "@bunting/contracts/literals";
import { finalise, type Hasher } from "./bucket.ts";
import { type Decision, UNDECIDED } from "./decision.ts";
import { type Attribute, bucketingKey, type Subject, targetingKey } from "./subject.ts";

/**
 * An allocation ready to be looked up, with everything that the look-up needs beside it. What a split in two reads is numbers
 * of its own, and of more ranges plain arrays of small integers: an element of a typed array is some loads further away.
 */
export interface CompiledSplit {
  readonly bucketBy: readonly Attribute[];
  /** It buckets by the targeting key alone, as nearly every flag does. */
  readonly isByKey: boolean;
  readonly salt: number;
  /** Where each range ends, but for the last, which ends at {@link BUCKET_COUNT}. */
  readonly ends: Int32Array;
  /** The same as places among all hashes: the first mixed hash, as a signed number from -2^31, that is not in the range. */
  readonly limits: readonly number[];
  /** What each range decides; one more than `ends`. */
  readonly decisions: readonly Decision[];
  /** The first of `limits` and of `decisions` once more, and the second decision: all there is to nearly every split. */
  readonly firstLimit: number;
  readonly first: Decision;
  /** {@link UNDECIDED} where there are more ranges than two. */
  readonly second: Decision;
  /** What is decided without a bucketing key. */
  readonly missing: Decision;
}

/** What a split is made of: its ranges follow each other, and the last one ends at {@link BUCKET_COUNT} (EV-54). */
export interface SplitParts {
  readonly bucketBy: readonly Attribute[];
  readonly salt: number;
  readonly ranges: readonly { readonly to: number; readonly decision: Decision }[];
  readonly missing: Decision;
}

export function compileSplit({ bucketBy, salt, ranges, missing }: SplitParts): CompiledSplit {
  const ends = ranges.slice(0, -1).map(({ to }) => to);
  const limits = ends.map(limitOf);
  const decisions = ranges.map(({ decision }) => decision);
  const [first = missing, second = first] = decisions;
  return {
    bucketBy,
    isByKey: bucketBy.length === 1 && bucketBy[0]?.isKey === true,
    salt: salt | 0,
    ends: Int32Array.from(ends),
    limits,
    decisions,
    // Nothing is below the lowest: what is not split is all decided by `second`, which is `first`.
    firstLimit: limits[0] ?? SIGN,
    first,
    second: decisions.length > 2 ? UNDECIDED : second,
    missing,
  };
}

export function decideSplit(split: CompiledSplit, subject: Subject, hasher: Hasher): Decision {
  const key = split.isByKey ? targetingKey(subject) : bucketingKey(subject, split.bucketBy);
  return key === undefined ? split.missing : decideHash(split, hasher.hash(key));
}

/**
 * `decideBucket(split, bucketOf(hash, salt))` without the bucket: scaling a hash to its bucket takes floating-point numbers,
 * and comparing it with where the buckets begin does not.
 */
export function decideHash(split: CompiledSplit, hash: number): Decision {
  // Unsigned order among signed numbers: the sign bit is flipped on both sides.
  const place = finalise(hash ^ split.salt) ^ SIGN;
  if (place < split.firstLimit) return split.first;
  return split.second === UNDECIDED ? decidePlace(split, place) : split.second;
}

/** The decision of the first range whose limit is above the place. */
function decidePlace({ limits, decisions }: CompiledSplit, place: number): Decision {
  let low = 0;
  let high = limits.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (place < (limits[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return decisions[low] as Decision;
}

const SIGN = -(2 ** 31);

/**
 * The first hash that falls into the bucket or a later one: `ceil(bucket x 2^32 / 100,000)`. The quotient is a multiple of
 * 1/3125, and a double near 2^32 is finer than that by far, so rounding it up is exact.
 */
function limitOf(bucket: number): number {
  return Math.ceil((bucket * 2 ** 32) / BUCKET_COUNT) ^ SIGN;
}

/** The decision of the first range that ends above the bucket: a binary search, of one step in a two-way split. */
export function decideBucket({ ends, decisions }: CompiledSplit, bucket: number): Decision {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bucket < (ends[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return decisions[low] as Decision;
}

/** What is wrong with the ranges of an allocation, or null: they are sorted and hold every bucket once (EV-54). */
export function allocationProblem(ranges: readonly BucketRange[]): string | null {
  let next = 0;
  for (const [variant, from, to] of ranges) {
    if (!Number.isInteger(to) || from !== next || to <= from) {
      return `The ranges of an allocation follow each other without gaps; ${variant} has ${from} to ${to} where ${next} comes next.`;
    }
    next = to;
  }
  return next === BUCKET_COUNT ? null : `The ranges of an allocation end at ${next} and not at ${BUCKET_COUNT}.`;
}
