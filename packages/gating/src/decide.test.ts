import type { HoldCause, Rollout, RolloutPlan } from "@bunting/contracts";
import { HOLD_CAUSES } from "@bunting/contracts/literals";
import { describe, expect, it } from "vitest";
import { type DecisionInputs, decide, type PreviousDecision, ruleOn } from "./decide.ts";
import { instantText } from "./instant.ts";
import type { Judgement } from "./judgement.ts";
import {
  cellsOf,
  exposedAt,
  inputsWith,
  judgementWith,
  ON,
  planWith,
  rolloutWith,
  runningWith,
  TUESDAY,
} from "./rollout-fixture.ts";
import type { Ruling } from "./ruling.ts";

const LIVE = ["running", "paused", "awaiting_approval"] as const;

const gross = { by: "gross_failure", action: "rollback", guardrails: [] } as const;
const judgements = {
  pass: judgementWith(),
  rollback: judgementWith({ verdict: "fail", failure: gross, because: "8 % errors, the control 0.4 %" }),
  kill: judgementWith({
    verdict: "fail",
    failure: { ...gross, action: "kill" },
    because: "the consensus is unavailable",
  }),
  hold: judgementWith({ verdict: "hold", cause: "no_data", because: "the canary has reported nothing for 40 s" }),
} satisfies Record<string, Judgement>;

/** Verdict, cause, action and the state after, in one line. */
function lineOf({ decision: { verdict, cause, action }, rollout }: Ruling): string {
  return [verdict, ...(cause === null ? [] : [cause]), action, `${rollout.state} ${rollout.percent} %`].join(", ");
}
const noticesOf = ({ transition }: Ruling): readonly string[] =>
  transition.effects.flatMap((effect) => (effect.type === "notify" ? [effect.notice] : []));

function ruled(
  state: (typeof LIVE)[number],
  judgement: Judgement,
  plan: Partial<RolloutPlan> = {},
  more: Partial<DecisionInputs> = {},
): Ruling {
  return ruleOn(inputsWith({ rollout: runningWith({ state, plan: planWith(plan) }), ...more }), judgement);
}

describe("GA-151 what each outcome leads to in each live state", () => {
  it.each([
    ["running", "pass", { autoPromote: true }, "pass, promote, running 25 %"],
    ["running", "pass", { autoPromote: false }, "hold, manual, notify, running 5 %"],
    ["running", "rollback", {}, "fail, rollback, rolled_back 0 %"],
    ["running", "rollback", { autoRollback: false }, "fail, notify, running 5 %"],
    ["running", "kill", {}, "fail, kill, rolled_back 0 %"],
    ["running", "kill", { autoRollback: false }, "fail, notify, running 5 %"],
    ["running", "hold", { autoPromote: true }, "hold, no_data, notify, running 5 %"],
    ["paused", "pass", { autoPromote: true }, "hold, manual, none, paused 5 %"],
    ["paused", "rollback", {}, "fail, rollback, rolled_back 0 %"],
    ["paused", "rollback", { autoRollback: false }, "fail, notify, paused 5 %"],
    ["paused", "kill", {}, "fail, kill, rolled_back 0 %"],
    ["paused", "hold", {}, "hold, no_data, notify, paused 5 %"],
    ["awaiting_approval", "pass", { autoPromote: true }, "hold, awaiting_approval, none, awaiting_approval 5 %"],
    ["awaiting_approval", "rollback", {}, "fail, rollback, rolled_back 0 %"],
    ["awaiting_approval", "rollback", { autoRollback: false }, "fail, notify, awaiting_approval 5 %"],
    ["awaiting_approval", "kill", {}, "fail, kill, rolled_back 0 %"],
    ["awaiting_approval", "hold", {}, "hold, no_data, notify, awaiting_approval 5 %"],
  ] as const)("%s, %s with %o: %s", (state, outcome, plan, line) => {
    expect(lineOf(ruled(state, judgements[outcome], plan))).toBe(line);
  });

  it.each(HOLD_CAUSES.flatMap((cause) => LIVE.map((state) => [cause, state] as const)))(
    "a hold for %s changes nothing in %s",
    (cause, state) => {
      const before = inputsWith({ rollout: runningWith({ state, plan: planWith({ autoPromote: true }) }) });
      const ruling = ruleOn(before, judgementWith({ verdict: "hold", cause, because: "why" }));
      expect(ruling.decision).toMatchObject({ verdict: "hold", cause });
      expect(ruling.rollout).toEqual({ ...before.rollout, because: ruling.decision.because });
      expect(ruling.transition.effects.filter(({ type }) => type !== "notify")).toEqual([]);
    },
  );

  it("leads on only through the gates, in their order: window, approval, a person", () => {
    const outside = { now: TUESDAY + 6 * 3_600_000 };
    const windows: RolloutPlan["windows"] = [{ timezone: "Europe/Paris", days: ["tue"], from: "14:00", to: "17:00" }];
    const stages = planWith().stages.map((stage) => ({ ...stage, approval: true as const }));
    expect(lineOf(ruled("running", judgements.pass, { windows, stages, autoPromote: true }, outside))).toBe(
      "hold, outside_window, notify, running 5 %",
    );
    const asked = ruled("running", judgements.pass, { windows, stages, autoPromote: true });
    expect(lineOf(asked)).toBe("hold, awaiting_approval, ask_approval, awaiting_approval 5 %");
    expect(asked.rollout.askedAt).toBe(asked.decision.at);
  });

  it.each(["pending", "completed", "rolled_back", "aborted"] as const)(
    "has nothing to say of one that is %s",
    (state) => {
      const rollout = rolloutWith({ state, stage: state === "pending" ? null : 1 });
      const ruling = decide(inputsWith({ rollout, cells: burning(5) }));
      expect(ruling.decision).toMatchObject({ verdict: null, cause: null, action: "none" });
      expect(ruling.rollout).toBe(rollout);
      expect(ruling.transition.effects).toEqual([]);
    },
  );
});

