import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RatioSequence } from "./confidence-sequence.ts";
import {
  type ArmCounts,
  addCheckpoint,
  addInterval,
  CHECKPOINT_LIMIT,
  type EvidenceProcess,
  logEvidence,
  plainLogEvidence,
  startProcess,
} from "./evidence-process.ts";
import { FEWER, type Grid, HARM, NON_INFERIOR, NON_INFERIOR_FEWER, TAIL } from "./grid.ts";
import { logWeightedMean } from "./log-space.ts";

const SEED = 20_260_801;
const checked = { seed: SEED, numRuns: 200 };

const counts = (nT: number, eT: number, nC: number, eC: number): ArmCounts => ({
  canaryExposureCount: nT,
  canaryEventCount: eT,
  controlExposureCount: nC,
  controlEventCount: eC,
});

const processOf = (intervals: readonly ArmCounts[], grid: Grid = HARM, nullRateRatio = 1): EvidenceProcess => {
  const process = startProcess(grid);
  for (const interval of intervals) addInterval(process, interval, nullRateRatio);
  return process;
};

const interval = fc
  .tuple(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: 20_000 }), fc.nat(40), fc.nat(60))
  .map(([nT, nC, eT, eC]) => counts(nT, Math.min(nT, eT), nC, Math.min(nC, eC)));
const intervals = fc.array(interval, { minLength: 1, maxLength: 12 });

describe("GA-11 evidence is worth what it says", () => {
  it.each([
    ["HARM", HARM],
    ["TAIL", TAIL],
    ["FEWER", FEWER],
    ["NON_INFERIOR", NON_INFERIOR],
    ["NON_INFERIOR_FEWER", NON_INFERIOR_FEWER],
  ])("on the boundary the e-value of %s is 1 on average over how an interval's events fall", (_, grid) => {
    for (const share of [0.01, 0.05, 0.25, 0.5]) {
      for (const eventCount of [1, 5, 20]) {
        const expected = meanOverBinomial(eventCount, share, (canary) =>
          valueOf([counts(1000 * share, canary, 1000 * (1 - share), eventCount - canary)], grid, 1),
        );
        expect(expected).toBeCloseTo(1, 9);
      }
    }
  });

  it("is below 1 on average when the canary is better than the boundary", () => {
    for (const rateRatio of [0.5, 0.9]) {
      const share = 0.25;
      const odds = (rateRatio * share) / (rateRatio * share + 1 - share);
      const expected = meanOverBinomial(20, odds, (canary) =>
        valueOf([counts(1000 * share, canary, 1000 * (1 - share), 20 - canary)], HARM, 1),
      );
      expect(expected).toBeLessThan(1);
    }
  });

  it.each([0.5, 0.9, 1, 1.25, 2])("is at most 1 on average for two binomials at ratio %d", (nullRateRatio) => {
    for (const rate of [0.01, 0.1, 0.5].filter((p) => p * nullRateRatio <= 1)) {
      let expected = 0;
      for (let eT = 0; eT <= 12; eT += 1) {
        for (let eC = 0; eC <= 30; eC += 1) {
          const chance = binomial(12, eT, rate * nullRateRatio) * binomial(30, eC, rate);
          expected += chance * valueOf([counts(12, eT, 30, eC)], HARM, nullRateRatio);
        }
      }
      expect(expected).toBeLessThanOrEqual(1 + 1e-9);
    }
  });

  it("exceeds 20 ever in at most 5 % of runs, whatever the base rate and the share do", () => {
    const random = mulberry(SEED);
    let alarms = 0;
    const runs = 4000;
    for (let run = 0; run < runs; run += 1) {
      const process = startProcess(HARM);
      for (let look = 0; look < 60; look += 1) {
        if (look > 0 && look % 10 === 0) addCheckpoint(process);
        const share = [0.01, 0.05, 0.25, 0.5][Math.floor(look / 15)] ?? 0.5;
        const rate = 0.005 * (1 + (4 * look) / 60);
        const canary = poisson(random, 3000 * share * rate);
        const control = poisson(random, 3000 * (1 - share) * rate);
        addInterval(process, counts(3000 * share, canary, 3000 * (1 - share), control), 1);
        if (logEvidence(process) < Math.log(20)) continue;
        alarms += 1;
        break;
      }
    }
    expect(alarms / runs, `seed ${SEED}`).toBeLessThanOrEqual(0.05);
    expect(alarms).toBeGreaterThan(0);
  });
});

