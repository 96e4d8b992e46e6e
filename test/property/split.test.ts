import { split, toBuckets } from "@bunting/contracts";
import fc from "fast-check";
import { describe, it } from "vitest";

const bucketCount = 100_000;

/** 1 to 12 variants whose percentages are thousandths that add up to exactly 100. */
const weights = fc
  .array(fc.integer({ min: 0, max: bucketCount }), { maxLength: 11 })
  .map((cuts) => [0, ...cuts.sort((a, b) => a - b), bucketCount])
  .map((cuts) => cuts.slice(1).map((cut, index) => cut - (cuts[index] ?? 0)));

const asSplit = (buckets: readonly number[]): Record<string, number> =>
  Object.fromEntries(buckets.map((count, index) => [`v${index}`, count / 1000]));

describe("a split in thousandths of a percent", () => {
  it("is accepted however it is divided, and gives back exactly its buckets", () => {
    fc.assert(
      fc.property(weights, (buckets) => {
        const parsed = split.safeParse(asSplit(buckets));
        return (
          parsed.success && Object.values(parsed.data).every((percent, index) => toBuckets(percent) === buckets[index])
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it("is refused when one variant has one thousandth more or less", () => {
    fc.assert(
      fc.property(weights, fc.nat(), fc.constantFrom(-1, 1), (buckets, which, difference) => {
        const wrong = buckets.with(which % buckets.length, (buckets[which % buckets.length] ?? 0) + difference);
        return !split.safeParse(asSplit(wrong)).success;
      }),
      { numRuns: 2_000 },
    );
  });

  it("is refused with anything finer than a thousandth", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: bucketCount * 1000 - 1 }), (millionths) => {
        fc.pre(millionths % 1000 !== 0);
        const percent = millionths / 1_000_000;
        return !split.safeParse({ on: percent, off: 100 - percent }).success;
      }),
      { numRuns: 2_000 },
    );
  });
});
