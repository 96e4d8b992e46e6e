import type { BucketRange, VariantKey } from "@bunting/contracts";
import { BUCKET_COUNT } from "@bunting/contracts/literals";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allocate, toSortedRanges, type Weight } from "./allocate.ts";

type Allocation = readonly BucketRange[];

const NAMES = ["a", "b", "c", "d", "e"] as const;

/** Weights of the first `count` variants; small shares and nothing at all are frequent. */
const weightsOf = (count: number) =>
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: BUCKET_COUNT }), fc.constantFrom(0, 1, BUCKET_COUNT)), {
      minLength: count - 1,
      maxLength: count - 1,
    })
    .map((cuts) => {
      const sorted = [0, ...cuts.sort((x, y) => x - y), BUCKET_COUNT];
      return sorted.slice(1).map((cut, index): Weight => [name(index), cut - (sorted[index] as number)]);
    });

const sequenceOf = (count: number) => fc.array(weightsOf(count), { minLength: 2, maxLength: 8 });
const anySequence = fc.integer({ min: 2, max: 5 }).chain(sequenceOf);

describe("EV-60 each variant has exactly its weight of buckets", () => {
  it("holds after every change, and every bucket has one variant", () => {
    fc.assert(
      fc.property(anySequence, (sequence) => {
        for (const [weights, allocation] of replay(sequence)) {
          const sizes = Array.from({ length: NAMES.length + 1 }, () => 0);
          for (const owner of ownersOf(allocation)) sizes[owner] = (sizes[owner] ?? 0) + 1;
          expect(sizes).toEqual([0, ...NAMES.map((_, at) => sizeAt(weights, at))]);
        }
      }),
      { numRuns: 25 },
    );
  });

  it.each<[string, Weight[]]>([
    ["too little", [[name(0), 1]]],
    ["too much", [[name(0), BUCKET_COUNT + 1]]],
    [
      "fractions",
      [
        [name(0), 0.5],
        [name(1), BUCKET_COUNT - 0.5],
      ],
    ],
    [
      "less than nothing",
      [
        [name(0), -1],
        [name(1), BUCKET_COUNT + 1],
      ],
    ],
  ])("refuses %s", (_, weights) => {
    expect(() => allocate(null, weights)).toThrow(RangeError);
  });

  it.each<[string, BucketRange[]]>([
    [
      "a hole",
      [
        [name(0), 0, 5],
        [name(1), BUCKET_COUNT, 6],
      ],
    ],
    [
      "an overlap",
      [
        [name(0), 0, 6],
        [name(1), BUCKET_COUNT, 5],
      ],
    ],
    ["an end before the last bucket", [[name(0), 0, 6]]],
    ["nothing", []],
  ])("refuses to continue from %s", (_, previous) => {
    expect(() => allocate(previous, [[name(0), BUCKET_COUNT]])).toThrow(RangeError);
  });
});

describe("EV-61 a new split moves exactly half the L1 distance", () => {
  it("holds for random sequences over two to five variants", () => {
    fc.assert(
      fc.property(anySequence, (sequence) => {
        const steps = replay(sequence);
        for (const [index, [weights, allocation]] of steps.entries()) {
          const before = steps[index - 1];
          if (before === undefined) continue;
          const distance = weights.reduce((sum, [, buckets], at) => sum + Math.abs(buckets - sizeAt(before[0], at)), 0);
          expect(moved(before[1], allocation)).toBe(distance / 2);
        }
      }),
      { numRuns: 25 },
    );
  });

  it("holds when variants join, leave, and are declared in another order", () => {
    const weights: Weight[] = [
      [name(0), 30_000],
      [name(1), 70_000],
    ];
    const joined = allocate(allocate(null, weights), [
      [name(2), 10_000],
      [name(1), 60_000],
      [name(0), 30_000],
    ]);
    expect(moved(allocate(null, weights), joined)).toBe(10_000);
    const left = allocate(joined, [
      [name(2), 40_000],
      [name(1), 60_000],
    ]);
    expect(moved(joined, left)).toBe(30_000);
  });
});

