import { describe, expect, it } from "vitest";
import { GROUP_COUNT } from "./evidence.ts";
import { arm } from "./evidence-fixture.ts";
import { MISMATCH_LOG_EVIDENCE, SampleRatioTest } from "./sample-ratio.ts";

const SEED = 5;

describe("GA-21 traffic that is not split as configured", () => {
  it("raises no alarm for the same users coming again and again, unequally busy", () => {
    let state = SEED;
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    let alarms = 0;
    for (let run = 0; run < 200; run += 1) {
      const test = new SampleRatioTest(0.05);
      const users = Array.from({ length: 2000 }, () => ({
        isCanary: random() < 0.05,
        group: Math.floor(random() * GROUP_COUNT),
        busy: random() ** 3,
      }));
      for (let interval = 0; interval < 60; interval += 1) {
        const groups = { canary: new Float64Array(GROUP_COUNT), control: new Float64Array(GROUP_COUNT) };
        for (const { isCanary, group, busy } of users) {
          if (random() >= busy) continue;
          const counts = isCanary ? groups.canary : groups.control;
          counts[group] = (counts[group] ?? 0) + 1;
        }
        test.add({ interval, stage: 0, canary: evidence(groups.canary), control: evidence(groups.control) });
      }
      if (test.logEvidence() >= MISMATCH_LOG_EVIDENCE) alarms += 1;
    }
    expect(alarms, `seed ${SEED}`).toBeLessThanOrEqual(2);
  });

  it("and raises one when half of the canary's is lost", () => {
    const test = new SampleRatioTest(0.05);
    for (let interval = 0; interval < 60; interval += 1) {
      test.add({ interval, stage: 0, canary: arm({ exposures: 80 }), control: arm({ exposures: 3040 }) });
    }
    expect(test.logEvidence()).toBeGreaterThan(MISMATCH_LOG_EVIDENCE);
    expect(test.observedShareRate).toBeCloseTo(80 / 3120, 12);
  });

  it("knows nothing without traffic", () => {
    const test = new SampleRatioTest(0.05);
    test.add({ interval: 0, stage: 0, canary: null, control: null });
    expect(test.logEvidence()).toBeCloseTo(0, 12);
    expect(test.observedShareRate).toBeNull();
  });
});

function evidence(unitCounts: Float64Array): ReturnType<typeof arm> {
  const sum = unitCounts.reduce((total, count) => total + count, 0);
  const counted = arm({ exposures: sum });
  return { ...counted, groups: { ...counted.groups, unitCount: unitCounts } };
}
