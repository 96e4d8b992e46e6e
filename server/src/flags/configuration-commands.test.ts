import { LIMITS } from "@bunting/contracts/literals";
import { createSeededRandom } from "@bunting/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import type { Command } from "../ledger/command.ts";
import {
  actor,
  createFlag,
  flagKeyOf,
  PRODUCTION,
  patchOf,
  putSegmentOf,
  STAGING,
  World,
} from "../ledger/ledger-fixture.ts";

let world: World;
beforeEach(() => {
  world = new World(createSeededRandom(2));
  world.do(createFlag("redis"));
});

const ramp = (percent: number) => patchOf("redis", { fallthrough: { split: { on: percent, off: 100 - percent } } });

const put = (fields: object, ifVersion: number | null = null): Command =>
  ({
    type: "put_configuration",
    environment: PRODUCTION,
    flag: flagKeyOf("redis"),
    draft: { ...world.configuration("redis").configuration, ...fields },
    ifVersion,
  }) as Command;

const reshuffle = (flag: string, cohort: string | null = null): Command => ({
  type: "reshuffle",
  environment: PRODUCTION,
  flag: flagKeyOf(flag),
  reason: "skewed",
  cohort,
});

describe("patching a configuration", () => {
  it("changes one environment, one revision, one operation", () => {
    const { commits } = world.do(ramp(25));
    expect(commits).toHaveLength(1);
    expect(commits[0]).toMatchObject({ environment: "production", previous: 1, revision: 2, kill: null });
    expect(commits[0]?.operations).toMatchObject([{ op: "put", kind: "flag", key: "redis" }]);
    expect(world.entry("redis")?.fallthrough).toEqual({
      allocation: [
        ["on", 0, 25_000],
        ["off", 25_000, 100_000],
      ],
    });
    expect(world.state.environments.get(STAGING)?.revision).toBe(1);
  });

  it("EV-60 moves the least mass and gives the same users back", () => {
    world.do(ramp(10));
    const at10 = world.configuration("redis").allocations;
    world.do(ramp(50));
    world.do(ramp(10));
    expect(world.configuration("redis").allocations).toEqual(at10);
  });

  it("EV-60 remembers the users of a split while one variant serves everyone", () => {
    const rule = (serve: object) => ({ rules: [{ id: "eu", when: [], serve }] });
    const steps = [{ split: { on: 10, off: 90 } }, { split: { on: 40, off: 60 } }, { split: { on: 20, off: 80 } }];
    for (const serve of steps) world.do(patchOf("redis", rule(serve)));
    const before = world.entry("redis")?.rules;
    world.do(patchOf("redis", rule({ variant: "on" })));
    expect(world.entry("redis")?.rules[0]?.serve).toEqual({ variant: "on" });
    world.do(patchOf("redis", rule({ split: { on: 20, off: 80 } })));
    expect(world.entry("redis")?.rules).toEqual(before);
  });

  it("replaces a serve as a whole when its kind changes", () => {
    world.do(patchOf("redis", { fallthrough: { variant: "on" } }));
    expect(world.configuration("redis").configuration.fallthrough).toEqual({ variant: "on" });
    world.do(ramp(30));
    expect(world.configuration("redis").configuration.fallthrough).toEqual({ split: { on: 30, off: 70 } });
  });

  it("merges what it names and leaves the rest", () => {
    world.do(patchOf("redis", { pins: { on: ["qa-1"], off: ["qa-2"] } }));
    world.do(patchOf("redis", { pins: { off: null } }));
    expect(world.configuration("redis").configuration).toMatchObject({ pins: { on: ["qa-1"] }, enabled: true });
  });

  it("is nothing when nothing changes", () => {
    const { decision, commits } = world.do(ramp(0));
    expect(decision.edits).toEqual([]);
    expect(commits).toEqual([]);
    expect(world.configuration("redis").configuration.version).toBe(1);
  });

  const refusals: [string, Record<string, unknown>, string, string | undefined][] = [
    ["a sum that is not 100", { fallthrough: { split: { on: 50 } } }, "invalid_request", "/fallthrough/split"],
    [
      "four decimals",
      { fallthrough: { split: { on: 0.0001, off: 99.9999 } } },
      "invalid_request",
      "/fallthrough/split",
    ],
    ["an unknown field", { colour: "red" }, "invalid_request", "/colour"],
    [
      "a percentage that is text",
      { fallthrough: { split: { on: "5", off: 95 } } },
      "invalid_request",
      "/fallthrough/split/on",
    ],
    ["an unknown off variant", { offVariant: "blue" }, "variant_unknown", "/offVariant"],
    ["an unknown pinned variant", { pins: { blue: ["u"] } }, "variant_unknown", "/pins/blue"],
    [
      "an unknown variant in a split, even at 0 %",
      { fallthrough: { split: { on: 50, off: 50, blue: 0 } } },
      "variant_unknown",
      "/fallthrough/split/blue",
    ],
    ["an edited salt", { salt: 1 }, "field_immutable", "/salt"],
    ["an edited kill", { killed: { by: "me", at: "2026-01-01T00:00:00Z", reason: "" } }, "field_immutable", "/killed"],
    ["an edited version", { version: 9 }, "field_immutable", "/version"],
    [
      "an unknown segment",
      { rules: [{ id: "r", when: [{ segment: "none" }], serve: { variant: "on" } }] },
      "segment_unknown",
      "/rules/0/when/0/segment",
    ],
    [
      "a pattern RE2 does not know",
      { rules: [{ id: "r", when: [{ attribute: "a", op: "matches", values: ["(?=x)"] }], serve: { variant: "on" } }] },
      "condition_invalid",
      "/rules/0/when/0/values/0",
    ],
    [
      "a prerequisite on itself",
      { prerequisites: [{ flag: "redis", variants: ["on"] }] },
      "prerequisite_invalid",
      "/prerequisites/0",
    ],
    [
      "an unknown prerequisite",
      { prerequisites: [{ flag: "none", variants: ["on"] }] },
      "prerequisite_invalid",
      "/prerequisites/0",
    ],
  ];
  it.each(refusals)("refuses %s", (_, patch, code, path) => {
    const refusal = world.refusal(patchOf("redis", patch));
    expect(refusal.code).toBe(code);
    expect(refusal.paths[0]).toBe(path);
  });

  it("takes immutable fields back as they were read", () => {
    const { killed, salt, cohort, version } = world.configuration("redis").configuration;
    expect(world.refusal(patchOf("redis", { killed, salt, cohort, version, enabled: false })).code).toBeNull();
  });

  it("R11 compares the version", () => {
    world.do(ramp(5));
    expect(world.refusal(patchOf("redis", { enabled: false }, { ifVersion: 1 })).code).toBe("version_mismatch");
    expect(world.refusal(patchOf("redis", { enabled: false }, { ifVersion: 2 })).code).toBeNull();
  });

  it("EV-42 refuses a circle of prerequisites and a chain above the limit", () => {
    const require = (flag: string, other: string) =>
      patchOf(flag, { prerequisites: [{ flag: other, variants: ["on"] }] });
    const depth = LIMITS.prerequisiteDepth;
    for (let index = 0; index <= depth + 1; index++) world.do(createFlag(`f${index}`));
    for (let index = 0; index < depth; index++) world.do(require(`f${index}`, `f${index + 1}`));
    expect(world.refusal(require(`f${depth}`, "f0")).code).toBe("prerequisite_cycle");
    expect(world.refusal(require(`f${depth}`, `f${depth + 1}`)).code).toBe("prerequisite_cycle");
  });

  it("is refused in an environment that is archived or unknown", () => {
    world.do({ type: "archive_environment", environment: STAGING });
    expect(world.refusal(patchOf("redis", {}, { environment: STAGING })).code).toBe("environment_archived");
    expect(world.refusal(patchOf("redis", {}, { environment: "moon" as typeof STAGING })).code).toBe(
      "environment_not_found",
    );
  });
});