describe("GA-10 what an interval adds", () => {
  it("does not depend on the order of intervals", () => {
    fc.assert(
      fc.property(intervals, (given) => {
        const forward = plainLogEvidence(processOf(given));
        expect(plainLogEvidence(processOf(given.toReversed()))).toBeCloseTo(forward, 9);
      }),
      checked,
    );
  });

  it("is exactly nothing without events, without a canary or without a control", () => {
    fc.assert(
      fc.property(intervals, fc.nat(1000), fc.nat(50), (given, exposures, events) => {
        const without = processOf(given);
        const idle = [counts(exposures, 0, 1000, 0), counts(0, 0, 1000, events), counts(1000, events, 0, 0)];
        const withIdle = processOf([...idle, ...given, ...idle]);
        expect(withIdle.logLikelihoodRatios).toEqual(without.logLikelihoodRatios);
      }),
      checked,
    );
  });

  it("never lowers evidence of harm by a canary's event and never raises it by a control's", () => {
    fc.assert(
      fc.property(intervals, interval, (given, last) => {
        const { canaryExposureCount: nT, canaryEventCount: eT, controlExposureCount: nC, controlEventCount: eC } = last;
        const now = plainLogEvidence(processOf([...given, counts(nT + 1, eT, nC + 1, eC)]));
        const canary = plainLogEvidence(processOf([...given, counts(nT + 1, eT + 1, nC + 1, eC)]));
        const control = plainLogEvidence(processOf([...given, counts(nT + 1, eT, nC + 1, eC + 1)]));
        expect(canary).toBeGreaterThanOrEqual(now - 1e-9);
        expect(control).toBeLessThanOrEqual(now + 1e-9);
      }),
      checked,
    );
  });

  it("is the same if both arms have ten times the exposures", () => {
    fc.assert(
      fc.property(intervals, (given) => {
        const scaled = given.map(({ canaryExposureCount, controlExposureCount, ...events }) => ({
          ...events,
          canaryExposureCount: 10 * canaryExposureCount,
          controlExposureCount: 10 * controlExposureCount,
        }));
        expect(plainLogEvidence(processOf(scaled))).toBeCloseTo(plainLogEvidence(processOf(given)), 8);
      }),
      checked,
    );
  });

  it("survives ten million requests without overflow and is -Infinity of nothing", () => {
    expect(Number.isFinite(logEvidence(processOf([counts(1e7, 1e5, 1e9, 5e6)])))).toBe(true);
  });
});

describe("GA-12 restarts", () => {
  it("find a late regression that a good beginning hides", () => {
    const good = Array.from({ length: 40 }, () => counts(1000, 0, 1000, 10));
    const bad = Array.from({ length: 8 }, () => counts(1000, 25, 1000, 10));
    const process = processOf(good);
    addCheckpoint(process);
    for (const one of bad) addInterval(process, one, 1);
    expect(plainLogEvidence(process)).toBeLessThan(0);
    expect(logEvidence(process)).toBeGreaterThan(Math.log(100));
  });

  it("cost the start at most ln(4/3)", () => {
    fc.assert(
      fc.property(intervals, (given) => {
        const process = processOf(given);
        expect(logEvidence(process)).toBeGreaterThanOrEqual(plainLogEvidence(process) + Math.log(0.75) - 1e-9);
      }),
      checked,
    );
  });

  it("are never more than their prior was made for, and none is dropped", () => {
    const process = processOf([counts(100, 3, 100, 1)]);
    const first = process.checkpoints[0];
    for (let index = 0; index < 2 * CHECKPOINT_LIMIT; index += 1) addCheckpoint(process);
    expect(process.checkpoints).toHaveLength(CHECKPOINT_LIMIT);
    expect(process.checkpoints[0]).toBe(first);
  });
});

