import { allocate, BUCKET_COUNT, toSortedRanges } from "@bunting/engine";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Crowd, distribute } from "./crowd.ts";
import { homeOf, inOrder, quotasOf, type Range, type Seat } from "./rank.ts";

type Weights = Parameters<typeof allocate>[1];

const NAMES = ["v1", "v2", "v3"];

/** Three percentages that add up to 100. */
const percentages = fc
  .tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 }))
  .map(([a, b]) => [Math.min(a, b), Math.abs(a - b), 100 - Math.max(a, b)]);

const weights = (percents: readonly number[]): Weights =>
  percents.map((percent, index) => [NAMES[index], percent * (BUCKET_COUNT / 100)]) as unknown as Weights;

/** The ranges of each split, each allocated from the one before it, as a flag's are. */
function history(splits: readonly (readonly number[])[]): readonly (readonly Range[])[] {
  let previous: ReturnType<typeof allocate> | null = null;
  return splits.map((split) => {
    previous = allocate(previous, weights(split));
    return toSortedRanges(previous);
  });
}

const population = fc.uniqueArray(fc.tuple(fc.string(), fc.nat({ max: 2 ** 32 - 1 })), {
  selector: ([name]) => name,
  maxLength: 120,
});

function seatsOf(people: readonly (readonly [string, number])[], current: ReadonlyMap<string, string>): Seat[] {
  return people.map(([entity, position]) => ({ entity, position, current: current.get(entity) ?? null })).sort(inOrder);
}

function seat(seats: readonly Seat[], ranges: readonly Range[]): Map<string, string> {
  const variants = distribute(seats, ranges);
  return new Map(seats.map(({ entity }, index) => [entity, variants[index] ?? ""]));
}

function countsOf(given: ReadonlyMap<string, string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const variant of given.values()) counts[variant] = (counts[variant] ?? 0) + 1;
  return counts;
}

function movesBetween(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): number {
  return [...before].filter(([entity, variant]) => after.has(entity) && after.get(entity) !== variant).length;
}

const HUNDRED = Array.from(
  { length: 100 },
  (_, index) => [`player-${index}`, (index * 2_654_435_761) % 2 ** 32] as const,
);