describe("GV-01 an operator, wherever the edit comes in", () => {
  const operator = actor("operator");

  it("changes percentages, also from one variant to a split", () => {
    world.do(patchOf("redis", { rules: [{ id: "r", when: [], serve: { variant: "on" } }] }));
    const patch = {
      fallthrough: { variant: "on" },
      rules: [{ id: "r", when: [], serve: { split: { on: 5, off: 95 } } }],
    };
    expect(world.refusal(patchOf("redis", patch), operator).code).toBeNull();
    expect(world.refusal(put({ fallthrough: { variant: "off" } }), operator).code).toBeNull();
  });

  it.each([
    ["enabled", { enabled: false }],
    ["pins", { pins: { on: ["me"] } }],
    ["the off variant", { offVariant: "on" }],
    ["bucketBy", { bucketBy: ["org"] }],
    ["rules", { rules: [{ id: "r", when: [], serve: { variant: "on" } }] }],
    ["a percentage and something else", { fallthrough: { variant: "on" }, enabled: false }],
  ])("may not change %s, by PATCH or by PUT", (_, patch) => {
    expect(world.refusal(patchOf("redis", patch), operator).code).toBe("forbidden");
    expect(world.refusal(put(patch), operator).code).toBe("forbidden");
  });

  it("may not change a rule's conditions or the order of rules", () => {
    const rule = (id: string, country: string) => ({
      id,
      when: [{ attribute: "country", op: "in", values: [country] }],
      serve: { variant: "on" },
    });
    world.do(patchOf("redis", { rules: [rule("a", "FR"), rule("b", "DE")] }));
    expect(world.refusal(patchOf("redis", { rules: [rule("b", "DE"), rule("a", "FR")] }), operator).code).toBe(
      "forbidden",
    );
    expect(world.refusal(patchOf("redis", { rules: [rule("a", "FR"), rule("b", "US")] }), operator).code).toBe(
      "forbidden",
    );
  });
});

