import { booleanFlag, createOrigin, createSdkWorld, type SdkWorld } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createFlagsOn } from "../create-flags.ts";
import type { FlagsOptions } from "../options.ts";
import type { Flags } from "../types.ts";

const ROLLOUT = {
  id: "r-1",
  attempt: 1,
  stage: 0,
  canary: "on",
  control: "off",
  rule: null,
  groupSalt: 99,
  metrics: [],
};

const redis = (rollout: object = {}, entry: object = {}) =>
  booleanFlag("redis", { percent: 50, entry: { rollout: { ...ROLLOUT, ...rollout }, ...entry } });

/** On for everybody who has that variant of the other flag. */
const after = (key: string, flag: string, variant = "on") =>
  booleanFlag(key, { percent: 100, entry: { prerequisites: [{ flag, variants: [variant] }] } });

interface Scene {
  readonly world: SdkWorld;
  readonly flags: Flags;
  /** Users that the split gives the canary. */
  readonly canary: readonly string[];
  /** The keys of each change. */
  readonly changes: (readonly string[])[];
  burn(): void;
}

function live(options: FlagsOptions = {}): Scene {
  const entries = [redis(), after("replay", "redis"), after("archive", "replay"), after("plain", "redis", "off")];
  const world = createSdkWorld(1, createOrigin([...entries, booleanFlag("other")]));
  world.serve();
  const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: false, ...options });
  world.time.advance(100);
  const changes: (readonly string[])[] = [];
  flags.on("change", ({ keys }) => changes.push(keys));
  const users = Array.from({ length: 100 }, (_, index) => `u-${index}`);
  const canary = users.filter((user) => flags.isEnabled("redis", user));
  return {
    world,
    flags,
    canary,
    changes,
    burn() {
      for (const user of canary.slice(0, 6)) flags.expose("redis", user).error(new Error("burning"));
    },
  };
}

const served = (flags: Flags, user: string | undefined): readonly boolean[] =>
  ["redis", "replay", "archive", "plain"].map((key) => flags.isEnabled(key, user));

const FROM_THE_RULESET = [true, true, true, false];
const WITHOUT_THE_CANARY = [false, false, false, true];

describe("EV-44 prerequisites see what this process serves", () => {
  it("of a canary that its breaker withholds, however long the chain, and until it closes", () => {
    const { world, flags, canary, changes, burn } = live();
    const [user = ""] = canary;
    expect(served(flags, user)).toEqual(FROM_THE_RULESET);
    burn();
    expect(served(flags, user)).toEqual(WITHOUT_THE_CANARY);
    expect(flags.evaluate("replay", user)).toMatchObject({ reason: "DEFAULT", detail: "prerequisite:redis" });
    expect(changes.map((keys) => keys.toSorted())).toEqual([["archive", "plain", "redis", "replay"]]);
    world.time.advance(30_000);
    expect(changes[1]).toEqual(["redis"]);
    flags.expose("redis", user).success();
    expect(served(flags, user).slice(1)).toEqual(WITHOUT_THE_CANARY.slice(1));
    world.time.advance(10_001);
    flags.expose("redis", user).success();
    expect(flags.status().breakers).toEqual([]);
    expect(served(flags, user)).toEqual(FROM_THE_RULESET);
  });

  it("which another stage or attempt ends, in the same change", () => {
    const { world, flags, canary, burn } = live();
    const [user = ""] = canary;
    burn();
    world.origin.put(booleanFlag("other", { percent: 10 }));
    world.time.advance(10);
    expect(served(flags, user)).toEqual(WITHOUT_THE_CANARY);
    world.origin.put(redis({ stage: 1 }));
    world.time.advance(10);
    expect(served(flags, user)).toEqual(FROM_THE_RULESET);
  });

  it("by an override, from the start, and until it is taken back", () => {
    const options = { overrideFile: "/o.json" };
    const { world, flags, canary, changes } = live(options);
    const [user = ""] = canary;
    world.files.contents.set("/o.json", '{ "redis": "off" }');
    world.time.advance(2_000);
    expect(served(flags, user)).toEqual(WITHOUT_THE_CANARY);
    expect(changes.map((keys) => keys.toSorted())).toEqual([["archive", "plain", "redis", "replay"]]);
    world.files.contents.set("/o.json", "{}");
    world.time.advance(2_000);
    expect(served(flags, user)).toEqual(FROM_THE_RULESET);
    world.environment.BUNTING_FLAG_REDIS = "on";
    const forced = createFlagsOn(world.platform, { bootstrap: world.origin.ruleset, cacheFile: false });
    // Whoever has no bucketing key is an error of the split, and none of the override.
    expect(served(forced, undefined)).toEqual([true, false, false, false]);
    expect(forced.evaluate("replay")).toMatchObject({ detail: "targeting_key" });
    for (const anybody of ["u-0", "u-1", "u-2", "u-3"]) expect(served(forced, anybody)).toEqual(FROM_THE_RULESET);
  });

  it("but a kill comes before both", () => {
    const { world, flags, canary } = live({ overrideEnv: {} });
    world.environment.BUNTING_FLAG_REDIS = "on";
    world.origin.kill("redis");
    world.time.advance(10);
    expect(served(flags, canary[0])).toEqual(WITHOUT_THE_CANARY);
    const forced = createFlagsOn(world.platform, { bootstrap: world.origin.ruleset, cacheFile: false });
    expect(served(forced, canary[0])).toEqual(WITHOUT_THE_CANARY);
  });

  it("and a flag that nothing is built on concerns nobody else", () => {
    const { flags, world, changes } = live({ overrideFile: "/o.json" });
    world.files.contents.set("/o.json", '{ "other": "on" }');
    world.time.advance(2_000);
    expect(changes).toEqual([["other"]]);
    expect(flags.status().issues).toEqual([]);
  });
});
