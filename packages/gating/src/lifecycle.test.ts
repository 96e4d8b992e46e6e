import { type Configuration, decision, type Rollout, rollout as rolloutSchema } from "@bunting/contracts";
import { HOLD_CAUSES, ROLLOUT_COMMANDS } from "@bunting/contracts/literals";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideCommand, isPass, type LatestDecision } from "./command.ts";
import { decide, ruleOn } from "./decide.ts";
import type { Judgement } from "./judgement.ts";
import type { Effect } from "./machine.ts";
import { flagStatus } from "./rollout.ts";
import { inputsWith, judgementWith, OFF, ON, planWith, rolloutWith, TUESDAY } from "./rollout-fixture.ts";
import type { DecisionDraft, Ruling } from "./ruling.ts";
import { serveOfScope, withServeOfScope } from "./scope.ts";
import { splitAtPercent, splitOf } from "./split.ts";
import { isOpen } from "./windows.ts";

/*
 * A small world for a rollout: a flag that people and the rollout change, a clock, and evidence that says anything at any
 * time. Whatever happens in whatever order, the invariants hold.
 */

type Step =
  | {
      readonly type: "command";
      readonly command: (typeof ROLLOUT_COMMANDS)[number];
      readonly by: string;
      readonly comment: string;
    }
  | { readonly type: "look"; readonly verdict: Judgement["verdict"]; readonly action: "rollback" | "kill" }
  | { readonly type: "edit"; readonly percent: number }
  | { readonly type: "kill" }
  | { readonly type: "restore" }
  | { readonly type: "wait"; readonly minutes: number };

interface Deed {
  readonly step: Step;
  readonly now: number;
  readonly before: {
    readonly rollout: Rollout;
    readonly configuration: World["configuration"];
    readonly latest: LatestDecision | null;
  };
  readonly after: { readonly rollout: Rollout; readonly configuration: World["configuration"] };
  readonly ruling: Ruling | null;
}

class World {
  rollout: Rollout;
  configuration: Pick<Configuration, "rules" | "fallthrough" | "killed" | "version"> = {
    rules: [],
    fallthrough: { split: { [OFF]: 70, other: 30 } as Record<string, number> },
    killed: null,
    version: 3,
  };
  now = TUESDAY;
  latest: LatestDecision | null = null;
  readonly decisions: DecisionDraft[] = [];

  constructor(rollout: Rollout) {
    this.rollout = rollout;
  }

  do(step: Step): Deed {
    const before = { rollout: this.rollout, configuration: this.configuration, latest: this.latest };
    const ruling = this.#rulingOf(step);
    if (ruling) this.#perform(ruling);
    return { step, now: this.now, before, after: { rollout: this.rollout, configuration: this.configuration }, ruling };
  }

  #rulingOf(step: Step): Ruling | null {
    const { configuration } = this;
    switch (step.type) {
      case "wait":
        this.now += step.minutes * 60_000;
        return null;
      case "edit":
        this.#write({ fallthrough: { split: { [ON]: step.percent, [OFF]: 100 - step.percent } } });
        return null;
      case "kill":
        this.#write({
          killed: configuration.killed ?? { by: "di", at: "2025-08-19T12:00:00.000Z", reason: "incident" },
        });
        return null;
      case "restore":
        this.#write({ killed: null });
        return null;
      case "command": {
        const ruling = decideCommand({
          kind: "command",
          rollout: this.rollout,
          command: {
            type: step.command,
            by: { name: step.by, token: `t-${step.by}`, roles: ["sre"] },
            comment: step.comment,
          },
          variants: [ON, OFF, "other"],
          configuration,
          latest: this.latest,
          now: this.now,
        });
        return "refusal" in ruling ? null : ruling;
      }
      case "look": {
        const { killed, version } = configuration;
        const inputs = inputsWith({
          rollout: this.rollout,
          flag: { killed: killed !== null, configurationVersion: version },
          now: this.now,
        });
        // Only a rollout whose flag is its own is judged at all.
        const judged = flagStatus(this.rollout, inputs.flag) === "ours" && isLiveState(this.rollout.state);
        const ruling = judged ? ruleOn(inputs, judgementOf(step)) : decide(inputs);
        this.latest = ruling.decision;
        return ruling;
      }
    }
  }

  #write(changes: Partial<World["configuration"]>): void {
    this.configuration = { ...this.configuration, ...changes, version: this.configuration.version + 1 };
  }

  #perform({ transition, rollout, decision: draft }: Ruling): void {
    this.decisions.push(draft);
    this.rollout = rollout;
    for (const effect of transition.effects) this.#act(effect);
  }

  #act(effect: Effect): void {
    const { plan, formerServe } = this.rollout;
    if (effect.type === "set_percent") {
      if (formerServe === null) throw new Error("Nothing is known of what the scope served before.");
      const split = splitAtPercent(splitOf(formerServe), plan.canary, effect.percent);
      this.#write(withServeOfScope(this.configuration, plan.scope, { split }));
    } else if (effect.type === "restore_control") {
      if (formerServe !== null) this.#write(withServeOfScope(this.configuration, plan.scope, formerServe));
    } else if (effect.type === "kill_flag") {
      this.#write({ killed: { by: "controller", at: "2025-08-19T12:00:00.000Z", reason: "failed" } });
    } else return;
    this.rollout = { ...this.rollout, configurationVersion: this.configuration.version };
  }
}