describe("putting a configuration", () => {
  it("replaces it whole and takes back what was read", () => {
    const { commits } = world.do(put({ enabled: false, fallthrough: { variant: "on" } }, 1));
    expect(commits).toHaveLength(1);
    expect(world.configuration("redis").configuration).toMatchObject({ enabled: false, version: 2 });
    expect(world.refusal(put({ enabled: true }, 1)).code).toBe("version_mismatch");
    expect(world.refusal(put({ cohort: "x" })).code).toBe("field_immutable");
  });
});

describe("EV-06 reshuffling", () => {
  it("draws a new salt, is audited with its reason, and nothing else changes the salt", () => {
    const { salt } = world.configuration("redis").configuration;
    world.do(ramp(10));
    expect(world.configuration("redis").configuration.salt).toBe(salt);
    const { decision } = world.do(reshuffle("redis"));
    expect(world.configuration("redis").configuration.salt).not.toBe(salt);
    expect(decision.audit).toMatchObject([{ action: "reshuffle", reason: "skewed" }]);
  });

  it("founds a cohort, and joins it", () => {
    world.do(createFlag("other"));
    world.do(reshuffle("redis", "spring"));
    world.do(reshuffle("other", "spring"));
    const { salt, cohort } = world.configuration("other").configuration;
    expect(cohort).toBe("spring");
    expect(salt).toBe(world.configuration("redis").configuration.salt);
  });
});

describe("segments in rules", () => {
  it("are known once they exist", () => {
    const rule = { rules: [{ id: "r", when: [{ segment: "staff" }], serve: { variant: "on" } }] };
    expect(world.refusal(patchOf("redis", rule)).code).toBe("segment_unknown");
    world.do(putSegmentOf("staff", [{ attribute: "email", op: "ends_with", values: ["@x.org"] }]));
    expect(world.refusal(patchOf("redis", rule)).code).toBeNull();
  });
});
