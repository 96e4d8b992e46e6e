import { BUCKET_COUNT } from "@bunting/contracts/literals";
import { booleanFlag, createOrigin, createSdkWorld } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createFlagsOn } from "../create-flags.ts";
import { createTestFlags } from "../testing.ts";

const USERS = Array.from({ length: 500 }, (_, index) => `u-${index}`);
const VARIANTS = { v1: "v1", v2: "v2", v3: "v3" };

describe("LC-57 place says where users stand on a split", () => {
  it("leads to the variant that the flag decides, through the position's bucket", () => {
    const flags = createTestFlags({ logic: { variants: VARIANTS, fallthrough: { v1: 20, v2: 30, v3: 50 } } });
    for (const user of USERS) {
      const { variant, detail, split } = flags.place("logic", user);
      const bucket = Math.floor(((split?.position ?? Number.NaN) * BUCKET_COUNT) / 2 ** 32);
      expect(split?.ranges.find(([, from, to]) => from <= bucket && bucket < to)?.[0]).toBe(variant);
      expect({ variant, detail }).toEqual({ variant: flags.variant("logic", user), detail: "fallthrough" });
    }
  });

  it("gives a rule's split to those that the rule is for", () => {
    const rule = {
      id: "fr",
      when: [{ attribute: "country", op: "in", values: ["FR"] }],
      serve: { v2: 50, v3: 50 },
    };
    const flags = createTestFlags({ logic: { variants: VARIANTS, fallthrough: "v1", rules: [rule] } });
    expect(flags.place("logic", { key: "u", country: "FR" })).toMatchObject({
      detail: "rule:fr",
      split: {
        ranges: [
          ["v2", 0, 50_000],
          ["v3", 50_000, 100_000],
        ],
      },
    });
    expect(flags.place("logic", "u")).toEqual({ variant: "v1", detail: "fallthrough", split: null });
  });

  it("has no split for pins, kills, users without a key and unknown flags", () => {
    const logic = { variants: VARIANTS, fallthrough: { v1: 50, v2: 50 }, pins: { v3: ["qa"] } };
    const flags = createTestFlags({ logic });
    expect(flags.place("logic", "qa")).toEqual({ variant: "v3", detail: "pin", split: null });
    expect(flags.place("logic")).toEqual({ variant: "v3", detail: "targeting_key", split: null });
    expect(flags.place("nothing", "u")).toEqual({ variant: null, detail: "flag_not_found", split: null });
    flags.set("logic", { ...logic, killed: true });
    expect(flags.place("logic", "u")).toEqual({ variant: "v3", detail: "killed", split: null });
  });

  it("counts nothing as served", () => {
    const { flags, report } = live();
    for (const user of USERS) flags.place("redis", user);
    expect(report()).toEqual([]);
  });

  it("gives the control the canary's ranges while the breaker is open", () => {
    const { flags } = live();
    for (const user of USERS) flags.expose("redis", user).error();
    expect(flags.status().breakers).toMatchObject([{ flag: "redis", state: "open" }]);
    for (const user of USERS) {
      const { variant, split } = flags.place("redis", user);
      expect([variant, ...(split?.ranges ?? []).map(([name]) => name)]).toEqual(["off", "off", "off"]);
    }
  });
});

describe("LC-58 an application says what it gave to a user of the split", () => {
  it("charges the variant that was given, and its outcome, to that variant", () => {
    const { flags, report } = live();
    const user = USERS.find((candidate) => flags.place("redis", candidate).variant === "off");
    const exposure = flags.expose("redis", user, { served: "on" });
    expect(exposure.variant).toBe("on");
    exposure.error();
    expect(report()).toMatchObject([{ variant: "on", exposureCount: 1, errorCount: 1 }]);
  });

  it("says nothing of users who are not on the split, nor for a variant that does not exist", () => {
    const { flags, report } = live({ pins: { off: ["qa"] } });
    expect(flags.expose("redis", "qa", { served: "on" }).variant).toBe("off");
    expect(report()).toEqual([]);
    const user = USERS.find((candidate) => flags.place("redis", candidate).variant === "off");
    expect(flags.expose("redis", user, { served: "third" }).variant).toBe("off");
  });
});

function live(entry: object = {}) {
  const rollout = {
    id: "r",
    attempt: 1,
    stage: 0,
    canary: "on",
    control: "off",
    rule: null,
    groupSalt: 9,
    metrics: [],
  };
  const world = createSdkWorld(1, createOrigin([booleanFlag("redis", { percent: 50, entry: { rollout, ...entry } })]));
  world.serve();
  const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: false });
  world.time.advance(100);
  const report = () => {
    world.time.advance(6_000);
    return world.telemetry.batches.flatMap(({ evidence = [] }) => evidence);
  };
  return { flags, report };
}
