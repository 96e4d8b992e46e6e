import { type EvidenceCell, evidenceCell } from "@bunting/contracts";
import { EVIDENCE_GROUPS, LATENCY_LADDER_MS, LIMITS } from "@bunting/contracts/literals";
import { finalise, hashBucketingKey } from "@bunting/engine";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonBytes } from "../telemetry/json-bytes.ts";
import { LARGEST_CELL_BYTES } from "./book.ts";
import { CellCounters } from "./cell.ts";
import { UnitSet } from "./unit-set.ts";

const ARM = { rollout: "r", attempt: 2, stage: 1, variant: "on" };

const emptyCell = (): CellCounters => new CellCounters(ARM, 176_000, new UnitSet());

/** A unit of this group. */
const inGroup = (group: number, serial: number): number => (serial << 5) | group;

describe("TE-43 a batch has room for the largest cell", () => {
  it("with every group, bin, rung and metric there may be, each of them counted in six digits", () => {
    const count = 999_999;
    const times = <Entry>(length: number, entry: (index: number) => Entry) =>
      Array.from({ length }, (_, index) => entry(index));
    const metric = () => ({
      eventCount: count,
      unitEventCount: count,
      sum: -Number.MAX_SAFE_INTEGER / 3,
      sumOfSquares: Number.MAX_SAFE_INTEGER ** 2 / 3,
      groups: times(EVIDENCE_GROUPS, (group): [number, number] => [group, count]),
    });
    const names = times(LIMITS.metricsPerRollout, (index) => `${index}`.padStart(64, "m"));
    const cell: EvidenceCell = {
      ...emptyCell().take(),
      rollout: "r".repeat(64),
      variant: "v".repeat(LIMITS.keyCharacters) as EvidenceCell["variant"],
      exposureCount: count,
      groups: times(EVIDENCE_GROUPS, (group) => [group, count, count, count, count]),
      sketch: times(LIMITS.sketchBins, (index) => [index - 230, count]),
      ladder: times(LIMITS.ladderEntries, (index) => [index % EVIDENCE_GROUPS, index % 14, count]),
      metrics: Object.fromEntries(names.map((name) => [name, metric()])),
    };
    expect(evidenceCell.safeParse(cell).success).toBe(true);
    expect(jsonBytes(cell)).toBeLessThan(LARGEST_CELL_BYTES);
  });
});

describe("TE-32 units fall into groups by a hash of their own", () => {
  it("which is fmix32(hash XOR groupSalt) mod 32, and has nothing to do with the bucket", () => {
    const groups = new Float64Array(32);
    for (let index = 0; index < 32_000; index += 1) {
      const group = finalise(hashBucketingKey(`user-${index}`) ^ 7) & 31;
      groups[group] = (groups[group] ?? 0) + 1;
    }
    const chiSquared = groups.reduce((sum, count) => sum + (count - 1_000) ** 2 / 1_000, 0);
    // 31 degrees of freedom: 61 is the 99.9 % quantile. One fixed set of users, so this either holds or does not.
    expect(chiSquared).toBeLessThan(61.1);
  });

  it("and a cell names those with something, and their sums as its totals", () => {
    const cell = emptyCell();
    cell.expose(inGroup(3, 1));
    cell.expose(inGroup(3, 2));
    cell.expose(inGroup(31, 1));
    cell.settle(inGroup(3, 1), true, 5);
    cell.settle(inGroup(31, 1), false, 5);
    expect(cell.take()).toMatchObject({
      ...ARM,
      interval: 176_000,
      exposureCount: 3,
      unitCount: 3,
      outcomeCount: 2,
      errorCount: 1,
      unitErrorCount: 1,
      uncheckedCount: 0,
      groups: [
        [3, 2, 1, 1, 1],
        [31, 1, 1, 0, 0],
      ],
    });
  });
});

describe("TE-33 a unit counts once per interval and metric, over all batches of the interval", () => {
  it("as a unit, as a failed unit, and in each custom metric", () => {
    const cell = emptyCell();
    for (let round = 0; round < 2; round += 1) {
      for (let time = 0; time < 3; time += 1) {
        cell.expose(33);
        cell.settle(33, true, 1);
        cell.track("conversion", 33, 2);
        cell.track("clicks", 33, 1);
      }
      const first = round === 0 ? 1 : 0;
      expect(cell.take()).toMatchObject({
        exposureCount: 3,
        unitCount: first,
        outcomeCount: 3,
        errorCount: 3,
        unitErrorCount: first,
        metrics: {
          conversion: { eventCount: 3, unitEventCount: first, sum: 6, sumOfSquares: 12 },
          clicks: { eventCount: 3, unitEventCount: first, sum: 3, sumOfSquares: 3 },
        },
      });
    }
  });

  it("counts units beyond 8,192 without a look, and says of how many", () => {
    const cell = emptyCell();
    for (let serial = 1; serial <= 9_000; serial += 1) cell.expose(inGroup(serial % 32, serial));
    expect(cell.take()).toMatchObject({ unitCount: 9_000, uncheckedCount: 808 });
  });
});