describe("GA-152 a person's word on the flag comes before all evidence", () => {
  it.each([
    ["killed", { killed: true, configurationVersion: 8 }, "flag_killed"],
    ["changed", { killed: false, configurationVersion: 8 }, "flag_changed"],
  ] as const)("%s: stands down, and writes nothing", (_name, flag, cause) => {
    for (const state of LIVE) {
      const ruling = decide(inputsWith({ rollout: runningWith({ state }), flag, cells: burning(5) }));
      expect(lineOf(ruling)).toBe(`hold, ${cause}, abort, aborted 5 %`);
      expect(ruling.transition.effects).toEqual([{ type: "notify", notice: "stood_down" }]);
    }
  });
});

// --- evidence

const fine = { outcomeCount: 500, errorCount: 1, p50Ms: 50, p99Ms: 200 };
const span = { from: TUESDAY, to: TUESDAY + 300_000, stage: 1 };
const healthy = (percent: number): DecisionInputs["cells"] =>
  cellsOf(span, exposedAt(percent, { canary: fine, control: fine }));
function burning(percent: number): DecisionInputs["cells"] {
  return cellsOf(span, exposedAt(percent, { canary: { ...fine, errorCount: 200 }, control: fine }));
}

const promoting = planWith({ decideBy: "threshold", autoPromote: true });
const looking = (
  changes: Partial<DecisionInputs> = {},
  plan: Partial<RolloutPlan> = {},
  rollout: Partial<Rollout> = {},
): Ruling =>
  decide(
    inputsWith({
      rollout: runningWith({ plan: { ...promoting, ...plan }, ...rollout }),
      cells: healthy(5),
      now: TUESDAY + 310_000,
      ...changes,
    }),
  );