describe("distributing a population by rank", () => {
  it.each([[[100, 0, 0]], [[90, 10, 0]], [[70, 30, 0]], [[50, 50, 0]], [[20, 80, 0]], [[0, 100, 0]], [[20, 30, 50]]])(
    "gives exactly %j of 100",
    (split) => {
      const [ranges = []] = history([split]);
      const counts = countsOf(seat(seatsOf(HUNDRED, new Map()), ranges));
      expect(NAMES.map((name) => counts[name] ?? 0)).toEqual(split);
    },
  );

  it("moves exactly the difference from step to step, and the same entities back", () => {
    const splits = [
      [100, 0, 0],
      [90, 10, 0],
      [70, 30, 0],
      [20, 80, 0],
      [20, 30, 50],
      [90, 10, 0],
      [100, 0, 0],
    ];
    let given = new Map<string, string>();
    const seen: Map<string, string>[] = [];
    const moves = history(splits).map((ranges) => {
      const next = seat(seatsOf(HUNDRED, given), ranges);
      const moved = movesBetween(given, next);
      given = next;
      seen.push(next);
      return moved;
    });
    expect(moves).toEqual([0, 10, 20, 50, 50, 70, 10]);
    expect(seen.at(-2)).toEqual(seen[1]);
  });

  it("gives everybody one variant, as many as the ranges say to within one per boundary", () => {
    fc.assert(
      fc.property(population, percentages, (people, split) => {
        const [ranges = []] = history([split]);
        const given = seat(seatsOf(people, new Map()), ranges);
        expect([...given.keys()].sort()).toEqual(people.map(([entity]) => entity).sort());
        const counts = countsOf(given);
        for (const [index, name] of NAMES.entries()) {
          expect(Math.abs((counts[name] ?? 0) - ((split[index] ?? 0) * people.length) / 100)).toBeLessThan(1);
        }
      }),
    );
  });

  it("has as many places with a variant as there are ranks at home with it", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 400 }),
        fc.array(percentages, { minLength: 1, maxLength: 4 }),
        (count, splits) => {
          const ranges = history(splits).at(-1) ?? [];
          const homes = new Map(ranges.map(([variant]) => [variant, 0]));
          for (let rank = 0; rank < count; rank += 1) {
            const home = ranges[homeOf(rank, count, ranges)]?.[0] ?? "";
            homes.set(home, (homes.get(home) ?? 0) + 1);
            expect(homeOf(rank, count, ranges, ranges.length - 1)).toBe(homeOf(rank, count, ranges));
          }
          expect(quotasOf(count, ranges)).toEqual(homes);
        },
      ),
    );
  });

  it("moves no more than the counts demand, whoever comes and goes while the split changes", () => {
    fc.assert(
      fc.property(
        population,
        fc.array(fc.tuple(percentages, fc.nat()), { minLength: 2, maxLength: 6 }),
        (people, steps) => {
          let given = new Map<string, string>();
          for (const [index, ranges] of history(steps.map(([split]) => split)).entries()) {
            const away = steps[index]?.[1] ?? 0;
            const present = people.filter((_, place) => (place + away) % 4 !== 0);
            const next = seat(seatsOf(present, given), ranges);
            const stayers = new Map([...given].filter(([entity]) => next.has(entity)));
            const had = countsOf(stayers);
            const has = countsOf(next);
            // Whoever has more than it may have must give up the surplus, and nobody else need move.
            const least = NAMES.reduce((sum, name) => sum + Math.max(0, (had[name] ?? 0) - (has[name] ?? 0)), 0);
            expect(movesBetween(given, next)).toBe(least);
            given = next;
          }
        },
      ),
    );
  });

  it("moves nobody when one comes and the counts of the others may stay", () => {
    const [ranges = []] = history([[90, 10, 0]]);
    let given = seat(seatsOf(HUNDRED, new Map()), ranges);
    for (let index = 0; index < 50; index += 1) {
      const people = [
        ...HUNDRED,
        ...Array.from({ length: index + 1 }, (_, more) => [`late-${more}`, more * 7_919_000] as const),
      ];
      const next = seat(seatsOf(people, given), ranges);
      expect(movesBetween(given, next)).toBe(0);
      given = next;
    }
    expect(countsOf(given)).toEqual({ v1: 135, v2: 15 });
  });

  it("comes to the same answer by one and one as by all at once, and names whoever moved and nobody else", () => {
    const changes = fc.array(fc.record({ leavers: fc.nat({ max: 50 }), size: fc.nat({ max: 50 }) }), { maxLength: 12 });
    fc.assert(
      fc.property(population, percentages, percentages, changes, (people, before, split, steps) => {
        const [, ranges = []] = history([before, split]);
        const [first = []] = history([before]);
        const half = people.slice(0, people.length / 2);
        const crowd = new Crowd(ranges, seatsOf(half, seat(seatsOf(half, new Map()), first)));
        let present = half;
        let waiting = people.slice(half.length);
        for (const { leavers, size } of steps) {
          for (const isComing of [true, false]) {
            const changing = isComing ? waiting.slice(0, size) : present.slice(0, leavers);
            const had = new Map(crowd.all.map(({ entity, current }) => [entity, current ?? ""]));
            const names = new Set(changing.map(([name]) => name));
            present = isComing ? [...present, ...changing] : present.filter(([name]) => !names.has(name));
            waiting = isComing ? waiting.slice(size) : [...waiting, ...changing];
            const seats = seatsOf(changing, new Map());
            const moved = isComing ? crowd.join(seats) : crowd.leave(seats);
            const now = new Map(crowd.all.map(({ entity, current }) => [entity, current ?? ""]));
            expect(now).toEqual(seat(seatsOf(present, had), ranges));
            const differ = [...now].filter(([entity, variant]) => had.get(entity) !== variant);
            expect(moved.map(({ entity, current }) => [entity, current])).toEqual(expect.arrayContaining(differ));
            const stayed = moved.filter(({ entity, current }) => had.get(entity) === current);
            expect(stayed).toEqual([]);
          }
        }
      }),
    );
  });

  it("comes to the same answer from the same population, in whatever order it was listed", () => {
    fc.assert(
      fc.property(population, percentages, (people, split) => {
        const [ranges = []] = history([split]);
        expect(seat(seatsOf([...people].reverse(), new Map()), ranges)).toEqual(
          seat(seatsOf(people, new Map()), ranges),
        );
      }),
    );
  });
});
