import type { RolloutPlan } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { cellsOf, exposedAt, planWith, runningWith, TUESDAY } from "./rollout-fixture.ts";
import { type History, whatIf } from "./what-if.ts";

const classic = (changes: Partial<RolloutPlan> = {}): RolloutPlan =>
  planWith({ decideBy: "threshold", stages: [5, 50].map((percent) => ({ percent, bakeSeconds: 300 })), ...changes });

const fine = { outcomeCount: 400, errorCount: 1, p50Ms: 50, p99Ms: 200 };
/** Twenty minutes at 5 %: from the eleventh on, 2 % of the canary's outcomes are errors. */
const history: History = {
  rollout: runningWith({ stage: 0, state: "paused", plan: classic({ autoPromote: true }) }),
  cells: [
    ...cellsOf({ from: TUESDAY, to: TUESDAY + 600_000, stage: 0 }, exposedAt(5, { canary: fine, control: fine })),
    ...cellsOf(
      { from: TUESDAY + 600_000, to: TUESDAY + 1_200_000, stage: 0 },
      exposedAt(5, { canary: { ...fine, errorCount: 8 }, control: fine }),
    ),
  ],
  samples: [],
  breakers: [],
  until: TUESDAY + 1_200_000,
};
const told = (plan: RolloutPlan): string[] =>
  whatIf(history, plan).timeline.map(
    ({ decision: { at, action }, percent }) => `${(Date.parse(at) - TUESDAY) / 1000} s at ${percent} %: ${action}`,
  );
const deeds = (plan: RolloutPlan): string[] => told(plan).filter((line) => !/none|notify/.test(line));

describe("GA-173 what-if runs a history under another plan", () => {
  it("gives its own plan's story, the real pause left out", () => {
    expect(deeds(classic())).toEqual(["360 s at 5 %: promote", "660 s at 50 %: rollback"]);
  });

  it("looks at its own interval", () => {
    const lines = told(classic({ analysisIntervalSeconds: 300, stages: [{ percent: 5, bakeSeconds: 3600 }] }));
    expect(lines.map((line) => line.split(" ")[0])).toEqual(["300", "600", "900"]);
  });

  it("shows what a laxer limit would have let pass, and what a stricter one would have caught", () => {
    const limit = (max: number): RolloutPlan =>
      classic({
        guardrails: [
          { metric: "error_rate", max, onFail: "rollback", forSeconds: 0, required: true, exclusive: false },
        ],
      });
    expect(deeds(limit(0.05))).toEqual(["360 s at 5 %: promote", "720 s at 50 %: complete"]);
    expect(deeds(limit(0.001))).toEqual(["60 s at 5 %: rollback"]);
  });

  it("takes people to sign and to promote at once, and the calendar as it was", () => {
    const stages = classic().stages.map((stage) => ({ ...stage, approval: true as const }));
    expect(deeds(classic({ stages, autoPromote: false }))[0]).toBe("360 s at 5 %: promote");
    const windows: RolloutPlan["windows"] = [{ timezone: "Europe/Paris", days: ["wed"], from: "14:00", to: "17:00" }];
    expect(deeds(classic({ windows }))).toEqual(["660 s at 5 %: rollback"]);
  });

  it("says at which share the evidence was really collected, and does not take the difference for a mismatch", () => {
    const { timeline } = whatIf(history, classic({ stages: [{ percent: 25, bakeSeconds: 300 }] }));
    expect(timeline[0]).toMatchObject({ percent: 25, realPercent: 5 });
    expect(timeline.map(({ decision }) => decision.cause)).not.toContain("sample_ratio_mismatch");
  });
});