describe("GA-153 no promotion without all that a promotion needs", () => {
  const prometheus = {
    id: "cache-errors",
    source: "prometheus",
    query: "sum(rate(game_session_cache_errors_total[5m]))",
    max: 0.02,
    onFail: "rollback",
    forSeconds: 0,
    required: true,
    exclusive: false,
  } as const;
  const windows: RolloutPlan["windows"] = [{ timezone: "Europe/Paris", days: ["wed"], from: "14:00", to: "17:00" }];
  const approved = promoting.stages.map((stage) => ({ ...stage, approval: true as const }));

  it("promotes when nothing is missing", () => {
    expect(lineOf(looking())).toBe("pass, promote, running 25 %");
  });

  it.each<[string, Ruling, HoldCause]>([
    ["no data", looking({ cells: [] }), "no_data"],
    [
      "an idle control, so that everybody had the canary",
      looking({ cells: cellsOf(span, { canary: fine }) }),
      "sample_ratio_mismatch",
    ],
    [
      "an idle canary",
      looking({ cells: cellsOf(span, { control: { ...fine, outcomeCount: 20, errorCount: 0 } }) }),
      "no_data",
    ],
    [
      "Prometheus down",
      looking(
        { samples: { "cache-errors": { at: TUESDAY + 300_000, error: "connection refused" } } },
        { guardrails: [prometheus] },
      ),
      "measurement_error",
    ],
    ["no answer from Prometheus yet", looking({}, { guardrails: [prometheus] }), "no_data"],
    ["a sample-ratio mismatch", looking({ cells: healthy(12) }), "sample_ratio_mismatch"],
    ["too few samples", looking({}, { minSamples: 100_000 }), "insufficient_data"],
    ["a bake that is not over", looking({ cells: healthy(5).slice(0, 40), now: TUESDAY + 215_000 }), "baking"],
    ["a closed window", looking({}, { windows }), "outside_window"],
    ["a missing approval", looking({}, { stages: approved }), "awaiting_approval"],
    ["a flag changed by a person", looking({ flag: { killed: false, configurationVersion: 8 } }), "flag_changed"],
    ["a killed flag", looking({ flag: { killed: true, configurationVersion: 7 } }), "flag_killed"],
    ["a pause", looking({}, {}, { state: "paused" }), "manual"],
  ])("holds on %s", (_name, ruling, cause) => {
    expect(ruling.decision).toMatchObject({ verdict: "hold", cause });
    expect(ruling.transition.effects.map(({ type }) => type)).not.toContain("set_percent");
    expect(ruling.rollout.percent).toBe(5);
  });

  it("GA-155 tells nobody at the start of a stage that nothing was measured yet, and does once a whole interval has gone by", () => {
    const outside = {
      guardrails: [prometheus, { metric: "lighthouse", kind: "gauge", min: 90 }],
      analysisIntervalSeconds: 60,
    } as unknown as Partial<RolloutPlan>;
    const first = looking({ cells: [], now: TUESDAY + 1_000 }, outside);
    expect(lineOf(first)).toBe("hold, insufficient_data, none, running 5 %");
    const next = looking({ now: TUESDAY + 60_000, previous: first.decision }, outside);
    expect(lineOf(next)).toBe("hold, no_data, notify, running 5 %");
  });

  it("rolls back in spite of a closed window, a missing approval and a pause", () => {
    for (const state of LIVE) {
      const ruling = looking({ cells: burning(5) }, { windows, stages: approved }, { state });
      expect(lineOf(ruling)).toBe("fail, rollback, rolled_back 0 %");
    }
  });
});

describe("GA-158 the expected share is that of the two arms, not of everybody", () => {
  it("promotes where the scope serves a third variant besides", () => {
    // Of 100 users 5 have the canary, 38 the control and 57 the third variant, which is no evidence of either.
    const formerServe = { split: { off: 40, other: 60 } };
    const cells = healthy((100 * 5) / (5 + 38));
    expect(lineOf(looking({ cells }, {}, { formerServe }))).toBe("pass, promote, running 25 %");
    expect(looking({ cells }).decision.cause).toBe("sample_ratio_mismatch");
    expect(looking({}, {}, { formerServe }).decision.cause).toBe("sample_ratio_mismatch");
  });
});

describe("GA-154 a guardrail with forSeconds counts once it has failed for so long without a break", () => {
  const latency = {
    metric: "latency_p95",
    maxMs: 2000,
    forSeconds: 300,
    onFail: "rollback",
    required: true,
    exclusive: false,
  } as const;
  const slow = { ...fine, p50Ms: 2500, p99Ms: 3000 };
  const slowAt = (second: number, previous: PreviousDecision | null, traffic = slow): Ruling =>
    looking(
      {
        cells: cellsOf({ ...span, to: TUESDAY + second * 1000 }, exposedAt(5, { canary: traffic, control: fine })),
        now: TUESDAY + second * 1000 + 10_000,
        previous,
      },
      { guardrails: [latency] },
    );

  it("holds until then, and rolls back at the first look after", () => {
    let previous: PreviousDecision | null = null;
    const lines: string[] = [];
    for (const second of [60, 120, 180, 240, 300, 360, 420]) {
      const ruling = slowAt(second, previous);
      previous = ruling.decision;
      lines.push(`${second} s: ${ruling.decision.verdict}, ${ruling.rollout.state}`);
      if (ruling.rollout.state !== "running") break;
    }
    expect(lines).toEqual([
      "60 s: hold, running",
      "120 s: hold, running",
      "180 s: hold, running",
      "240 s: hold, running",
      "300 s: hold, running",
      "360 s: fail, rolled_back",
    ]);
  });

  it("counts anew after a break, and in a new attempt", () => {
    const first = slowAt(60, null).decision;
    const better = slowAt(240, first, fine).decision;
    expect(better.guardrails[0]?.failingSince).toBeNull();
    expect(slowAt(400, better).rollout.state).toBe("running");
    expect(slowAt(400, { ...first, attempt: 2 }).rollout.state).toBe("running");
    expect(slowAt(400, first).rollout.state).toBe("rolled_back");
  });
});

