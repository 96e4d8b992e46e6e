import { describe, expect, it } from "vitest";
import {
  configuration,
  configurationDraft,
  initialConfiguration,
  kill,
  rule,
  serve,
  split,
  toBuckets,
} from "./configuration.ts";
import { BUCKET_COUNT, LIMITS } from "./literals.ts";

const draft = {
  enabled: true,
  offVariant: "off",
  bucketBy: ["key"],
  pins: {},
  prerequisites: [],
  rules: [],
  fallthrough: { split: { on: 25, off: 75 } },
};
const whole = { ...draft, killed: null, salt: 2654435769, cohort: null, version: 1 };
const accepts = (schema: { safeParse(value: unknown): { success: boolean } }, value: unknown): boolean =>
  schema.safeParse(value).success;
const users = (count: number): string[] => Array.from({ length: count }, (_, index) => `u-${index}`);
const rules = (count: number): unknown[] =>
  Array.from({ length: count }, (_, index) => ({ id: `r-${index}`, when: [], serve: { variant: "on" } }));

describe("a split", () => {
  it.each([
    [{ on: 100 }],
    [{ on: 0, off: 100 }],
    [{ on: 25, off: 75 }],
    [{ a: 20, b: 30, c: 50 }],
    [{ on: 0.001, off: 99.999 }],
    [{ a: 33.333, b: 33.333, c: 33.334 }],
    [{ a: 0.1, b: 0.2, c: 99.7 }],
    [{ a: 14.285, b: 14.285, c: 14.285, d: 14.285, e: 14.285, f: 14.285, g: 14.29 }],
  ])("adds up to exactly 100 in %j", (weights) => {
    expect(split.parse(weights)).toEqual(weights);
  });

  it.each([
    ["nothing", {}, "The percentages of a split add up to exactly 100; these make 0."],
    [
      "one bucket too little",
      { on: 0.001, off: 99.998 },
      "The percentages of a split add up to exactly 100; these make 99.999.",
    ],
    [
      "one bucket too much",
      { on: 0.002, off: 99.999 },
      "The percentages of a split add up to exactly 100; these make 100.001.",
    ],
    ["four decimals", { on: 0.0001, off: 99.9999 }, "A percentage has at most three decimals."],
    ["thirds", { a: 100 / 3, b: 100 / 3, c: 100 / 3 }, "A percentage has at most three decimals."],
  ])("is refused with %s", (_, weights, message) => {
    expect(split.safeParse(weights).error?.issues.map((issue) => issue.message)).toContain(message);
  });

  it.each([
    ["a negative percentage", { on: -1, off: 101 }],
    ["more than 100", { on: 100.001 }],
    ["a percentage that is text", { on: "25", off: 75 }],
    ["NaN", { on: Number.NaN, off: 100 }],
    ["infinity", { on: Number.POSITIVE_INFINITY }],
    ["a bad variant key", { "on off": 100 }],
    ["a reserved variant key", { constructor: 100 }],
    ["__proto__ for a variant", JSON.parse('{ "__proto__": 100 }')],
    ["a list", [100]],
    ["null", null],
  ])("is refused with %s", (_, weights) => {
    expect(accepts(split, weights)).toBe(false);
  });

  it("knows every thousandth of a percent as its own bucket", () => {
    const buckets = Array.from({ length: BUCKET_COUNT + 1 }, (_, bucket) => bucket);
    expect(buckets.filter((bucket) => toBuckets(bucket / 1000) !== bucket)).toEqual([]);
  });

  it("leaves a fraction of a bucket a fraction", () => {
    for (const percent of [0.0001, 0.0005, 12.3456, 99.99999]) {
      expect(Number.isInteger(toBuckets(percent))).toBe(false);
    }
  });
});

describe("what is served", () => {
  it("is one variant or one split, never both and never neither", () => {
    expect(accepts(serve, { variant: "on" })).toBe(true);
    expect(accepts(serve, { split: { on: 100 } })).toBe(true);
    expect(accepts(serve, { variant: "on", split: { on: 100 } })).toBe(false);
    expect(accepts(serve, {})).toBe(false);
  });
});

describe("a rule", () => {
  const when = { attribute: "country", op: "equals", values: ["FR"] };

  it("may have no condition and then holds for everyone", () => {
    expect(accepts(rule, { id: "everyone", when: [], serve: { variant: "on" } })).toBe(true);
  });

  it("has at most the conditions of the limit", () => {
    const of = (count: number) => ({ id: "r", when: Array(count).fill(when), serve: { variant: "on" } });
    expect(accepts(rule, of(LIMITS.conditionsPerRule))).toBe(true);
    expect(accepts(rule, of(LIMITS.conditionsPerRule + 1))).toBe(false);
  });

  it("names an unknown field instead of dropping it", () => {
    const issues = rule.safeParse({ id: "r", when: [], serve: { variant: "on" }, percent: 5 }).error?.issues;
    expect(issues?.[0]).toMatchObject({ code: "unrecognized_keys", keys: ["percent"] });
  });
});

