import { describe, expect, it } from "vitest";
import { dispersionAtMargin, type GroupCounts } from "./dispersion.ts";
import type { EvidenceInterval } from "./evidence.ts";
import { arm, inputsOf, intervalsOf, planOf } from "./evidence-fixture.ts";
import { addInterval, plainLogEvidence, startProcess } from "./evidence-process.ts";
import { NON_INFERIOR } from "./grid.ts";
import { judgeGuardrails } from "./judge.ts";
import type { Judgement } from "./judgement.ts";
import { RelativeTest } from "./relative-test.ts";

const plan = planOf({
  stages: [{ percent: 5 }, { percent: 25 }, { percent: 50 }],
  guardrails: [{ metric: "error_rate", worseThanControl: true }],
});
const CANARY = { exposures: 160, errors: 1 };
const CONTROL = { exposures: 3040, errors: 15 };

const judge = (intervals: readonly EvidenceInterval[], stage: number): Judgement =>
  judgeGuardrails(inputsOf(plan, intervals, { stage }));

describe("GA-12 a stage is a place to count from", () => {
  it("so what an earlier stage did well is not held against what this one finds", () => {
    const good = intervalsOf(25, { exposures: 1600, errors: 0 }, { exposures: 3040, errors: 15 });
    const bad = (stage: number): readonly EvidenceInterval[] =>
      intervalsOf(4, { exposures: 160, errors: 8 }, CONTROL, { stage, from: 25 });
    const inNext = judge([...good, ...bad(1)], 1).mergedLogEvidence;
    const inSame = judge([...good, ...bad(0)], 0).mergedLogEvidence;
    expect(inNext).toBeGreaterThan(inSame + 1);
  });
});

describe("GA-33 a stage proves itself", () => {
  it("and what a straggler still reports of the one before is no proof, and no sample", () => {
    const now = intervalsOf(20, CANARY, CONTROL, { stage: 1 });
    const stragglers = intervalsOf(20, CANARY, CONTROL, { stage: 0 });
    const alone = judge(now, 1);
    const withStragglers = judge([...stragglers, ...now], 1);
    const proofOf = ({ guardrails }: Judgement): number | null | undefined => guardrails[0]?.logNonInferiority;
    expect(proofOf(withStragglers)).toBe(proofOf(alone));
    expect(withStragglers.counts).toEqual(alone.counts);
    expect(withStragglers.bakedSeconds).toBe(alone.bakedSeconds);
    expect(withStragglers.mergedLogEvidence).not.toBe(alone.mergedLogEvidence);
  });
});

describe("GA-34 at the margin the canary is that much more dispersed", () => {
  const groups = (count: number): GroupCounts => ({
    exposures: Float64Array.from({ length: 32 }, (_, group) => (group < count ? 100 : 0)),
    events: new Float64Array(32),
  });

  it("by no less than half of what its estimate may err by, and at a margin of 1 not at all", () => {
    expect(dispersionAtMargin(3, 6, groups(32))).toBeCloseTo(1 + 2 * 6, 12);
    expect(dispersionAtMargin(1, 6, groups(32))).toBeCloseTo(1 + (5 * Math.sqrt(2 / 31)) / 2, 12);
    expect(dispersionAtMargin(1, 6, groups(9))).toBeCloseTo(1 + (5 * Math.sqrt(2 / 8)) / 2, 12);
    expect(dispersionAtMargin(0.9, 1, groups(32))).toBe(0.9);
    for (const phi of [1, 1.1, 4]) expect(dispersionAtMargin(phi, 1, groups(32))).toBe(phi);
  });

  it("and evidence divided by its own dispersion is worth what it says, however unequal the luck of users", () => {
    for (const phi of [1.01, 1.5, 3, 16]) {
      for (const expectedCount of [0.5, 5, 60]) {
        for (const ratio of NON_INFERIOR.alternatives) {
          const value = meanOverLuck(phi, expectedCount, (count) =>
            Math.exp((count * Math.log(ratio) + expectedCount * (1 - ratio)) / phi),
          );
          expect(value, `phi ${phi}, ${expectedCount} expected, ratio ${ratio}`).toBeLessThanOrEqual(1 + 1e-9);
        }
      }
    }
  });

  it("so a proof is divided by 1 + (phi - 1) times the margin", () => {
    const margin = 3;
    const test = new RelativeTest({ grid: NON_INFERIOR, nullRateRatio: margin });
    const process = startProcess(NON_INFERIOR);
    const clustered = arm({ outcomes: 3040, errors: 60, errorGroups: 6 });
    const counts = {
      canaryExposureCount: 1600,
      canaryEventCount: 8,
      controlExposureCount: 3040,
      controlEventCount: 60,
    };
    for (let interval = 0; interval < 10; interval += 1) {
      addInterval(process, counts, margin);
      test.add({
        ...counts,
        canaryGroupEvents: arm({ outcomes: 1600, errors: 8 }).groups.unitErrorCount,
        controlGroupExposures: clustered.groups.outcomeCount,
        controlGroupEvents: clustered.groups.unitErrorCount,
      });
    }
    expect(test.dispersion).toBeGreaterThan(2);
    const dispersion = 1 + (test.dispersion - 1) * margin;
    expect(test.nonInferiorityLogEvidence()).toBeCloseTo(plainLogEvidence(process, { dispersion }), 10);
  });
});

/** Mean over a Poisson count whose mean is gamma distributed: negative binomial, its variance `phi` times its mean. */
function meanOverLuck(phi: number, expectedCount: number, value: (count: number) => number): number {
  const shape = expectedCount / (phi - 1);
  let logChance = -shape * Math.log(phi);
  let mean = 0;
  for (let count = 0; count < 4_000; count += 1) {
    mean += Math.exp(logChance) * value(count);
    logChance += Math.log((shape + count) / (count + 1)) + Math.log1p(-1 / phi);
  }
  return mean;
}
