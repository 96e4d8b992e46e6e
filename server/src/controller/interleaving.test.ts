import type { RulesetFlag } from "@bunting/contracts";
import { createSeededRandom } from "@bunting/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Actor, Command } from "../ledger/command.ts";
import {
  actor,
  createFlag,
  flagKeyOf,
  killOf,
  PRODUCTION,
  patchOf,
  restoreOf,
  World,
} from "../ledger/ledger-fixture.ts";
import { isLive } from "../rollouts/rollout.ts";
import { planOf } from "../rollouts/rollout-fixture.ts";
import { AttemptMemory } from "./attempt-memory.ts";
import { ScriptedEvidence, TUESDAY } from "./controller-fixture.ts";
import { type Looked, look } from "./look.ts";

const SEED = 20_263;
const FLAG = flagKeyOf("checkout");
const OPERATOR = actor("operator");
const CONTROLLER: Actor = { ...actor("system"), name: "controller" };

/** Beginnings come oftener than ends, or most of a run would be spent on a rollout that has ended. */
const ORDERS = [
  "start",
  "pause",
  "resume",
  "resume",
  "promote",
  "rollback",
  "abort",
  "approve",
  "approve",
  "reject",
  "retry",
  "retry",
  "retry",
  "retry",
] as const;

/** What people do, and the two halves of what the machine does: it looks, and some time later it acts on what it saw. */
const action = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...ORDERS).map((command) => ({ type: "order", command }) as const) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 100 }).map((percent) => ({ type: "edit", percent }) as const) },
  { weight: 1, arbitrary: fc.constant({ type: "kill" } as const) },
  { weight: 1, arbitrary: fc.constant({ type: "restore" } as const) },
  { weight: 4, arbitrary: fc.nat(4).map((drawn) => ({ type: "look", isFailing: drawn === 0 }) as const) },
  { weight: 5, arbitrary: fc.constant({ type: "act" } as const) },
);

type Action = typeof action extends fc.Arbitrary<infer Kind> ? Kind : never;

interface Facts {
  readonly isLive: boolean;
  readonly isKilled: boolean;
  /** Of the configuration. */
  readonly version: number;
  /** What the rollout says that the canary has, and what it has. */
  readonly percent: number;
  readonly share: number;
  readonly entry: RulesetFlag | undefined;
}

class Play {
  readonly world = new World(createSeededRandom(11));
  readonly id: string;
  #now = TUESDAY;
  readonly #evidence = new ScriptedEvidence(() => this.#now);
  #seen: { readonly looked: Looked; readonly basedOn: { rollout: number; configuration: number } } | null = null;
  /** The model: whose word the flag's configuration is. */
  #isHumans = true;
  stepCount = 0;

  constructor() {
    this.#tick(0);
    this.world.do(createFlag(FLAG));
    const approval = { signatures: 1, byOthers: false };
    const stages = [{ percent: 10 }, { percent: 30, approval }, { percent: 100 }].map((stage) => ({
      ...stage,
      bakeSeconds: 0,
    }));
    const plan = planOf({ stages, minSamples: 1 });
    const { decision } = this.world.do({ type: "create_rollout", environment: PRODUCTION, flag: FLAG, plan });
    this.id = decision.audit[0]?.object.key ?? "";
  }

