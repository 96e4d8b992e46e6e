import type { EvidenceCounts } from "@bunting/gating";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CellSum, decodeCounts, encodeCounts } from "./cell-sum.ts";

const count = fc.integer({ min: 0, max: 2 ** 32 });
const group = fc.integer({ min: 0, max: 31 });
const metric = fc.record({
  eventCount: count,
  unitEventCount: count,
  sum: fc.integer({ min: -1e6, max: 1e6 }),
  sumOfSquares: fc.integer({ min: 0, max: 1e9 }),
  groups: fc.array(fc.tuple(group, count), { maxLength: 5 }),
});
const counts: fc.Arbitrary<EvidenceCounts> = fc.record({
  exposureCount: count,
  unitCount: count,
  outcomeCount: count,
  errorCount: count,
  unitErrorCount: count,
  uncheckedCount: count,
  groups: fc.array(fc.tuple(group, count, count, count, count), { maxLength: 8 }),
  sketch: fc.array(fc.tuple(fc.integer({ min: -300, max: 700 }), count), { maxLength: 8 }),
  ladder: fc.array(fc.tuple(group, fc.integer({ min: 0, max: 15 }), count), { maxLength: 8 }),
  metrics: fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_]{0,6}$/), metric, { maxKeys: 4 }),
});

const sumOf = (cells: readonly EvidenceCounts[]): EvidenceCounts =>
  cells.reduce((sum, cell) => sum.add(cell), new CellSum()).render();

describe("TE-101 cells merge by addition", () => {
  it("in any order and any number of parts, to the same text", () => {
    fc.assert(
      fc.property(fc.array(counts, { maxLength: 6 }), fc.nat(), (cells, seed) => {
        const whole = encodeCounts(sumOf(cells));
        const at = cells.length === 0 ? 0 : seed % cells.length;
        const turned = [...cells.slice(at), ...cells.slice(0, at)].reverse();
        expect(encodeCounts(sumOf(turned))).toBe(whole);
        expect(encodeCounts(sumOf([sumOf(cells.slice(0, at)), sumOf(cells.slice(at))]))).toBe(whole);
      }),
    );
  });

  it("and are read as they were written", () => {
    fc.assert(
      fc.property(fc.array(counts, { maxLength: 3 }), (cells) => {
        const sum = sumOf(cells);
        expect(decodeCounts(encodeCounts(sum))).toEqual(sum);
      }),
    );
  });

  it("up to where numbers are exact, and no further", () => {
    const cell = { ...sumOf([]), exposureCount: Number.MAX_SAFE_INTEGER };
    const huge = { eventCount: 1, unitEventCount: 1, sum: -1.7e308, sumOfSquares: 1.7e308, groups: [] };
    const sum = sumOf([
      { ...cell, metrics: { huge } },
      { ...cell, metrics: { huge } },
    ]);
    expect(sum.exposureCount).toBe(Number.MAX_SAFE_INTEGER);
    expect(decodeCounts(encodeCounts(sum)).metrics?.huge).toMatchObject({
      eventCount: 2,
      sum: -Number.MAX_VALUE,
      sumOfSquares: Number.MAX_VALUE,
    });
  });
});
