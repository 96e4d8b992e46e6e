import { booleanFlag, createOrigin, createSdkWorld, NO_SERVER, type SdkWorld } from "@bunting/testkit";
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

const flag = (rollout: object = {}, entry: object = {}) =>
  booleanFlag("redis", { percent: 50, entry: { rollout: { ...ROLLOUT, ...rollout }, ...entry } });

interface Scene {
  readonly world: SdkWorld;
  readonly flags: Flags;
  /** Users by the variant that the split gives them. */
  readonly canary: readonly string[];
  readonly control: readonly string[];
  /** The canary fails for this many users, one after the other. */
  burn(users?: number): void;
}

function live(entry = flag(), options: FlagsOptions = {}): Scene {
  const world = createSdkWorld(1, createOrigin([entry]));
  world.serve();
  const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: false, ...options });
  world.time.advance(100);
  const users = Array.from({ length: 200 }, (_, index) => `u-${index}`);
  const canary = users.filter((user) => flags.isEnabled("redis", user));
  const control = users.filter((user) => !flags.isEnabled("redis", user));
  return {
    world,
    flags,
    canary,
    control,
    burn(count = 6) {
      for (const user of canary.slice(0, count)) flags.expose("redis", user).error(new Error("burning"));
    },
  };
}

const variants = (flags: Flags, users: readonly string[]) => new Set(users.map((user) => flags.variant("redis", user)));

describe("TE-45 an open breaker serves control", () => {
  it("to everybody, at once, and says so", () => {
    const { world, flags, canary, control, burn } = live();
    const changes: unknown[] = [];
    flags.on("change", ({ keys }) => changes.push(keys));
    burn(5);
    expect(variants(flags, canary)).toEqual(new Set(["on"]));
    burn(6);
    expect(variants(flags, canary)).toEqual(new Set(["off"]));
    expect(variants(flags, control)).toEqual(new Set(["off"]));
    expect(flags.evaluate("redis", canary[0])).toMatchObject({
      value: false,
      variant: "off",
      reason: "DEFAULT",
      detail: "breaker",
    });
    expect(flags.evaluate("redis", control[0])).toMatchObject({ variant: "off", detail: "fallthrough" });
    expect(flags.run("redis", canary[0], { on: () => 1, off: () => 2 })).toBe(2);
    expect(flags.expose("redis", canary[0])).toMatchObject({ variant: "off", value: false });
    expect(flags.status().breakers).toEqual([{ flag: "redis", rollout: "r-1", state: "open" }]);
    expect(changes).toEqual([["redis"]]);
    expect(world.time.clock.monotonic()).toBe(100);
  });

  it("also where a pin or another rule gives the canary; a variant that is neither is left alone", () => {
    const rules = [
      { id: "fr", when: [{ attribute: "country", op: "in", values: ["FR"] }], serve: { variant: "on" } },
      { id: "de", when: [{ attribute: "country", op: "in", values: ["DE"] }], serve: { variant: "third" } },
    ];
    const three = { on: { value: true }, off: { value: false }, third: { value: false } };
    const { flags, burn } = live(flag({}, { pins: { on: ["qa"] }, rules, variants: three }));
    burn();
    expect(flags.evaluate("redis", "qa")).toMatchObject({ variant: "off", detail: "breaker" });
    expect(flags.evaluate("redis", { key: "u", country: "FR" })).toMatchObject({ variant: "off", detail: "breaker" });
    expect(flags.evaluate("redis", { key: "u", country: "DE" })).toMatchObject({ variant: "third", detail: "rule:de" });
  });

  it("or the caller's default where the control is of another type (LC-51)", () => {
    const settings = { type: "json", variants: { on: { value: { size: 8 } }, off: { value: null } } };
    const { flags, canary, control, burn } = live(flag({}, settings));
    const fallback = { size: 1 };
    expect(flags.value("redis", control[0], fallback)).toBe(fallback);
    expect(flags.value("redis", canary[0], fallback)).toEqual({ size: 8 });
    burn();
    expect(flags.value("redis", canary[0], fallback)).toBe(fallback);
    expect(flags.value("redis", canary[0], null)).toBe(null);
  });

  it("but not against an override, nor a kill", () => {
    const { world, flags, canary, burn } = live();
    burn();
    world.origin.kill("redis");
    world.time.advance(10);
    expect(flags.evaluate("redis", canary[0])).toMatchObject({ variant: "off", detail: "killed" });
    world.environment.BUNTING_FLAG_REDIS = "on";
    const forced = createFlagsOn(world.platform, { bootstrap: createOrigin([flag()]).ruleset, cacheFile: false });
    for (const user of canary.slice(0, 20)) forced.expose("redis", user).error();
    expect(forced.evaluate("redis", canary[0])).toMatchObject({ variant: "on", detail: "override" });
  });

  it("and gives way to an override that comes while it is open", () => {
    const { world, flags, canary, burn } = live(flag(), { overrideFile: "/o.json" });
    burn();
    world.files.contents.set("/o.json", '{ "redis": "on" }');
    world.time.advance(2_000);
    expect(flags.evaluate("redis", canary[0])).toMatchObject({ variant: "on", detail: "override" });
    expect(flags.expose("redis", canary[0]).variant).toBe("on");
  });

  it("with the server gone, and by outcomes of run() as well", () => {
    const { world, flags, canary } = live();
    world.network.server = NO_SERVER;
    world.network.fate = () => "cut";
    world.time.advance(40_000);
    expect(flags.status().state).not.toBe("live");
    const fail = (): never => {
      throw new Error("burning");
    };
    for (const user of canary.slice(0, 6))
      expect(() => flags.run("redis", user, { on: fail, off: () => 0 })).toThrow("burning");
    expect(variants(flags, canary)).toEqual(new Set(["off"]));
  });

  it("not where one user fails again and again, nor where the control fails as well", () => {
    const { flags, canary, control } = live();
    for (let time = 0; time < 100; time += 1) flags.expose("redis", canary[0]).error();
    expect(flags.status().breakers).toEqual([]);
    for (const user of control.slice(0, 40)) flags.expose("redis", user).error();
    for (const user of canary.slice(0, 40)) flags.expose("redis", user).error();
    expect(flags.status().breakers).toEqual([]);
  });
});