const isLiveState = (state: Rollout["state"]): boolean => ["running", "paused", "awaiting_approval"].includes(state);
const percentOf = ({ configuration, rollout }: Deed["after"]): number => {
  const serve = serveOfScope(configuration, rollout.plan.scope);
  return serve === null ? 0 : (splitOf(serve)[ON] ?? 0);
};
function judgementOf({ verdict, action }: Extract<Step, { type: "look" }>): Judgement {
  return judgementWith({
    verdict,
    cause: verdict === "hold" ? "inconclusive" : null,
    failure: verdict === "fail" ? { by: "merged", action, guardrails: ["error_rate"] } : null,
  });
}

const people = fc.constantFrom("ana", "bo", "cy");
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("command" as const),
      command: fc.constantFrom(...ROLLOUT_COMMANDS),
      by: people,
      comment: fc.constantFrom("", "because"),
    }),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ type: "command", command: "start", by: "ana", comment: "" }) },
  { weight: 4, arbitrary: fc.constant<Step>({ type: "look", verdict: "pass", action: "rollback" }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("look" as const),
      verdict: fc.constantFrom("hold" as const, "fail" as const),
      action: fc.constantFrom("rollback" as const, "kill" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Step>(
      { type: "edit", percent: 0 },
      { type: "edit", percent: 10 },
      { type: "kill" },
      { type: "restore" },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("wait" as const), minutes: fc.integer({ min: 1, max: 240 }) }),
  },
);
const plans = fc
  .record({
    autoPromote: fc.boolean(),
    autoRollback: fc.boolean(),
    approvalAt: fc.constantFrom(-1, 0, 1),
    percents: fc.constantFrom([1, 5, 25, 50, 100], [10, 100]),
    windowed: fc.boolean(),
  })
  .map(({ autoPromote, autoRollback, approvalAt, percents, windowed }) =>
    planWith({
      autoPromote,
      autoRollback,
      stages: percents.map((percent, index) => ({
        percent,
        bakeSeconds: 300,
        ...(index === approvalAt ? { approval: { signatures: 1, byOthers: true } } : {}),
      })),
      windows: windowed ? [{ timezone: "Europe/Paris", days: ["tue", "wed", "thu"], from: "14:00", to: "17:00" }] : [],
    }),
  );

/** Runs random histories and hands every deed to a check. */
function assertAlways(check: (deed: Deed) => void, numRuns = 150): void {
  fc.assert(
    fc.property(plans, fc.array(step, { minLength: 5, maxLength: 40 }), (plan, steps) => {
      const world = new World(rolloutWith({ plan }));
      for (const each of steps) check(world.do(each));
    }),
    { numRuns },
  );
}

const rises = (deed: Deed): boolean => deed.ruling !== null && percentOf(deed.after) > percentOf(deed.before);

describe("GA-106 only a pass of its own stage and attempt lets a machine promote", () => {
  it("however commands, looks, edits and kills are mixed", () => {
    assertAlways((deed) => {
      if (!rises(deed) || deed.step.type !== "look") return;
      expect(deed.step.verdict).toBe("pass");
      expect(deed.before.rollout.state).toBe("running");
      expect(deed.ruling?.decision).toMatchObject({
        verdict: "pass",
        action: "promote",
        by: "controller",
        attempt: deed.before.rollout.attempt,
        stage: deed.before.rollout.stage,
      });
      expect(deed.before.rollout.plan.autoPromote).toBe(true);
    });
  });

  it("marks a person's promotion as forced exactly when there was no pass", () => {
    assertAlways((deed) => {
      if (deed.step.type !== "command" || deed.step.command !== "promote" || deed.ruling === null) return;
      const { latest, rollout } = deed.before;
      expect(deed.ruling.decision.forced).toBe(latest === null || !isPass(latest, rollout));
      if (deed.ruling.decision.forced) expect(deed.step.comment).not.toBe("");
    });
  });
});

