import type { RolloutPlan } from "@bunting/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide } from "./decide.ts";
import { cellsOf, exposedAt, inputsWith, planWith, runningWith, TUESDAY } from "./rollout-fixture.ts";
import { type History, whatIf, whatIfInSteps } from "./what-if.ts";
import { AttemptOnRecord, type Happening, happenings, plans, usual } from "./what-if-fixture.ts";
import { fromHistoryCell, toHistoryCell } from "./what-if-history.ts";

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
  ].map((cell) => toHistoryCell({ ...cell, availableAt: cell.interval + 2 })),
  records: [],
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

  it("looks at its own interval on what the real looks before saw, and knows where the real course was", () => {
    const [template] = fc.sample(plans, { numRuns: 1, seed: 7 });
    if (!template) throw new Error("There is no plan.");
    const [stage, ...later] = template.stages;
    const real: RolloutPlan = {
      ...template,
      decideBy: "threshold",
      autoPromote: false,
      analysisIntervalSeconds: 30,
      stages: stage ? [{ percent: stage.percent, bakeSeconds: 30 }, ...later] : later,
    };
    const happened = Array.from(
      { length: 40 },
      (_, index): Happening => ({ ...usual, command: index === 20 ? "promote" : null }),
    );
    const { history, decisions } = recorded(real, happened);
    expect(decisions.filter(({ action }) => action === "promote")).toHaveLength(1);
    for (const analysisIntervalSeconds of [10, 20, 60]) {
      const { timeline, partedAt } = whatIf(history, { ...real, analysisIntervalSeconds });
      expect(partedAt).toBeNull();
      const looks = timeline.filter(({ decision }) => decision.by === "controller");
      // Before the first real look nobody had measured anything.
      const known = looks.filter(({ decision }) => Date.parse(decision.at) >= TUESDAY + 30_000);
      expect(known.flatMap(({ unknown }) => unknown)).toEqual([]);
      expect(known.map(({ realPercent }) => realPercent)).toEqual(known.map(({ percent }) => percent));
      expect(looks.at(-1)).toMatchObject({ percent: 50, realPercent: 50 });
    }
  });

  it("gives the same in steps, of which each says what is over", () => {
    const plan = classic({ analysisIntervalSeconds: 300, stages: [{ percent: 5, bakeSeconds: 3600 }] });
    const steps = whatIfInSteps(history, plan);
    const over: number[] = [];
    let step = steps.next();
    for (; !step.done; step = steps.next()) over.push((step.value - TUESDAY) / 1000);
    expect(over).toEqual([300, 600, 900]);
    expect(step.value).toEqual(whatIf(history, plan));
  });

  it("decides at a first look that comes late as on all of the evidence at once", () => {
    const plan = classic({ analysisIntervalSeconds: 1_200, stages: [{ percent: 5, bakeSeconds: 3600 }] });
    const { timeline } = whatIf({ ...history, until: TUESDAY + 1_230_000 }, plan);
    const [only] = timeline.map(({ decision }) => decision);
    const cells = history.cells.map(fromHistoryCell);
    const rollout = { ...history.rollout, plan, state: "running" as const };
    const inputs = inputsWith({ rollout, cells, now: TUESDAY + 1_200_000 });
    expect(only?.guardrails).toEqual(decide(inputs).decision.guardrails);
    expect(only?.counts).toEqual(decide(inputs).decision.counts);
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

describe("GA-175 under the plan that was real what-if gives the history", () => {
  it("property: each decision, byte for byte, and nothing that could not be known, whatever happened", () => {
    let decisionCount = 0;
    fc.assert(
      fc.property(plans, happenings, (plan, happened) => {
        const { history, decisions } = recorded(plan, happened);
        const { timeline, rollout, partedAt } = whatIf(history, plan);
        expect(timeline.map(({ decision }) => decision)).toEqual(decisions);
        expect(timeline.flatMap(({ unknown }) => unknown)).toEqual([]);
        expect(timeline.every(({ percent, realPercent }) => percent === realPercent)).toBe(true);
        expect({ state: rollout.state, stage: rollout.stage, partedAt }).toEqual({
          state: history.rollout.state,
          stage: history.rollout.stage,
          partedAt: null,
        });
        decisionCount += timeline.length;
      }),
      { numRuns: 20 },
    );
    expect(decisionCount).toBeGreaterThan(80);
  });

  it("property: also where looks that said nothing new are no longer kept", () => {
    fc.assert(
      fc.property(plans, happenings, fc.nat(), (plan, happened, upTo) => {
        const { history, decisions } = recorded(plan, happened);
        const isKept = decisions.map(({ action }, index) => action !== "none" || index >= upTo % decisions.length);
        const kept = { ...history, records: history.records.filter((_, index) => index === 0 || isKept[index - 1]) };
        const { timeline } = whatIf(kept, plan);
        const expected = decisions.filter((_, index) => isKept[index]);
        // Without a stored look there is nothing to go by but the evidence.
        fc.pre(expected.some(({ by }) => by === "controller"));
        expect(timeline.map(({ decision }) => decision)).toEqual(expected);
      }),
      { numRuns: 10 },
    );
  });
});

describe("GA-176 what-if says of each look what it could not know", () => {
  const [error, latency, up, score] = planOfRecord().guardrails;
  /** Two minutes in which ana never promotes. */
  const { history } = recorded(
    planOfRecord(),
    Array.from({ length: 40 }, () => usual),
  );
  const unknownUnder = (changes: Partial<RolloutPlan>): readonly string[][] =>
    whatIf(history, { ...planOfRecord(), ...changes }).timeline.map(({ unknown }) => unknown.map((each) => each.of));

  function planOfRecord(): RolloutPlan {
    const [plan] = fc.sample(
      plans.filter(
        ({ decideBy, autoPromote, analysisIntervalSeconds, stages }) =>
          decideBy === "threshold" && !autoPromote && analysisIntervalSeconds === 30 && !stages[0]?.approval,
      ),
      { numRuns: 1, seed: 7 },
    );
    if (!plan) throw new Error("There is no such plan.");
    return { ...plan, analysisIntervalSeconds: 30 };
  }

  it("of none, as long as it goes the way that was real and asks for what was measured", () => {
    expect(unknownUnder({ harmBudgetRate: 0.3 }).flat()).toEqual([]);
  });

  it("the share, once it would have been another one", () => {
    const looks = unknownUnder({ autoPromote: true });
    const parted = looks.findIndex((unknown) => unknown.length > 0);
    expect(parted).toBeGreaterThan(0);
    expect(looks.slice(parted).every((unknown) => unknown.join() === "share")).toBe(true);
    const { timeline, partedAt } = whatIf(history, { ...planOfRecord(), autoPromote: true });
    expect(partedAt).toBe(Date.parse(timeline[parted - 1]?.decision.at ?? ""));
    expect(timeline[parted]?.unknown[0]?.because).toBe("Evidence was collected at 10 %, not at 50 %.");
  });

  it("people, where the plan asks them and the course is its own", () => {
    const byItself = { ...planOfRecord(), autoPromote: true };
    const promoted = recorded(
      byItself,
      Array.from({ length: 40 }, () => usual),
    ).history;
    const { timeline } = whatIf(promoted, { ...byItself, autoPromote: false });
    const looks = timeline.map(({ unknown }) => unknown.map((each) => each.of).join("+"));
    expect(looks.findIndex((unknown) => unknown === "share+people")).toBe(looks.lastIndexOf("") + 1);
    expect(looks.at(-1)).toBe("people");
  });

  it("values that nobody measured then", () => {
    const other = { ...up, query: "other" } as RolloutPlan["guardrails"][number];
    const guardrails = [error, latency, other, score].flatMap((guardrail) => guardrail ?? []);
    const { timeline } = whatIf(history, { ...planOfRecord(), guardrails });
    expect(timeline[0]?.unknown).toEqual([{ of: "samples", because: "Nobody measured prometheus-1 for this look." }]);
    expect(timeline[0]?.decision.guardrails[2]).toMatchObject({ verdict: "hold" });
  });

  it("values and breakers, where the looks that saw them are no longer kept", () => {
    const records = history.records.filter((_, index) => index === 0 || index > 5);
    const { timeline } = whatIf({ ...history, records }, { ...planOfRecord(), harmBudgetRate: 0.3 });
    expect(timeline.map(({ unknown }) => unknown.map((each) => each.of).join("+")).slice(0, 7)).toEqual([
      "samples+breakers",
      "samples+breakers",
      "samples+breakers",
      "samples+breakers",
      "samples+breakers",
      "",
      "",
    ]);
  });
});

function recorded(plan: RolloutPlan, happened: readonly Happening[]) {
  const attempt = new AttemptOnRecord(plan);
  for (const each of happened) attempt.live(each);
  return { history: attempt.history, decisions: attempt.decisions };
}