describe("TE-46 after 30 s the canary gets a trial", () => {
  it("of one decision a second, and is back after ten good seconds", () => {
    const { world, flags, canary, burn } = live();
    burn();
    world.time.advance(29_999);
    expect(variants(flags, canary)).toEqual(new Set(["off"]));
    world.time.advance(1);
    expect(flags.status().breakers).toMatchObject([{ state: "half_open" }]);
    let probes = 0;
    for (let tenth = 0; tenth < 100; tenth += 1) {
      for (const user of canary.slice(0, 5)) {
        const exposure = flags.expose("redis", user);
        if (exposure.variant === "on") probes += 1;
        exposure.success();
      }
      world.time.advance(100);
    }
    expect(probes).toBe(10);
    expect(flags.status().breakers).toEqual([]);
    expect(variants(flags, canary)).toEqual(new Set(["on"]));
  });

  it("and waits twice as long after a failure", () => {
    const { world, flags, canary, burn } = live();
    burn();
    for (const waitMs of [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]) {
      world.time.advance(waitMs - 1);
      expect(flags.status().breakers).toMatchObject([{ state: "open" }]);
      world.time.advance(1);
      const probe = flags.expose("redis", canary[0]);
      expect(probe.variant).toBe("on");
      probe.error();
    }
  });

  it("is judged by its own decisions alone: what began before it opened changes nothing", () => {
    const { world, flags, canary, burn } = live();
    const before = flags.expose("redis", canary[10]);
    burn();
    world.time.advance(30_000);
    before.error();
    expect(flags.status().breakers).toMatchObject([{ state: "half_open" }]);
  });

  it("and stays closed when calls that hung since before it opened fail at last", () => {
    const { world, flags, canary, burn } = live();
    const hung = canary.slice(10, 30).map((user) => flags.expose("redis", user));
    burn();
    world.time.advance(30_000);
    flags.expose("redis", canary[0]).success();
    world.time.advance(10_000);
    expect(flags.status().breakers).toEqual([]);
    for (const exposure of hung) exposure.error();
    expect(flags.status().breakers).toEqual([]);
  });

  it.each(["success", "error"] as const)("and a decision of the trial before changes nothing by its %s", (end) => {
    const { world, flags, canary, burn } = live();
    burn();
    world.time.advance(30_000);
    const hung = flags.expose("redis", canary[0]);
    world.time.advance(1_000);
    flags.expose("redis", canary[1]).error();
    world.time.advance(60_000);
    expect(flags.status().breakers).toMatchObject([{ state: "half_open" }]);
    hung[end]();
    world.time.advance(10_000);
    expect(flags.status().breakers).toMatchObject([{ state: "half_open" }]);
  });
});

