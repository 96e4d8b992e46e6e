import { LIMITS } from "@bunting/contracts/literals";
import { createSeededRandom } from "@bunting/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import type { Command } from "../ledger/command.ts";
import { createFlag, flagKeyOf, PRODUCTION, patchOf, STAGING, World } from "../ledger/ledger-fixture.ts";

let world: World;
beforeEach(() => {
  world = new World(createSeededRandom(1));
});

const patchFlag = (flag: string, patch: object, ifVersion: number | null = null): Command =>
  ({ type: "patch_flag", flag: flagKeyOf(flag), patch, ifVersion }) as Command;

const archiveFlag = (flag: string, ifVersion: number | null = null): Command => ({
  type: "archive_flag",
  flag: flagKeyOf(flag),
  ifVersion,
});

const TEXT = { type: "string", variants: { a: { value: "A" }, b: { value: "B" } } };

describe("creating a flag", () => {
  it("puts it into every environment, enabled, with everyone on the off variant", () => {
    const { commits } = world.do(createFlag("redis"));
    expect(commits.map(({ environment, previous, revision }) => [environment, previous, revision])).toEqual([
      ["production", 0, 1],
      ["staging", 0, 1],
    ]);
    expect(world.configuration("redis").configuration).toMatchObject({
      enabled: true,
      killed: null,
      offVariant: "off",
      fallthrough: { split: { on: 0, off: 100 } },
      version: 1,
    });
    expect(world.entry("redis")?.fallthrough).toEqual({ allocation: [["off", 0, 100_000]] });
  });

  it("draws a salt of its own in each environment", () => {
    world.do(createFlag("redis"));
    const salts = [PRODUCTION, STAGING].map((key) => world.configuration("redis", key).configuration.salt);
    expect(new Set(salts).size).toBe(2);
  });

  it("takes settings for one environment and says so in an audit entry of that environment", () => {
    const split = { on: 25, off: 75 };
    const { decision } = world.do(createFlag("redis", { environments: { staging: { fallthrough: { split } } } }));
    expect(world.configuration("redis", STAGING).configuration.fallthrough).toEqual({ split });
    expect(world.configuration("redis", PRODUCTION).configuration.fallthrough).toEqual({ split: { on: 0, off: 100 } });
    expect(decision.audit.map(({ object }) => [object.kind, object.environment])).toEqual([
      ["flag", null],
      ["configuration", "staging"],
    ]);
  });

  it("gives flags of one cohort one salt per environment", () => {
    const environments = { production: { cohort: "spring" } };
    world.do(createFlag("one", { environments }));
    world.do(createFlag("two", { environments }));
    expect(world.configuration("two").configuration.salt).toBe(world.configuration("one").configuration.salt);
    expect(world.configuration("two", STAGING).configuration.salt).not.toBe(
      world.configuration("one", STAGING).configuration.salt,
    );
  });

  it("keeps a key taken after archiving", () => {
    world.do(createFlag("redis"));
    world.do(archiveFlag("redis"));
    expect(world.refusal(createFlag("redis")).code).toBe("flag_exists");
  });

  const refusals: [string, object, string, string | undefined][] = [
    ["no variants on a string flag", { type: "string" }, "invalid_request", "/variants"],
    [
      "a value of another type",
      { type: "number", variants: { a: { value: "1" } } },
      "variant_type_mismatch",
      "/variants/a/value",
    ],
    [
      "a value above 64 KiB",
      { type: "string", variants: { a: { value: "x".repeat(LIMITS.variantValueBytes - 1) } } },
      "limit_exceeded",
      "/variants/a/value",
    ],
    ["an unknown environment", { environments: { moon: {} } }, "environment_not_found", "/environments/moon"],
    [
      "an unknown variant in an environment's settings",
      { environments: { staging: { fallthrough: { variant: "blue" } } } },
      "variant_unknown",
      "/environments/staging/fallthrough/variant",
    ],
  ];
  it.each(refusals)("refuses %s", (_, fields, code, path) => {
    const before = world.state;
    expect(world.refusal(createFlag("redis", fields))).toEqual({ code, paths: [path] });
    expect(world.state).toBe(before);
  });

  it("accepts a value of exactly 64 KiB", () => {
    const value = "x".repeat(LIMITS.variantValueBytes - 2);
    expect(world.refusal(createFlag("big", { type: "string", variants: { a: { value } } })).code).toBeNull();
  });
});

