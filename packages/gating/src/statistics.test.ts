import { describe, expect, it } from "vitest";
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