describe("TE-47 a breaker reports itself", () => {
  it("opened, half open and closed, with the counts of the window that opened it", () => {
    const { world, flags, canary, burn } = live();
    burn();
    world.time.advance(5_000);
    expect(world.telemetry.batches.at(-1)?.breakers).toMatchObject([
      { rollout: "r-1", attempt: 1, stage: 0, state: "open", unitFailureCount: 6, trialCount: 6 },
    ]);
    world.time.advance(25_000);
    flags.expose("redis", canary[0]).success();
    world.time.advance(15_000);
    const reported = world.telemetry.batches.flatMap(({ breakers = [] }) => breakers.map(({ state }) => state));
    expect(reported).toEqual(["open", "half_open", "closed"]);
  });
});

describe("TE-48 a breaker belongs to one stage of one attempt", () => {
  it.each([
    ["the next stage", { stage: 1 }],
    ["the next attempt", { attempt: 2 }],
  ])("and is closed in %s", (_what, next) => {
    const { world, flags, canary, burn } = live();
    const early = canary.slice(20, 40).map((user) => flags.expose("redis", user));
    burn();
    world.origin.put(flag(next));
    world.time.advance(10);
    expect(flags.status().breakers).toEqual([]);
    // Outcomes of the stage before are no outcomes of this one.
    for (const exposure of early) exposure.error();
    expect(variants(flags, canary)).toEqual(new Set(["on"]));
    world.time.advance(40_000);
    expect(flags.status().breakers).toEqual([]);
  });

  it("and is not opened by outcomes of the stage before, which nobody serves any more", () => {
    const { world, flags, canary } = live();
    const early = canary.slice(0, 40).map((user) => flags.expose("redis", user));
    world.origin.put(flag({ stage: 1 }));
    world.time.advance(10);
    const changes: unknown[] = [];
    flags.on("change", (change) => changes.push(change));
    for (const exposure of early) exposure.error();
    world.time.advance(60_000);
    expect(changes).toEqual([]);
    expect(world.telemetry.batches.flatMap(({ breakers = [] }) => breakers)).toEqual([]);
  });

  it("and is gone when the rollout is rolled back; other edits of the flag leave it open", () => {
    const { world, flags, canary, burn } = live();
    burn();
    world.origin.put(flag({}, { metadata: { owner: "somebody" } }));
    world.time.advance(10);
    expect(flags.status().breakers).toHaveLength(1);
    expect(variants(flags, canary)).toEqual(new Set(["off"]));
    world.origin.put(booleanFlag("redis", { percent: 0 }));
    world.time.advance(10);
    expect(flags.status().breakers).toEqual([]);
    expect(flags.evaluate("redis", canary[0])).toMatchObject({ variant: "off", detail: "fallthrough" });
  });
});

describe("TE-49 while a breaker is not closed, nothing of its rollout is evidence", () => {
  it("of neither arm, because one of them is empty by its own doing; what was exposed before still counts", () => {
    const { world, flags, canary, control, burn } = live();
    const early = flags.expose("redis", canary[30]);
    burn();
    world.time.advance(6_000);
    const before = world.telemetry.batches.length;
    for (const user of [...canary, ...control]) flags.expose("redis", user).success();
    for (const user of control) flags.isEnabled("redis", user);
    flags.track("conversion", control[0]);
    early.success();
    world.time.advance(6_000);
    const cells = world.telemetry.batches.slice(before).flatMap(({ evidence = [] }) => evidence);
    expect(cells).toMatchObject([{ variant: "on", exposureCount: 0, outcomeCount: 1 }]);
  });
});