describe("TE-34 latency is counted in bins of 2 %, and per group above each rung of the ladder", () => {
  it("with gamma 1.01/0.99, clamped to 10 µs and 6 minutes", () => {
    const bins = [0, -5, 1e-9, 0.5, 1, 1.0203, 500, 1e9].map((latencyMs) => {
      const cell = emptyCell();
      cell.settle(1, false, latencyMs);
      return cell.take().sketch;
    });
    const expected = [-230, -230, -230, Math.floor(Math.log(0.5) / Math.log(1.01 / 0.99)), 0, 1, 310, 640];
    expect(bins).toEqual(expected.map((bin) => [[bin, 1]]));
  });

  it("with a value within 1 % of every latency in its bin", () => {
    const gamma = 1.01 / 0.99;
    fc.assert(
      fc.property(fc.double({ min: 0.02, max: 300_000, noNaN: true }), (latencyMs) => {
        const cell = emptyCell();
        cell.settle(1, false, latencyMs);
        const bin = cell.take().sketch[0]?.[0] ?? 0;
        const shown = (2 * gamma ** (bin + 1)) / (gamma + 1);
        expect(Math.abs(shown / latencyMs - 1)).toBeLessThan(0.0100001);
      }),
    );
  });

  it("cumulative over the rungs", () => {
    const cell = emptyCell();
    for (const latencyMs of [5, 15, 60, 60, 20_000]) cell.settle(inGroup(9, 1), false, latencyMs);
    const above = (rungMs: number): number => [5, 15, 60, 60, 20_000].filter((latencyMs) => latencyMs > rungMs).length;
    expect(cell.take().ladder).toEqual(LATENCY_LADDER_MS.map((rungMs, rung) => [9, rung, above(rungMs)]));
  });
});

describe("TE-40 what is taken in parts is what was counted", () => {
  const action = fc.record({
    do: fc.constantFrom("expose", "settle", "track", "take"),
    unit: fc.integer({ min: 1, max: 200 }),
    isError: fc.boolean(),
    latencyMs: fc.double({ min: 0, max: 20_000, noNaN: true }),
  });

  it("in every order, and every part is a cell that the server takes", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        const [parted, whole] = [emptyCell(), emptyCell()];
        const parts: EvidenceCell[] = [];
        for (const { do: what, unit, isError, latencyMs } of actions) {
          if (what === "take") parts.push(parted.take());
          for (const cell of [parted, whole]) {
            if (what === "expose") cell.expose(unit);
            if (what === "settle") cell.settle(unit, isError, latencyMs);
            if (what === "track") cell.track("conversion", unit, 1);
          }
        }
        parts.push(parted.take());
        expect(parted.pending).toBe(0);
        expect(parts.every((part) => evidenceCell.safeParse(part).success)).toBe(true);
        const total = whole.take();
        const sumOf = (pairs: readonly (readonly number[])[]): [string, number][] => {
          const sums = new Map<string, number>();
          for (const pair of pairs) {
            const name = pair.slice(0, -1).join(":");
            sums.set(name, (sums.get(name) ?? 0) + (pair.at(-1) ?? 0));
          }
          return [...sums].sort(([one], [other]) => (one < other ? -1 : 1));
        };
        const all = (of: (cell: typeof total) => readonly (readonly number[])[]) => sumOf(parts.flatMap(of));
        expect(all(({ sketch }) => sketch)).toEqual(sumOf(total.sketch));
        expect(all(({ ladder }) => ladder)).toEqual(sumOf(total.ladder));
        for (const column of [1, 2, 3, 4]) {
          const of = ({ groups }: typeof total) => groups.map((group) => [group[0], group[column] ?? 0]);
          expect(all(of)).toEqual(sumOf(of(total)));
        }
        for (const name of ["exposureCount", "unitCount", "outcomeCount", "errorCount", "unitErrorCount"] as const) {
          expect(parts.reduce((sum, part) => sum + part[name], 0)).toBe(total[name]);
        }
      }),
    );
  });
});