describe("a configuration", () => {
  it("is what the server answers, and drops nothing it knows", () => {
    expect(configuration.parse(whole)).toEqual(whole);
  });

  it.each<[string, string, unknown]>([
    ["an answer for a truth", "enabled", "yes"],
    ["an off variant that is no key", "offVariant", "not a key"],
    ["nothing to bucket by", "bucketBy", []],
    ["an attribute without a name to bucket by", "bucketBy", [""]],
    ["too many attributes to bucket by", "bucketBy", Array(LIMITS.bucketByAttributes + 1).fill("key")],
    ["an empty pin", "pins", { on: [""] }],
    ["too many pins", "pins", { on: users(LIMITS.pinsPerConfiguration + 1) }],
    ["a user pinned to two variants", "pins", { on: ["u-1"], off: ["u-1"] }],
    ["pins of something that is no key", "pins", { "no key": ["u"] }],
    ["a prerequisite nothing can meet", "prerequisites", [{ flag: "redis", variants: [] }]],
    [
      "too many prerequisites",
      "prerequisites",
      Array(LIMITS.prerequisitesPerConfiguration + 1).fill({ flag: "redis", variants: ["on"] }),
    ],
    ["too many rules", "rules", rules(LIMITS.rulesPerConfiguration + 1)],
    ["two rules with one id", "rules", [...rules(1), ...rules(1)]],
    ["a fallthrough that leaves one percent out", "fallthrough", { split: { on: 99 } }],
    ["no fallthrough", "fallthrough", null],
  ])("is refused with %s", (_, field, value) => {
    expect(accepts(configuration, { ...whole, [field]: value })).toBe(false);
    expect(accepts(configurationDraft, { ...draft, [field]: value })).toBe(false);
    expect(accepts(initialConfiguration, { [field]: value })).toBe(false);
  });

  it("may use every limit to the full", () => {
    const full = {
      ...draft,
      bucketBy: Array(LIMITS.bucketByAttributes).fill("key"),
      pins: { on: users(LIMITS.pinsPerConfiguration) },
      prerequisites: Array(LIMITS.prerequisitesPerConfiguration).fill({ flag: "redis", variants: ["on"] }),
      rules: rules(LIMITS.rulesPerConfiguration),
    };
    expect(configurationDraft.parse(full)).toEqual(full);
  });

  it("asks of a prerequisite for no more variants than a flag can have", () => {
    const prerequisites = (count: number) => [{ flag: "redis", variants: Array(count).fill("on") }];
    expect(accepts(configurationDraft, { ...draft, prerequisites: prerequisites(LIMITS.variantsPerFlag) })).toBe(true);
    expect(accepts(configurationDraft, { ...draft, prerequisites: prerequisites(LIMITS.variantsPerFlag + 1) })).toBe(
      false,
    );
  });

  it.each([-1, 2 ** 32, 0.5, "7"])("has a salt of 32 bits, so not %j", (salt) => {
    expect(accepts(configuration, { ...whole, salt })).toBe(false);
  });

  it("counts pins over all variants", () => {
    const all = users(LIMITS.pinsPerConfiguration);
    const half = all.length / 2;
    const pins = { on: all.slice(0, half), off: all.slice(half) };
    expect(accepts(configurationDraft, { ...draft, pins })).toBe(true);
    expect(accepts(configurationDraft, { ...draft, pins: { ...pins, third: ["one more"] } })).toBe(false);
  });

  it("counts conditions with patterns over all rules", () => {
    const when = [{ attribute: "email", op: "matches", values: ["@example\\.com$"] }, { segment: "staff" }];
    const withPatterns = (count: number) => ({
      ...draft,
      rules: rules(count).map((each) => ({ ...(each as object), when })),
    });
    expect(accepts(configurationDraft, withPatterns(LIMITS.patternConditionsPerConfiguration))).toBe(true);
    expect(accepts(configurationDraft, withPatterns(LIMITS.patternConditionsPerConfiguration + 1))).toBe(false);
  });

  it("may be written back exactly as it was read", () => {
    expect(accepts(configurationDraft, whole)).toBe(true);
  });

  it("is strict where a caller writes it: an unknown field is an error", () => {
    expect(accepts(configurationDraft, { ...draft, percent: 5 })).toBe(false);
    expect(accepts(initialConfiguration, { percent: 5 })).toBe(false);
  });

  it("may be left out altogether when a flag is created, but does not take a salt", () => {
    expect(initialConfiguration.parse({})).toEqual({});
    expect(accepts(initialConfiguration, { salt: 1 })).toBe(false);
  });

  it("is killed by somebody, at an instant, for a reason", () => {
    const killed = { by: "on-call", at: "2026-01-02T03:04:05.678Z", reason: "p99 at 4 s" };
    expect(kill.parse(killed)).toEqual(killed);
    for (const field of ["by", "at", "reason"]) expect(accepts(kill, { ...killed, [field]: undefined })).toBe(false);
  });
});
