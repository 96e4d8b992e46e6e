import type { BucketRange } from "@bunting/contracts";
import { BUCKET_COUNT } from "@bunting/contracts/literals";
import { bucketOf, type Hasher } from "./bucket.ts";
import type { Decision } from "./decision.ts";
import { type Attribute, bucketingKey, type Subject, targetingKey } from "./subject.ts";

/** An allocation ready to be looked up, with everything that the look-up needs beside it. */
export interface CompiledSplit {
  readonly bucketBy: readonly Attribute[];
  /** It buckets by the targeting key alone, as nearly every flag does. */
  readonly isByKey: boolean;
  readonly salt: number;
  /** Where each range ends, but for the last, which ends at {@link BUCKET_COUNT}. */
  readonly ends: Int32Array;
  /** What each range decides; one more than `ends`. */
  readonly decisions: Int32Array;
  /** What is decided without a bucketing key. */
  readonly missing: Decision;
}

export function decideSplit(split: CompiledSplit, subject: Subject, hasher: Hasher): Decision {
  const key = split.isByKey ? targetingKey(subject) : bucketingKey(subject, split.bucketBy);
  if (key === undefined) return split.missing;
  return decideBucket(split, bucketOf(hasher.hash(key), split.salt));
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