describe("GA-107 the canary's percent rises one stage at a time, and in a running rollout only", () => {
  it("never while paused, waiting for an approval or ended, but by a start or a retry", () => {
    assertAlways((deed) => {
      if (!rises(deed)) return;
      const { rollout } = deed.before;
      const begins = deed.after.rollout.stage === 0;
      expect(begins ? ["pending", "rolled_back", "aborted"] : ["running"]).toContain(rollout.state);
      if (!begins) expect(deed.after.rollout.stage).toBe((rollout.stage ?? 0) + 1);
      const { plan, stage } = deed.after.rollout;
      expect(percentOf(deed.after)).toBe(plan.stages[stage ?? -1]?.percent);
      expect(deed.after.rollout.percent).toBe(percentOf(deed.after));
    });
  });

  it("never outside the release windows", () => {
    assertAlways((deed) => {
      if (rises(deed)) expect(isOpen(deed.before.rollout.plan, deed.now)).toBe(true);
    });
  });

  it("never past a missing approval", () => {
    assertAlways((deed) => {
      const { rollout } = deed.before;
      if (!rises(deed) || rollout.state !== "running" || rollout.stage === null) return;
      if (rollout.plan.stages[rollout.stage]?.approval === undefined) return;
      const signers = rollout.signatures.filter(({ stage }) => stage === rollout.stage);
      expect(signers.some(({ by, decision: said }) => said === "approve" && by !== rollout.startedBy)).toBe(true);
    });
  });
});

describe("GA-108 a killed flag is left killed, and a changed one as it was changed", () => {
  it("gives a killed flag no traffic and never restores it", () => {
    assertAlways((deed) => {
      if (deed.ruling === null || deed.before.configuration.killed === null) return;
      expect(deed.after.configuration.killed).toEqual(deed.before.configuration.killed);
      expect(rises(deed)).toBe(false);
    });
  });

  it("writes nothing on a look after somebody changed the configuration", () => {
    assertAlways((deed) => {
      const { rollout, configuration } = deed.before;
      if (deed.step.type !== "look" || rollout.configurationVersion === null) return;
      if (rollout.configurationVersion === configuration.version) return;
      expect(deed.after.configuration).toBe(configuration);
      if (isLiveState(rollout.state)) expect(deed.after.rollout.state).toBe("aborted");
    });
  });
});

describe("GA-109 after a rollback only a retry leads on, as a new attempt", () => {
  it("and the scope serves exactly what it served before", () => {
    assertAlways((deed) => {
      const { before, after } = deed;
      if (before.rollout.state === "rolled_back" && after.rollout.state !== "rolled_back") {
        expect(deed.step).toMatchObject({ type: "command", command: "retry" });
        expect(after.rollout).toMatchObject({ attempt: before.rollout.attempt + 1, stage: 0, signatures: [] });
      }
      if (before.rollout.state !== "rolled_back" && after.rollout.state === "rolled_back") {
        expect(serveOfScope(after.configuration, after.rollout.plan.scope)).toEqual(before.rollout.formerServe);
        expect(percentOf(after)).toBe(0);
        expect(after.rollout.percent).toBe(0);
        expect(after.rollout.attempt).toBe(before.rollout.attempt);
      }
    });
  });

  it("and the attempt's number never falls", () => {
    assertAlways(({ before, after }) => {
      expect(after.rollout.attempt).toBeGreaterThanOrEqual(before.rollout.attempt);
    });
  });
});

describe("GA-150 a decision is complete, and a hold names its cause", () => {
  it("fits the contract, and so does the rollout it makes", () => {
    assertAlways((deed) => {
      if (deed.ruling === null) return;
      const { decision: draft } = deed.ruling;
      expect(decision.safeParse({ ...draft, id: "d-1", revision: null, engine: "test" }).error).toBeUndefined();
      expect(rolloutSchema.safeParse(deed.after.rollout).error).toBeUndefined();
      if (draft.verdict === "hold") expect(HOLD_CAUSES).toContain(draft.cause);
      else expect(draft.cause).toBeNull();
      expect(draft.because).not.toBe("");
    });
  });
});

it("the random histories reach every state, and everything a machine may do", () => {
  const reached = new Set<string>();
  assertAlways(({ after, ruling }) => {
    reached.add(after.rollout.state);
    if (ruling === null) return;
    const { action, by, forced } = ruling.decision;
    reached.add(by === "controller" ? `machine: ${action}` : `person: ${action}`);
    if (forced) reached.add("forced");
  }, 400);
  const expected = [
    "pending",
    "running",
    "paused",
    "awaiting_approval",
    "completed",
    "rolled_back",
    "aborted",
    "machine: promote",
    "machine: complete",
    "machine: ask_approval",
    "machine: rollback",
    "machine: kill",
    "machine: abort",
    "person: retry",
    "person: approve",
    "person: reject",
    "forced",
  ];
  expect(expected.filter((each) => !reached.has(each))).toEqual([]);
});