describe("editing a flag", () => {
  beforeEach(() => void world.do(createFlag("text", TEXT)));

  it("bumps no revision for what SDKs do not see", () => {
    const { commits, decision } = world.do(patchFlag("text", { description: "why", tags: ["x"] }));
    expect(commits).toEqual([]);
    expect(decision.audit).toHaveLength(1);
    expect(world.state.flags.get(flagKeyOf("text"))).toMatchObject({ description: "why", version: 2 });
  });

  it("is nothing when nothing changes", () => {
    const { decision } = world.do(patchFlag("text", { description: "" }));
    expect(decision.edits).toEqual([]);
    expect(world.state.flags.get(flagKeyOf("text"))?.version).toBe(1);
  });

  it("merges metadata, null removing an entry", () => {
    world.do(patchFlag("text", { metadata: { team: "core", tier: 1 } }));
    const { commits } = world.do(patchFlag("text", { metadata: { tier: null, on: true } }));
    expect(world.state.flags.get(flagKeyOf("text"))?.metadata).toEqual({ team: "core", on: true });
    expect(commits).toHaveLength(2);
  });

  it("adds a variant, retires it and brings it back with the same meaning only", () => {
    world.do(patchFlag("text", { variants: { c: { value: "C" } } }));
    world.do(patchFlag("text", { variants: { c: null } }));
    expect(world.state.flags.get(flagKeyOf("text"))).toMatchObject({ retiredVariants: { c: { value: "C" } } });
    expect(world.refusal(patchFlag("text", { variants: { c: { value: "D" } } }))).toEqual({
      code: "variant_value_immutable",
      paths: ["/variants/c/value"],
    });
    world.do(patchFlag("text", { variants: { c: {} } }));
    const flag = world.state.flags.get(flagKeyOf("text"));
    expect(flag?.variants).toMatchObject({ c: { value: "C" } });
    expect(flag?.retiredVariants).toEqual({});
  });

  it("never changes a value", () => {
    expect(world.refusal(patchFlag("text", { variants: { a: { value: "other" } } })).code).toBe(
      "variant_value_immutable",
    );
    expect(world.refusal(patchFlag("text", { variants: { a: { value: "A", description: "same" } } })).code).toBeNull();
  });

  it.each([
    ["serves it", () => world.do(patchOf("text", { fallthrough: { variant: "b" } }))],
    ["names it in a split, at 0 %", () => world.do(patchOf("text", { fallthrough: { split: { a: 100, b: 0 } } }))],
    ["pins it", () => world.do(patchOf("text", { pins: { b: ["u-1"] } }))],
    ["has it as off variant", () => world.do(patchOf("text", { offVariant: "b" }))],
    [
      "serves it by a rule",
      () => world.do(patchOf("text", { rules: [{ id: "r", when: [], serve: { variant: "b" } }] })),
    ],
    [
      "requires it elsewhere",
      () => {
        world.do(createFlag("other"));
        world.do(patchOf("other", { prerequisites: [{ flag: "text", variants: ["b"] }] }));
      },
    ],
  ])("does not retire a variant while a configuration %s", (_, use) => {
    use();
    expect(world.refusal(patchFlag("text", { variants: { b: null } }))).toEqual({
      code: "variant_in_use",
      paths: ["/variants/b"],
    });
  });

  it("R11 refuses a version that somebody else has moved past", () => {
    world.do(patchFlag("text", { description: "first" }, 1));
    expect(world.refusal(patchFlag("text", { description: "second" }, 1)).code).toBe("version_mismatch");
    expect(world.refusal(patchFlag("text", { description: "second" }, 2)).code).toBeNull();
  });

  it("refuses more variants than the limit", () => {
    const variants = Object.fromEntries(Array.from({ length: 49 }, (_, index) => [`v${index}`, { value: "" }]));
    expect(world.refusal(patchFlag("text", { variants })).code).toBe("limit_exceeded");
    delete variants["v0"];
    expect(world.refusal(patchFlag("text", { variants })).code).toBeNull();
  });
});

describe("archiving a flag", () => {
  beforeEach(() => void world.do(createFlag("base")));

  it("takes it out of every ruleset and refuses further changes", () => {
    const { commits } = world.do(archiveFlag("base"));
    expect(commits.map(({ operations }) => operations)).toEqual([
      [{ op: "remove", kind: "flag", key: "base" }],
      [{ op: "remove", kind: "flag", key: "base" }],
    ]);
    expect(world.entry("base")).toBeUndefined();
    expect(world.state.environments.get(PRODUCTION)).toMatchObject({ checksum: "000000000000", bytes: 0, revision: 2 });
    for (const command of [archiveFlag("base"), patchFlag("base", {}), patchOf("base", { enabled: false })]) {
      expect(world.refusal(command).code).toBe("flag_archived");
    }
  });

  it("is refused while another flag has it as a prerequisite", () => {
    world.do(createFlag("above"));
    world.do(patchOf("above", { prerequisites: [{ flag: "base", variants: ["on"] }] }));
    expect(world.refusal(archiveFlag("base")).code).toBe("flag_in_use");
    world.do(archiveFlag("above"));
    expect(world.refusal(archiveFlag("base")).code).toBeNull();
  });

  it("refuses an unknown flag and an old version", () => {
    expect(world.refusal(archiveFlag("none")).code).toBe("flag_not_found");
    expect(world.refusal(archiveFlag("base", 7)).code).toBe("version_mismatch");
  });
});