  do(step: Action): void {
    this.#tick(10_000);
    const before = this.#facts();
    switch (step.type) {
      case "order": {
        const { command } = step;
        const comment = "because";
        const ordered = {
          type: "rollout_command",
          environment: PRODUCTION,
          rollout: this.id,
          command,
          comment,
          ifVersion: null,
        } as const;
        // A person's command that writes the flag makes it the rollout's again, on the person's word.
        if (this.#try(ordered, OPERATOR) && before.version !== this.#facts().version)
          this.#isHumans = !this.#facts().isLive;
        break;
      }
      case "edit":
        if (
          this.#try(patchOf(FLAG, { fallthrough: { split: { on: step.percent, off: 100 - step.percent } } }), OPERATOR)
        ) {
          this.#isHumans ||= before.version !== this.#facts().version;
        }
        break;
      case "kill":
        if (this.#try(killOf(FLAG), OPERATOR)) this.#isHumans = true;
        break;
      case "restore":
        if (this.#try(restoreOf(FLAG), OPERATOR)) this.#isHumans = true;
        break;
      case "look":
        this.#look(step.isFailing);
        break;
      case "act":
        this.#act(before);
        break;
    }
    this.#check();
  }

  #look(isFailing: boolean): void {
    const stored = this.#stored();
    if (!isLive(stored)) return;
    const { percent } = stored.rollout;
    this.#evidence.report(stored.rollout, "on", { outcomeCount: 10 * percent, errorCount: isFailing ? percent : 0 });
    this.#evidence.report(stored.rollout, "off", { outcomeCount: 10 * (100 - percent) });
    this.#tick(30_000);
    const { configuration } = this.world.configuration(FLAG);
    const facts = { memory: new AttemptMemory(stored.rollout), now: this.#now, watchedSince: 0 };
    let looked = look(stored, configuration, this.#evidence, facts);
    while (looked === "more") looked = look(stored, configuration, this.#evidence, facts);
    if (typeof looked === "string") throw new Error(`The look came to ${looked}.`);
    const basedOn = { rollout: stored.rollout.version, configuration: configuration.version };
    this.#seen = { looked, basedOn };
  }

  #act(before: Facts): void {
    if (!this.#seen) return;
    const { looked, basedOn } = this.#seen;
    this.#seen = null;
    const step = { type: "rollout_step", environment: PRODUCTION, rollout: this.id, basedOn, ...looked } as const;
    if (!this.#try(step, CONTROLLER)) return;
    this.stepCount++;
    const after = this.#facts();
    demand(
      after.isKilled === before.isKilled,
      "a machine neither kills without a guardrail that says so nor brings back",
    );
    demand(before.isLive || !after.isLive, "a machine starts nothing");
    demand(!this.#isHumans || after.version === before.version, "a person's newer word on the flag stays");
  }

  #check(): void {
    const { isLive: live, entry, percent, share } = this.#facts();
    demand(entry?.rollout?.id === (live ? this.id : undefined), "SDKs report on what is live, and on nothing else");
    demand(!live || this.#isHumans || share === percent, "the canary has the share of its stage");
  }

  #try(command: Command, by: Actor): boolean {
    const decided = this.world.decide(command, by);
    if (decided.ok) this.world.do(command, by);
    return decided.ok;
  }

  #stored() {
    const stored = this.world.state.rollouts.get(this.id);
    if (!stored) throw new Error("There is no rollout.");
    return stored;
  }

  #facts(): Facts {
    const stored = this.#stored();
    const { configuration } = this.world.configuration(FLAG);
    const { fallthrough, killed, version } = configuration;
    return {
      isLive: isLive(stored),
      isKilled: killed !== null,
      version,
      percent: stored.rollout.percent,
      share: "split" in fallthrough ? ((fallthrough.split as Record<string, number>)["on"] ?? 0) : 0,
      entry: this.world.entry(FLAG),
    };
  }

  #tick(ms: number): void {
    this.#now += ms;
    this.world.now = new Date(this.#now).toISOString();
  }
}

/** An invariant in words, for the message of whoever breaks it. */
function demand(holds: boolean, words: string): void {
  if (!holds) throw new Error(`It does not hold that ${words}.`);
}

describe(`GA-208 R27 humans win, in whatever order people and the machine act (seed ${SEED})`, () => {
  it("never brings back a killed flag, and never writes over a person's newer word", () => {
    let stepCount = 0;
    const states = new Set<string>();
    fc.assert(
      fc.property(fc.array(action, { minLength: 10, maxLength: 60 }), (steps) => {
        const play = new Play();
        play.do({ type: "order", command: "start" });
        for (const step of steps) {
          play.do(step);
          states.add(play.world.state.rollouts.get(play.id)?.rollout.state ?? "");
        }
        stepCount += play.stepCount;
      }),
      { numRuns: 150, seed: SEED },
    );
    // The schedule reached what it was written for.
    expect(stepCount).toBeGreaterThan(100);
    for (const state of ["aborted", "awaiting_approval", "paused", "rolled_back", "running"]) {
      expect([...states]).toContain(state);
    }
  });
});