describe("GA-155 people are told once of what is news", () => {
  const previousOf = (ruling: Ruling, at = TUESDAY + 250_000): PreviousDecision => ({
    ...ruling.decision,
    at: instantText(at),
  });

  it("of a hold when its cause changes, and not of ordinary waiting", () => {
    const first = ruled("running", judgements.hold);
    expect(noticesOf(first)).toEqual(["held"]);
    expect(noticesOf(ruled("running", judgements.hold, {}, { previous: previousOf(first) }))).toEqual([]);
    const mismatch = judgementWith({ verdict: "hold", cause: "sample_ratio_mismatch", because: "12 % had the canary" });
    expect(noticesOf(ruled("running", mismatch, {}, { previous: previousOf(first) }))).toEqual(["held"]);
    for (const cause of ["baking", "insufficient_data", "inconclusive"] as const) {
      expect(noticesOf(ruled("running", judgementWith({ verdict: "hold", cause, because: "not yet" })))).toEqual([]);
    }
  });

  it("of a failure that is left to people, once", () => {
    const plan = { autoRollback: false };
    const first = ruled("running", judgements.rollback, plan);
    expect(noticesOf(first)).toEqual(["guardrail_failing"]);
    expect(noticesOf(ruled("running", judgements.rollback, plan, { previous: previousOf(first) }))).toEqual([]);
  });

  it("of an alert when it begins, while the rollout goes on as it would", () => {
    const verdict = {
      id: "support-tickets",
      limit: "support_tickets <= 5",
      required: true,
      onFail: "alert",
      verdict: "fail",
      cause: null,
      canary: 9,
      control: null,
      rateRatio: null,
      logEvidence: null,
      logNonInferiority: null,
      failingSince: null,
      explanation: "9 is beyond its limit",
    } as const;
    const alerting = judgementWith({ verdict: "hold", cause: "baking", alerts: [verdict.id], guardrails: [verdict] });
    const first = ruled("running", alerting);
    expect(noticesOf(first)).toEqual(["guardrail_failing"]);
    expect(noticesOf(ruled("running", alerting, {}, { previous: previousOf(first) }))).toEqual([]);
    expect(lineOf(ruled("running", { ...alerting, verdict: "pass", cause: null }, { autoPromote: true }))).toBe(
      "pass, promote, running 25 %",
    );
  });

  it("while a stage bakes, every so often; once for all that a sleeping server missed", () => {
    const baking = judgementWith({ verdict: "hold", cause: "baking", because: "600 of 2700 s" });
    const at = (minutes: number, previousMinutes: number): readonly string[] =>
      noticesOf(
        ruled(
          "running",
          baking,
          { noticeEverySeconds: 1800 },
          {
            now: TUESDAY + minutes * 60_000,
            previous: previousOf(ruled("running", baking), TUESDAY + previousMinutes * 60_000),
          },
        ),
      );
    expect(at(29, 28)).toEqual([]);
    expect(at(30, 29)).toEqual(["baking"]);
    expect(at(31, 30)).toEqual([]);
    expect(at(200, 31)).toEqual(["baking"]);
  });

  it("again of an approval that nobody answers", () => {
    const stages = planWith().stages.map((stage) => ({
      ...stage,
      approval: { signatures: 1, byOthers: false, remindAfterSeconds: 3600 },
    }));
    const at = (minutes: number): readonly string[] =>
      noticesOf(
        ruleOn(
          inputsWith({
            rollout: runningWith({
              state: "awaiting_approval",
              plan: planWith({ stages }),
              askedAt: instantText(TUESDAY),
            }),
            previous: previousOf(ruled("awaiting_approval", judgements.pass), TUESDAY + (minutes - 1) * 60_000),
            now: TUESDAY + minutes * 60_000,
          }),
          judgements.pass,
        ),
      );
    expect(at(59)).not.toContain("approval_reminder");
    expect(at(60)).toContain("approval_reminder");
    expect(at(61)).not.toContain("approval_reminder");
    expect(at(120)).toContain("approval_reminder");
  });
});

