import type { EnvironmentKey, RolloutPlanInput } from "@bunting/contracts";
import { compileRuleset, variantIndexOf } from "@bunting/engine";
import { createSeededRandom } from "@bunting/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { actor, createFlag, flagKeyOf, PRODUCTION, patchOf, World } from "../ledger/ledger-fixture.ts";
import { planOf } from "./rollout-fixture.ts";

const USERS = Array.from({ length: 20_000 }, (_, index) => `user-${index}`);
const FLAG = flagKeyOf("checkout");

let world: World;
beforeEach(() => {
  world = new World(createSeededRandom(3));
});

/** The variant of each user, in the order of {@link USERS}. */
function variantsOfUsers(): readonly string[] {
  const environment = world.state.environments.get(PRODUCTION);
  if (!environment) throw new Error("There is no environment.");
  const { revision, checksum } = environment;
  const compiled = compileRuleset({
    epoch: world.state.epoch,
    revision,
    checksum,
    flags: Object.fromEntries(environment.flags) as never,
    segments: {},
  });
  const flag = compiled.flags.get(FLAG);
  if (!flag) throw new Error("There is no flag.");
  return USERS.map((key) => flag.variants[variantIndexOf(flag.decide({ key, country: "FR" }))]?.key ?? "");
}

function start(plan: Partial<RolloutPlanInput>): string {
  const id = create(plan);
  order(id, "start");
  return id;
}

function create(plan: Partial<RolloutPlanInput>): string {
  const { decision } = world.do({ type: "create_rollout", environment: PRODUCTION, flag: FLAG, plan: planOf(plan) });
  return decision.audit[0]?.object.key ?? "";
}

function order(rollout: string, command: "start" | "promote" | "rollback" | "abort" | "retry" | "pause"): void {
  const environment: EnvironmentKey = PRODUCTION;
  world.do(
    { type: "rollout_command", environment, rollout, command, comment: "a test", ifVersion: null },
    actor("operator"),
  );
}

const THREE = { variants: { a: { value: "a" }, b: { value: "b" }, c: { value: "c" } }, type: "string" };

/** What the scope serves before, and which way it came to be. */
const CASES = [
  {
    name: "a two-way split",
    flag: {},
    edits: [{ fallthrough: { split: { on: 0, off: 100 } } }],
    plan: { canary: "on", control: "off" },
  },
  { name: "one variant for everybody", flag: {}, edits: [{ fallthrough: { variant: "off" } }], plan: {} },
  {
    name: "a split that had been moved to and fro",
    flag: THREE,
    edits: [
      { fallthrough: { split: { a: 30, b: 30, c: 40 } } },
      { fallthrough: { split: { a: 70, b: 20, c: 10 } } },
      { fallthrough: { split: { a: 40, b: 60, c: 0 } } },
    ],
    plan: { canary: "c", control: "a" },
  },
  {
    name: "a three-way split with thousandths",
    flag: THREE,
    edits: [{ fallthrough: { split: { a: 33.333, b: 66.667, c: 0 } } }],
    plan: { canary: "c", control: "b" },
  },
  {
    name: "a rule's split",
    flag: THREE,
    edits: [
      {
        rules: [
          {
            id: "fr",
            when: [{ attribute: "country", op: "equals", values: ["FR"] }],
            serve: { split: { a: 55, b: 45 } },
          },
        ],
      },
    ],
    plan: { canary: "c", control: "b", scope: { rule: "fr" } },
  },
] as const;

describe.each(CASES)("GA-210 a rollback from $name", ({ flag, edits, plan }) => {
  const given = () => {
    world.do(createFlag(FLAG, flag));
    for (const edit of edits) world.do(patchOf(FLAG, edit as never));
    return { users: variantsOfUsers(), stored: world.configuration(FLAG) };
  };
  const canary = "canary" in plan ? plan.canary : "on";
  const staged = { ...plan, stages: [{ percent: 1 }, { percent: 25 }, { percent: 60 }, { percent: 100 }] } as never;

  it.each([0, 1, 2, 3])("in stage %i restores every user's former variant and leaves no canary", (stage) => {
    const before = given();
    const id = start(staged);
    for (let promotions = 0; promotions < stage; promotions++) order(id, "promote");
    expect(variantsOfUsers()).toContain(canary);
    order(id, "rollback");
    const after = variantsOfUsers();
    expect(after).not.toContain(canary);
    expect(after).toEqual(before.users);
    expect(world.configuration(FLAG).allocations).toEqual(before.stored.allocations);
    expect(world.configuration(FLAG).configuration.fallthrough).toEqual(before.stored.configuration.fallthrough);
    expect(world.entry(FLAG)?.rollout).toBeUndefined();
  });

  it("after a retry as well, whose attempt begins anew", () => {
    const before = given();
    const id = start(staged);
    const first = world.state.rollouts.get(id);
    order(id, "promote");
    order(id, "rollback");
    order(id, "retry");
    const retried = world.state.rollouts.get(id);
    expect(retried?.rollout).toMatchObject({ state: "running", attempt: 2, stage: 0, percent: 1, signatures: [] });
    expect(retried?.groupSalt).not.toBe(first?.groupSalt);
    expect(world.entry(FLAG)?.rollout).toMatchObject({ attempt: 2, stage: 0 });
    order(id, "abort");
    expect(variantsOfUsers()).toEqual(before.users);
  });

  it("whose stages only ever added users to the canary", () => {
    given();
    const id = start(staged);
    let had = new Set<string>();
    for (let stage = 0; stage < 4; stage++) {
      const served = variantsOfUsers();
      const has = new Set(USERS.filter((_, index) => served[index] === canary));
      expect([...had].filter((user) => !has.has(user))).toEqual([]);
      had = has;
      if (stage < 3) order(id, "promote");
    }
    expect(had.size).toBe(USERS.length);
  });
});

describe("GA-211 what a rollout leaves alone", () => {
  it("is everything but its scope, and its own entry's word of it", () => {
    world.do(createFlag(FLAG));
    world.do(patchOf(FLAG, { pins: { on: ["qa-17"] }, rules: [{ id: "all", when: [], serve: { variant: "off" } }] }));
    const before = world.configuration(FLAG).configuration;
    const id = start({});
    const { fallthrough: _split, version: _version, ...others } = world.configuration(FLAG).configuration;
    const { fallthrough: _before, version: _old, ...othersBefore } = before;
    expect(others).toEqual(othersBefore);
    order(id, "rollback");
    expect(world.configuration(FLAG).configuration).toEqual({ ...before, version: before.version + 2 });
  });

  it("is the revision, where SDKs see no difference", () => {
    world.do(createFlag(FLAG));
    const id = create({});
    const revision = () => world.state.environments.get(PRODUCTION)?.revision;
    const before = revision();
    order(id, "start");
    expect(revision()).toBe((before ?? 0) + 1);
    order(id, "pause");
    expect(revision()).toBe((before ?? 0) + 1);
    expect(world.state.rollouts.get(id)?.latestDecision?.revision).toBeNull();
    order(id, "rollback");
    expect(revision()).toBe((before ?? 0) + 2);
    expect(world.state.rollouts.get(id)?.latestDecision?.revision).toBe(revision());
  });
});
