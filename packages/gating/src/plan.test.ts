import { readFileSync } from "node:fs";
import { type Configuration, type RolloutPlan, rolloutPlan } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { defaultPlan, nextPercent, percentOfStage, planProblems, startProblems } from "./plan.ts";
import { OFF, ON, planWith, TUESDAY } from "./rollout-fixture.ts";
import { serveOfScope, withServeOfScope } from "./scope.ts";

const configuration = (changes: Partial<Configuration> = {}): Pick<Configuration, "rules" | "fallthrough"> => ({
  rules: [],
  fallthrough: { split: { [ON]: 0, [OFF]: 100 } },
  ...changes,
});
const eu = "eu-staff" as Configuration["rules"][number]["id"];
const withRule = configuration({
  rules: [{ id: eu, when: [], serve: { variant: OFF } }],
  fallthrough: { split: { [ON]: 50, [OFF]: 50 } },
});
const codes = (plan: RolloutPlan, variants: string[], given = configuration()): unknown[] =>
  startProblems(plan, variants, given).map(({ code, field }) => [code, field]);

describe("GA-141 a plan that names only its variants has the defaults", () => {
  it("and they are those that the schema gives", () => {
    const written = {
      canary: ON,
      control: OFF,
      stages: [1, 5, 25, 50, 100].map((percent) => ({ percent })),
      guardrails: [
        { metric: "error_rate", max: 0.01 },
        { metric: "latency_p99", maxMs: 500, maxIncreasePercent: 25 },
      ],
    };
    expect(defaultPlan(ON, OFF)).toEqual(rolloutPlan.parse(written));
  });

  it("are five minutes and a look a minute, a hundred samples, back by itself and forward by hand", () => {
    expect(defaultPlan(ON, OFF)).toMatchObject({
      minSamples: 100,
      analysisIntervalSeconds: 60,
      autoPromote: false,
      autoRollback: true,
    });
    expect(defaultPlan(ON, OFF).stages).toEqual([1, 5, 25, 50, 100].map((percent) => ({ percent, bakeSeconds: 300 })));
  });

  it("know the percent of each stage and of the next", () => {
    const plan = planWith();
    expect([null, 0, 1, 4].map((stage) => percentOfStage(plan, stage))).toEqual([0, 1, 5, 100]);
    expect([0, 3, 4].map((stage) => nextPercent(plan, stage))).toEqual([5, 100, null]);
  });
});

describe("GA-142 a plan that can never be carried out is refused, with the field", () => {
  const limits = { onFail: "rollback", forSeconds: 0, required: true, exclusive: false } as const;
  const afternoon = {
    timezone: "Europe/Paris",
    days: ["tue"],
    from: "14:00",
    to: "17:00",
  } satisfies RolloutPlan["windows"][number];

  it.each<[string, Partial<RolloutPlan>, string]>([
    [
      "two guardrails of one name",
      {
        guardrails: [
          { id: "errors", metric: "error_rate", max: 0.01, ...limits },
          { id: "errors", metric: "error_rate", max: 0.05, ...limits },
        ],
      },
      "guardrails",
    ],
    ["promotion by itself with nothing that has to pass", { autoPromote: true, guardrails: [] }, "guardrails"],
    [
      "promotion by itself through a stage that is informed of and not judged",
      {
        autoPromote: true,
        guardrails: [{ metric: "error_rate", max: 0.01, ...limits, required: false }],
        stages: [
          { percent: 5, bakeSeconds: 0, guardrails: [{ metric: "latency_p99", maxMs: 500, ...limits }] },
          { percent: 100, bakeSeconds: 0 },
        ],
      },
      "guardrails",
    ],
    [
      "promotion by itself through a stage that is alerted of and not judged",
      { autoPromote: true, guardrails: [{ metric: "error_rate", max: 0.01, ...limits, onFail: "alert" }] },
      "guardrails",
    ],
    [
      "more metrics than a rollout judges",
      {
        guardrails: Array.from({ length: 17 }, (_, index) => ({
          metric: `m${index}`,
          kind: "ratio" as const,
          min: 0.1,
          ...limits,
        })),
      },
      "guardrails",
    ],
    [
      "limits that no value is within",
      { guardrails: [{ metric: "cpu", kind: "gauge", min: 80, max: 20, maxAgeSeconds: 300, ...limits }] },
      "guardrails",
    ],
    [
      "limits that exclude the only value between them",
      { guardrails: [{ source: "prometheus", query: "up", min: 1, max: 1, ...limits, exclusive: true }] },
      "guardrails",
    ],
    [
      "fewer errors than none",
      { guardrails: [{ metric: "error_rate", max: 0, ...limits, exclusive: true }] },
      "guardrails",
    ],
    [
      "more users than all",
      { guardrails: [{ metric: "conversion", kind: "ratio", min: 1, ...limits, exclusive: true }] },
      "guardrails",
    ],
    ["a window over midnight", { windows: [{ ...afternoon, from: "22:00", to: "02:00" }] }, "windows.0"],
    ["a zone that does not exist", { freezes: [{ ...afternoon, timezone: "Europe/Atlantis" }] }, "freezes.0"],
    [
      "freezes over every window",
      { windows: [afternoon], freezes: [{ ...afternoon, from: "00:00", to: "24:00" }] },
      "freezes",
    ],
  ])("%s", (_name, changes, field) => {
    expect(planProblems(planWith(changes), TUESDAY)).toEqual([
      expect.objectContaining({ code: "rollout_plan_invalid", field }),
    ]);
  });

  it("has nothing to say of limits that leave one value", () => {
    const guardrails: RolloutPlan["guardrails"] = [
      { source: "prometheus", query: "up", min: 1, max: 1, ...limits },
      { metric: "error_rate", max: 0, ...limits },
      { metric: "conversion", kind: "ratio", min: 1, ...limits },
    ];
    expect(planProblems(planWith({ guardrails }), TUESDAY)).toEqual([]);
  });

  it("names two levels on one metric itself, and has nothing to say of them", () => {
    const guardrails: RolloutPlan["guardrails"] = [
      { metric: "error_rate", max: 0.005, ...limits, onFail: "hold" },
      { metric: "error_rate", max: 0.01, ...limits },
    ];
    expect(planProblems(planWith({ guardrails, windows: [afternoon] }), TUESDAY)).toEqual([]);
  });
});

