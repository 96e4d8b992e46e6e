import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BulkTest } from "./bulk-test.ts";
import { ControlHistory } from "./control-history.ts";
import { arm } from "./evidence-fixture.ts";
import { nearestRung } from "./ladder.ts";
import { LatencyComparison } from "./latency-comparison.ts";
import {
  binIndex,
  binLatencyMs,
  countAbove,
  effectiveIncreaseRate,
  HIGHEST_BIN,
  LOWEST_BIN,
  mergeSketches,
  quantileBin,
  shiftBinCount,
  sketchCount,
} from "./sketch.ts";

const SEED = 99;
const latency = fc.double({ min: 0.011, max: 300_000, noNaN: true });

describe("GA-20 sketches", () => {
  it("stand for every latency within 1 %, from 10 us to 6 min", () => {
    fc.assert(
      fc.property(latency, (ms) => {
        expect(Math.abs(binLatencyMs(binIndex(ms)) - ms) / ms).toBeLessThanOrEqual(0.01 + 1e-9);
      }),
      { seed: SEED },
    );
  });

  it("clamp what lies outside, and zero", () => {
    expect([0, -1, Number.NaN, 1e-9].map(binIndex)).toEqual(Array<number>(4).fill(LOWEST_BIN));
    expect(binIndex(1e12)).toBe(HIGHEST_BIN);
    expect(binIndex(500)).toBe(310);
  });

  it("merge by addition, and count what is strictly above a bin", () => {
    const merged = mergeSketches([
      new Map([[1, 2]]),
      new Map([
        [1, 3],
        [5, 1],
      ]),
    ]);
    expect([...merged]).toEqual([
      [1, 5],
      [5, 1],
    ]);
    expect([sketchCount(merged), countAbove(merged, 1), countAbove(merged, 0), countAbove(merged, 5)]).toEqual([
      6, 1, 6, 0,
    ]);
    expect([quantileBin(merged, 0.5), quantileBin(merged, 0.99), quantileBin(new Map(), 0.5)]).toEqual([1, 5, null]);
  });

  it("tolerate whole bins: 25 % is 24.6 %, 10 % is 10.5 %", () => {
    expect([0.25, 0.1, 0].map(shiftBinCount)).toEqual([11, 5, 0]);
    expect(effectiveIncreaseRate(11)).toBeCloseTo(0.246, 3);
    expect(effectiveIncreaseRate(5)).toBeCloseTo(0.105, 3);
  });

  it("are told per group at the rung that is nearest as a ratio", () => {
    expect([1, 10, 33, 34, 380, 400, 100_000].map((ms) => nearestRung(binIndex(ms)))).toEqual([0, 0, 2, 2, 5, 6, 13]);
    expect(nearestRung(binIndex(30))).toBe(1);
  });
});

describe("GA-17 thresholds come from the control's past", () => {
  it("as the smallest bin that reaches the quantile, and as mid-ranks", () => {
    const history = new ControlHistory();
    expect(history.empty).toBe(true);
    history.add(
      0,
      new Map([
        [100, 90],
        [200, 10],
      ]),
    );
    expect([0.5, 0.9, 0.91, 0.99].map((quantile) => history.quantileBin(quantile))).toEqual([100, 100, 200, 200]);
    expect([99, 100, 150, 200, 201].map((bin) => history.score(bin))).toEqual(
      [-0.5, -0.05, 0.4, 0.45, 0.5].map((score) => expect.closeTo(score, 12)),
    );
    expect(history.score(-1e6)).toBe(-0.5);
    expect(history.score(1e6)).toBe(0.5);
  });

  it("and forget 2 % of it in each interval, however long a rollout lasts", () => {
    const history = new ControlHistory();
    history.add(0, new Map([[100, 100]]));
    history.add(34, new Map([[200, 51]]));
    expect(history.quantileBin(0.5)).toBe(200);
    const long = new ControlHistory();
    for (let interval = 0; interval < 20_000; interval += 1)
      long.add(interval, new Map([[interval % 2 === 0 ? 100 : 200, 10]]));
    expect(long.score(100)).toBeCloseTo(-0.253, 2);
    long.add(1_000_000, new Map([[300, 1]]));
    expect(long.quantileBin(0.5)).toBe(300);
  });

  it("so the first interval judges nothing", () => {
    const comparison = new LatencyComparison("latency_p99", 0);
    const interval = {
      canary: arm({ outcomes: 100, latencies: [[5000, 100]] }),
      control: arm({ outcomes: 1000, latencies: [[80, 1000]] }),
    };
    comparison.add(interval, new ControlHistory(), true);
    expect(comparison.logEvidence()).toBeCloseTo(Math.log(0.5 + 0.5), 12);
  });
});

