import { rolloutPlan } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { type PlanOptions, planOf } from "./rollout-plan.ts";
import { sampleConfiguration, sampleFlag } from "./test-world.ts";

const planned = (options: PlanOptions, flag = sampleFlag()) => planOf(options, flag, sampleConfiguration());
function parsed(options: PlanOptions, flag = sampleFlag()) {
  const result = planned(options, flag);
  if (!result.ok) throw new Error(result.detail);
  return rolloutPlan.parse(result.plan);
}

describe("a plan from options", () => {
  it("is the classic one where nothing is named", () => {
    const { canary, control, stages, guardrails, autoPromote, autoRollback } = parsed({});
    expect({ canary, control, autoPromote, autoRollback }).toEqual({
      canary: "on",
      control: "off",
      autoPromote: false,
      autoRollback: true,
    });
    expect(stages).toEqual([1, 5, 25, 50, 100].map((percent) => ({ percent, bakeSeconds: 300 })));
    expect(guardrails).toMatchObject([{ metric: "error_rate", max: 0.01, worseThanControl: true, onFail: "rollback" }]);
  });

  it("says what the options say, and what they leave out is the server's default", () => {
    const plan = parsed({
      rule: "eu",
      stages: [10, 100],
      bake: 60,
      approval: [10],
      maxP99: 500,
      maxP99Increase: 25,
      minSamples: 20,
      interval: 10,
      autoPromote: true,
      autoRollback: false,
      check: ["Dashboards"],
      notify: ["slack"],
    });
    expect(plan).toMatchObject({
      scope: { rule: "eu" },
      stages: [
        { percent: 10, bakeSeconds: 60, approval: true },
        { percent: 100, bakeSeconds: 60 },
      ],
      guardrails: [{ metric: "latency_p99", maxMs: 500, maxIncreasePercent: 25 }],
      minSamples: 20,
      analysisIntervalSeconds: 10,
      autoPromote: true,
      autoRollback: false,
      checklist: ["Dashboards"],
      notify: ["slack"],
      falseAlarmBudget: 0.01,
    });
  });

  it("needs the canary named where more than one variant could be it", () => {
    const variants = { a: { value: "a" }, b: { value: "b" }, off: { value: "o" } };
    const flag = sampleFlag({ type: "string", variants });
    expect(planned({}, flag)).toEqual({ ok: false, detail: "Say which variant is on trial with --canary: a, b." });
    expect(parsed({ canary: "b", control: "a" }, flag)).toMatchObject({ canary: "b", control: "a" });
  });

  it("says that the control is no variant of the flag, instead of asking for a canary", () => {
    expect(planned({ control: "of" })).toEqual({ ok: false, detail: "There is no variant of for --control: on, off." });
  });

  it("refuses an approval at a percentage that is no stage", () => {
    expect(planned({ stages: [5, 50], approval: [25] })).toMatchObject({ ok: false });
  });
});