describe("GA-143 a rollout begins where the canary has nothing and the control something", () => {
  it("refuses variants that the flag does not have, before anything else", () => {
    expect(codes(planWith(), ["off"])).toEqual([["variant_unknown", "canary"]]);
    expect(codes(planWith(), [])).toEqual([
      ["variant_unknown", "canary"],
      ["variant_unknown", "control"],
    ]);
  });

  it("refuses a rule that is not there", () => {
    expect(codes(planWith({ scope: { rule: eu } }), ["on", "off"])).toEqual([["rollout_scope_unknown", "scope.rule"]]);
  });

  it("refuses a canary that is served already, and a control that is not", () => {
    expect(codes(planWith(), ["on", "off"], withRule)).toEqual([["rollout_canary_has_share", "canary"]]);
    expect(codes(planWith(), ["on", "off"], configuration({ fallthrough: { variant: ON } }))).toEqual([
      ["rollout_canary_has_share", "canary"],
      ["rollout_control_has_no_share", "control"],
    ]);
  });

  it("looks at the scope alone, and changes nothing but it", () => {
    const scope = { rule: eu };
    expect(codes(planWith({ scope }), ["on", "off"], withRule)).toEqual([]);
    expect(serveOfScope(withRule, scope)).toEqual({ variant: OFF });
    const serve = { split: { [ON]: 5, [OFF]: 95 } };
    const changed = withServeOfScope(withRule, scope, serve);
    expect(changed).toEqual({ rules: [{ id: eu, when: [], serve }], fallthrough: withRule.fallthrough });
    expect(withServeOfScope(withRule, { fallthrough: true }, serve)).toEqual({
      rules: withRule.rules,
      fallthrough: serve,
    });
  });
});

describe("GA-142 the plans of the guide", () => {
  const guide = readFileSync(new URL("../../../docs/guides/gated-rollouts.md", import.meta.url), "utf8");
  const plans = [...guide.matchAll(/^```json\n([\s\S]*?)^```/gm)].map(([, block]) => block ?? "");

  it("are there", () => {
    expect(plans.length).toBeGreaterThanOrEqual(5);
  });

  it.each(plans.map((block, index) => [index + 1, block] as const))("plan %i can be carried out", (_index, block) => {
    const plan = rolloutPlan.parse(JSON.parse(block));
    expect(planProblems(plan, TUESDAY)).toEqual([]);
    expect(startProblems(plan, ["on", "off"], configuration())).toEqual([]);
  });
});