describe("GA-156 a decision says in one sentence what was done and why, and what the next step waits for", () => {
  it.each([
    [
      ruled("running", judgements.pass, { autoPromote: true }),
      "Promoted from 5 % to 25 %: 0.4 % errors of 1,000, as many as the control.",
    ],
    [
      ruled("running", judgements.pass),
      "Ready to leave 5 %, which waits for a person to promote: 0.4 % errors of 1,000, as many as the control.",
    ],
    [
      ruled("paused", judgements.pass),
      "Ready to leave 5 %, which waits for a person to resume: 0.4 % errors of 1,000, as many as the control.",
    ],
    [ruled("running", judgements.rollback), "Rolled back from 5 %: 8 % errors, the control 0.4 %."],
    [ruled("running", judgements.kill), "Killed at 5 %: the consensus is unavailable."],
    [
      ruled("running", judgements.rollback, { autoRollback: false }),
      "Failing at 5 %, which the plan leaves to people: 8 % errors, the control 0.4 %.",
    ],
    [ruled("running", judgements.hold), "Held at 5 % (no data): the canary has reported nothing for 40 s."],
  ])("%#: %s", (ruling, because) => {
    expect(ruling.decision.because).toBe(because);
    expect(ruling.rollout.because).toBe(because);
  });

  it("names the instant before which nothing happens: the rest of the bake, then the window", () => {
    const windows: RolloutPlan["windows"] = [
      { timezone: "Europe/Paris", days: ["tue", "wed"], from: "14:00", to: "14:03" },
    ];
    const baking = judgementWith({
      verdict: "hold",
      cause: "baking",
      because: "60 of 300 s",
      waitsFor: ["60 of 300 s of evidence"],
      bakedSeconds: 60,
    });
    const soon = ruled("running", baking, { autoPromote: true }, { now: TUESDAY + 60_000 });
    expect(soon.decision.nextStep).toEqual({
      step: "promote",
      notBefore: instantText(TUESDAY + 300_000),
      waitsFor: ["60 of 300 s of evidence"],
    });
    const tomorrow = ruled("running", baking, { autoPromote: true, windows }, { now: TUESDAY + 60_000 });
    expect(tomorrow.decision.nextStep.notBefore).toBe("2025-08-20T12:00:00.000Z");
  });

  it("lists gates as people would", () => {
    const stages = planWith().stages.map((stage) => ({
      ...stage,
      approval: { roles: ["sre"], signatures: 1, byOthers: true },
    }));
    const windows: RolloutPlan["windows"] = [{ timezone: "Europe/Paris", days: ["wed"], from: "14:00", to: "17:00" }];
    expect(ruled("paused", judgements.pass, { stages, windows }).decision.nextStep.waitsFor).toEqual([
      "a person to resume it",
      "the release window of Wed 2025-08-20 14:00 Europe/Paris",
      "a signature of sre",
      "a person to promote it",
    ]);
  });

  it("waits for a whole bake after a promotion, and for nothing once it has ended", () => {
    expect(ruled("running", judgements.pass, { autoPromote: true }).decision.nextStep).toMatchObject({
      step: "promote",
      waitsFor: ["5 min of evidence"],
    });
    expect(ruled("running", judgements.rollback).decision.nextStep).toEqual({
      step: "none",
      notBefore: null,
      waitsFor: [],
    });
  });
});

describe("GA-157 evidence is of the attempt", () => {
  it("ignores cells of another attempt, rollout or variant", () => {
    const strangers = burning(5).map((cell, index) =>
      index % 3 === 0
        ? { ...cell, attempt: 2 }
        : index % 3 === 1
          ? { ...cell, rollout: "r-2" }
          : { ...cell, variant: `${ON}-2` as typeof ON },
    );
    expect(lineOf(looking({ cells: [...strangers, ...healthy(5)] }))).toBe("pass, promote, running 25 %");
  });

  it("does not depend on the order of cells, nor on whether instances are summed", () => {
    const cells = healthy(5);
    const twice = cells.flatMap((cell) => [
      cell,
      {
        ...cell,
        exposureCount: 0,
        unitCount: 0,
        outcomeCount: 0,
        errorCount: 0,
        unitErrorCount: 0,
        groups: [],
        sketch: [],
      },
    ]);
    expect(looking({ cells: [...twice].reverse() }).decision).toEqual(looking({ cells }).decision);
  });
});