describe("EV-62 raising a percentage never takes a variant from a user who has it", () => {
  it("holds for every variant that does not shrink", () => {
    fc.assert(
      fc.property(anySequence, (sequence) => {
        const steps = replay(sequence);
        for (const [index, [weights, allocation]] of steps.entries()) {
          const before = steps[index - 1];
          if (before === undefined) continue;
          const grown = [false, ...NAMES.map((_, at) => sizeAt(weights, at) >= sizeAt(before[0], at))];
          const owners = ownersOf(allocation);
          const robbed = ownersOf(before[1]).findIndex((owner, at) => grown[owner] === true && owners[at] !== owner);
          expect(robbed).toBe(-1);
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe("EV-63 what was acquired last is given back first", () => {
  it("restores every assignment when the last change is undone, by the same steps or others", () => {
    fc.assert(
      fc.property(anySequence, (sequence) => {
        const steps = replay(sequence);
        let allocation = steps.at(-1)?.[1] as Allocation;
        for (const [weights, before] of [...steps].reverse()) {
          allocation = allocate(allocation, weights);
          expect(toSortedRanges(allocation)).toEqual(toSortedRanges(before));
        }
      }),
      { numRuns: 100 },
    );
  });

  it("gives one percentage one set of users while two variants trade, whatever the way there", () => {
    const percentages = fc.array(fc.integer({ min: 0, max: BUCKET_COUNT }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(weightsOf(4), percentages, (start, ways) => {
        const [a, b, c, d] = start as [Weight, Weight, Weight, Weight];
        const common = b[1] + d[1];
        const trade = (share: number): Weight[] => [
          a,
          [b[0], share % (common + 1)],
          c,
          [d[0], common - (share % (common + 1))],
        ];
        let allocation: Allocation = allocate(null, start);
        const seen = new Map<number, BucketRange[]>([[b[1], toSortedRanges(allocation)]]);
        for (const way of ways) {
          allocation = allocate(allocation, trade(way));
          const size = sizeAt(trade(way), 1);
          expect(toSortedRanges(allocation)).toEqual(seen.get(size) ?? toSortedRanges(allocation));
          seen.set(size, toSortedRanges(allocation));
        }
        allocation = allocate(allocation, start);
        expect(toSortedRanges(allocation)).toEqual(seen.get(b[1]));
      }),
      { numRuns: 100 },
    );
  });
});

describe("EV-64 in a split of two the first variant serves the buckets [0, p)", () => {
  it("holds after every change", () => {
    fc.assert(
      fc.property(sequenceOf(2), (sequence) => {
        for (const [weights, allocation] of replay(sequence)) {
          const share = sizeAt(weights, 0);
          expect(toSortedRanges(allocation)).toEqual(
            [
              [name(0), 0, share],
              [name(1), share, BUCKET_COUNT],
            ].filter(([, from, to]) => from !== to),
          );
        }
      }),
    );
  });
});

describe("EV-65 ranges of one variant that touch are merged", () => {
  it("leaves no two neighbours of one variant, sorted and upwards", () => {
    fc.assert(
      fc.property(anySequence, (sequence) => {
        for (const [, allocation] of replay(sequence)) {
          const ranges = toSortedRanges(allocation);
          for (const [index, [variant, from, to]] of ranges.entries()) {
            expect(to).toBeGreaterThan(from);
            expect(ranges[index + 1]?.[0]).not.toBe(variant);
          }
        }
      }),
    );
  });

  it("leaves its argument as it was", () => {
    const allocation = allocate(null, [
      [name(0), 10],
      [name(1), BUCKET_COUNT - 10],
    ]);
    const before = structuredClone(allocation);
    toSortedRanges(allocation);
    allocate(allocation, [[name(0), BUCKET_COUNT]]);
    expect(allocation).toEqual(before);
  });
});

function name(index: number): VariantKey {
  return NAMES[index] as string as VariantKey;
}

function sizeAt(weights: readonly Weight[], index: number): number {
  return weights[index]?.[1] ?? 0;
}

function replay(sequence: readonly Weight[][]): (readonly [weights: Weight[], allocation: Allocation])[] {
  let allocation: Allocation | null = null;
  return sequence.map((weights) => {
    allocation = allocate(allocation, weights);
    return [weights, allocation] as const;
  });
}

/** By bucket, the variant's place in {@link NAMES} plus one; 0 is nobody. */
function ownersOf(allocation: Allocation): Uint8Array {
  const owners = new Uint8Array(BUCKET_COUNT);
  for (const [variant, start, end] of allocation) {
    owners.fill(NAMES.findIndex((each) => each === variant) + 1, Math.min(start, end), Math.max(start, end));
  }
  return owners;
}

function moved(before: Allocation, after: Allocation): number {
  const owners = ownersOf(after);
  let count = 0;
  for (const [bucket, owner] of ownersOf(before).entries()) if (owner !== owners[bucket]) count += 1;
  return count;
}