describe("GA-18 a slower canary is found by its bulk, a longer tail by the tail", () => {
  const control = [
    [60, 300],
    [80, 400],
    [110, 250],
    [160, 40],
    [250, 10],
  ] as const;
  const evidenceOf = (
    canary: readonly (readonly [number, number])[],
    percent: number,
    count = 60,
    groups?: number,
  ): number => {
    const comparison = new LatencyComparison("latency_p99", shiftBinCount(percent / 100));
    const history = new ControlHistory();
    for (let interval = 0; interval < count; interval += 1) {
      const arms = {
        canary: arm({
          outcomes: sum(canary),
          latencies: canary,
          turn: 7 * interval,
          ...(groups === undefined ? {} : { groups }),
        }),
        control: arm({ outcomes: 1000, latencies: control, turn: 5 * interval }),
      };
      comparison.add(arms, history, true);
      history.add(interval, arms.control.sketch);
    }
    return comparison.logEvidence();
  };
  const slower = (factor: number): [number, number][] => control.map(([ms, count]) => [ms * factor, count / 10]);
  const tail: readonly (readonly [number, number])[] = [
    [60, 30],
    [80, 40],
    [110, 24],
    [160, 3],
    [900, 3],
  ];

  it("and neither by a canary that is the same", () => {
    expect(evidenceOf(slower(1), 0)).toBeLessThan(1);
    expect(evidenceOf(slower(1), 25)).toBeLessThan(0);
  });

  it("a shift of 50 % refutes 25 %, one of 10 % does not", () => {
    expect(evidenceOf(slower(1.5), 25)).toBeGreaterThan(Math.log(100));
    expect(evidenceOf(slower(1.1), 25)).toBeLessThan(0);
    expect(evidenceOf(slower(1.1), 0)).toBeGreaterThan(Math.log(100));
  });

  it("a tail of 3 % refutes 25 % though the bulk is the same", () => {
    expect(evidenceOf(tail, 25)).toBeGreaterThan(Math.log(100));
  });

  it("one slow group of users alone does not", () => {
    expect(evidenceOf([[900, 6]], 25, 60, 1)).toBeLessThan(Math.log(100));
  });

  it.each([
    { unit: 1, silent: false },
    { unit: 0.01, silent: true },
  ])("at $unit of that the ladder tells the bulk enough of groups: $silent that it does not", ({ unit, silent }) => {
    const bulk = new BulkTest(0);
    const history = new ControlHistory();
    for (let interval = 0; interval < 60; interval += 1) {
      const scaled = (latencies: readonly (readonly [number, number])[]): [number, number][] =>
        latencies.map(([ms, count]) => [ms * unit, count]);
      const canary = arm({ outcomes: 100, latencies: scaled(slower(1.5)), turn: 7 * interval });
      const past = arm({ outcomes: 1000, latencies: scaled(control), turn: 5 * interval });
      if (!history.empty) bulk.add((bin) => history.score(bin), canary, past);
      history.add(interval, past.sketch);
    }
    if (silent) expect(bulk.logEvidence()).toBe(0);
    else expect(bulk.logEvidence()).toBeGreaterThan(Math.log(100));
  });
});

const sum = (latencies: readonly (readonly [number, number])[]): number =>
  latencies.reduce((total, [, count]) => total + count, 0);