describe("GA-14 what is taken off evidence never adds to it", () => {
  it("by events left out", () => {
    fc.assert(
      fc.property(intervals, fc.nat(100), (given, droppedEventCount) => {
        const process = processOf(given);
        expect(logEvidence(process, { droppedEventCount })).toBeLessThanOrEqual(logEvidence(process) + 1e-9);
      }),
      checked,
    );
  });

  it("by a larger dispersion, once it is positive", () => {
    fc.assert(
      fc.property(intervals, fc.double({ min: 1, max: 20, noNaN: true }), (given, dispersion) => {
        const process = processOf(given);
        const full = plainLogEvidence(process);
        fc.pre(full > 0);
        expect(plainLogEvidence(process, { dispersion })).toBeLessThanOrEqual(full + 1e-9);
      }),
      checked,
    );
  });
});

describe("GA-30 merging", () => {
  it("is never weaker than Bonferroni's correction", () => {
    const log = fc.double({ min: -50, max: 500, noNaN: true });
    const weight = fc.double({ min: 0.01, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(log, weight), { minLength: 1, maxLength: 8 }), (parts) => {
        const weights = parts.map(([, share]) => share);
        const sum = weights.reduce((total, share) => total + share, 0);
        const merged = logWeightedMean(
          parts.map(([evidence]) => evidence),
          weights,
        );
        for (const [evidence, share] of parts) {
          expect(merged).toBeGreaterThanOrEqual(evidence + Math.log(share / sum) - 1e-9);
        }
      }),
      checked,
    );
  });
});

describe("GA-19 the confidence sequence of the rate ratio", () => {
  it.each([0.5, 1, 2, 6])("misses a ratio of %d at some look in at most 5 % of runs", (rateRatio) => {
    const random = mulberry(SEED + Math.round(rateRatio * 10));
    const runs = 300;
    let missed = 0;
    for (let run = 0; run < runs; run += 1) {
      const sequence = new RatioSequence();
      for (let look = 0; look < 40; look += 1) {
        const rate = 0.01 * (1 + look / 40);
        sequence.add(counts(300, poisson(random, 300 * rate * rateRatio), 2000, poisson(random, 2000 * rate)));
        const { low = null, high = null } = sequence.interval(1, 0.05) ?? {};
        if ((low ?? 0) <= rateRatio && (high ?? Number.POSITIVE_INFINITY) >= rateRatio) continue;
        missed += 1;
        break;
      }
    }
    expect(missed / runs, `seed ${SEED}`).toBeLessThanOrEqual(0.05);
  });

  it("estimates no events of the canary as none, and not as the least ratio that it knows", () => {
    const sequence = new RatioSequence();
    for (let look = 0; look < 20; look += 1) sequence.add(counts(100, 0, 1000, 10));
    expect(sequence.interval(1, 0.05)).toMatchObject({ low: null, estimate: 0 });
  });

  it("is none without an event beside the other arm: a canary that fails alone is no canary without errors", () => {
    const sequence = new RatioSequence();
    expect(sequence.interval(1, 0.05)).toBeNull();
    sequence.add(counts(100, 9, 0, 0));
    sequence.add(counts(0, 0, 100, 0));
    sequence.add(counts(100, 0, 100, 0));
    expect(sequence.interval(1, 0.05)).toBeNull();
  });

  it("narrows around what was measured", () => {
    const sequence = new RatioSequence();
    for (let look = 0; look < 100; look += 1) sequence.add(counts(1000, 20, 1000, 10));
    const interval = sequence.interval(1, 0.05);
    expect(interval?.estimate).toBeCloseTo(2, 9);
    expect(interval?.low).toBeGreaterThan(1.7);
    expect(interval?.high).toBeLessThan(2.4);
  });
});

function valueOf(given: readonly ArmCounts[], grid: Grid, nullRateRatio: number): number {
  return Math.exp(plainLogEvidence(processOf(given, grid, nullRateRatio)));
}

function meanOverBinomial(trials: number, rate: number, value: (successes: number) => number): number {
  let mean = 0;
  for (let successes = 0; successes <= trials; successes += 1) {
    mean += binomial(trials, successes, rate) * value(successes);
  }
  return mean;
}

function binomial(trials: number, successes: number, rate: number): number {
  let chance = 1;
  for (let index = 1; index <= successes; index += 1) chance *= (trials - successes + index) / index;
  return chance * rate ** successes * (1 - rate) ** (trials - successes);
}

function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function poisson(random: () => number, mean: number): number {
  const limit = Math.exp(-mean);
  let product = random();
  let count = 0;
  while (product > limit) {
    product *= random();
    count += 1;
  }
  return count;
}
