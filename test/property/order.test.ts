import type { RulesetFlag } from "@bunting/contracts";
import { bucketOf, compileRuleset, hashBucketingKey } from "@bunting/engine";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flagEntry, rulesetWith } from "./entries.ts";

/*
 * The order of evaluation against a second, naive implementation of the tables in docs/spec/evaluation.md, on small random
 * rulesets: flags a to e that ask each other at random, cycles included, and contexts from the same few values.
 */

const KEYS = ["a", "b", "c", "d", "e"] as const;
const VARIANTS = ["on", "off", "third"] as const;
const variants = { on: { value: true }, off: { value: false }, third: { value: false } };

const serve = fc.oneof(
  fc.constantFrom(...VARIANTS).map((variant) => ({ variant })),
  fc.tuple(fc.integer({ min: 1, max: 50_000 }), fc.integer({ min: 50_001, max: 99_999 })).map(([first, second]) => ({
    allocation: [["on", 0, first] as const, ["off", first, second] as const, ["third", second, 100_000] as const],
  })),
);
const condition = fc.oneof(
  fc.record({
    attribute: fc.constantFrom("x", "y"),
    op: fc.constantFrom("equals", "not_equals"),
    values: fc.constantFrom([1], [2]),
  }),
  fc.record({ attribute: fc.constant("x"), op: fc.constant("resembles"), values: fc.constant([1]) }),
  fc.constant({ segment: "nobody" }),
);
const flag = (key: string) =>
  fc
    .record({
      enabled: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      killed: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      bucketing: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constant(2) }),
      salt: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      bucketBy: fc.constantFrom(["key"], ["y"], ["y", "key"]),
      pins: fc.constantFrom({}, { on: ["u1"] }, { third: ["u1", "u2"], off: [] }),
      prerequisites: fc.array(
        fc.record({ flag: fc.constantFrom(...KEYS, "nobody"), variants: fc.subarray([...VARIANTS], { minLength: 1 }) }),
        { maxLength: 2 },
      ),
      rules: fc
        .array(fc.record({ when: fc.array(condition, { maxLength: 2 }), serve }), { maxLength: 3 })
        .map((rules) => rules.map((rule, index) => ({ id: `r${index}`, ...rule }))),
      fallthrough: serve,
    })
    .map((settings) => flagEntry(key, { variants, ...settings }));
const flags = fc.tuple(...KEYS.map(flag));
const context = fc.record(
  { key: fc.constantFrom("u1", "u2", "u3", ""), x: fc.constantFrom(1, 2, null), y: fc.constantFrom(1, 2, "z") },
  { requiredKeys: [] },
);

describe("EV-1 EV-3 EV-4 EV-5 EV-33 EV-40 EV-41 EV-51 EV-55 the order of evaluation", () => {
  it("is that of the tables, for random rulesets and contexts", () => {
    fc.assert(
      fc.property(flags, fc.array(context, { minLength: 1, maxLength: 5 }), (entries, contexts) => {
        const compiled = compileRuleset(rulesetWith(entries));
        const ruleset = new Map<string, RulesetFlag>(entries.map((entry) => [entry.key, entry]));
        for (const [key, entry] of ruleset) {
          for (const subject of contexts) {
            const decided = compiled.flags.get(key);
            const decision = decided?.decide(subject) ?? -1;
            const { variant, reason, detail, errorCode } = decided?.describe(decision) ?? {};
            expect({ variant, reason, detail, errorCode }).toEqual(naive(entry, subject, ruleset));
            expect(decided?.explain(subject).decision).toBe(decision);
          }
        }
      }),
      { numRuns: 1500 },
    );
  });
});

interface Answer {
  readonly variant: string;
  readonly reason: string;
  readonly detail: string;
  readonly errorCode: string | undefined;
}
type Attributes = Readonly<Record<string, unknown>>;
type Served = RulesetFlag["fallthrough"];

function canBeKey(value: unknown): value is string | number {
  return typeof value === "number" || (typeof value === "string" && value !== "");
}

function naive(entry: RulesetFlag, subject: Attributes, ruleset: ReadonlyMap<string, RulesetFlag>): Answer {
  const off = (reason: string, detail: string, errorCode?: string) => ({ variant: "off", reason, detail, errorCode });
  if (entry.killed) return off("DISABLED", "killed");
  if (!entry.enabled) return off("DISABLED", "disabled");
  for (const { flag: key, variants: wanted } of entry.prerequisites) {
    const asked = ruleset.get(key);
    if (asked === undefined || chain(key, ruleset, [entry.key])) return off("DEFAULT", `prerequisite:${key}`);
    const answer = naive(asked, subject, ruleset);
    if (answer.reason === "ERROR" || !(wanted as string[]).includes(answer.variant))
      return off("DEFAULT", `prerequisite:${key}`);
  }
  const pinned = Object.entries(entry.pins).find(([, keys]) => keys.includes(subject["key"] as string));
  if (pinned) return { variant: pinned[0], reason: "TARGETING_MATCH", detail: "pin", errorCode: undefined };
  let unsupported: string | undefined;
  const decided = (serve: Served, plain: string, detail: string): Answer => {
    if ("variant" in serve)
      return { variant: serve.variant, reason: plain, detail: unsupported ?? detail, errorCode: undefined };
    if (entry.bucketing !== 1) return off("ERROR", "bucketing", "GENERAL");
    const key = entry.bucketBy.map((name) => subject[name]).find(canBeKey);
    if (key === undefined) return off("ERROR", "targeting_key", "TARGETING_KEY_MISSING");
    const bucket = bucketOf(hashBucketingKey(String(key)), entry.salt);
    const range = serve.allocation.find(([, from, to]) => from <= bucket && bucket < to);
    return { variant: range?.[0] ?? "", reason: "SPLIT", detail: unsupported ?? detail, errorCode: undefined };
  };
  for (const rule of entry.rules) {
    const verdicts = rule.when.map((condition) => {
      if ("segment" in condition || condition.op === "resembles") return "unknown";
      const value = subject[condition.attribute];
      if (value === undefined || value === null) return false;
      return (value === condition.values[0]) === (condition.op === "equals");
    });
    if (verdicts.includes(false)) continue;
    if (!verdicts.includes("unknown")) return decided(rule.serve, "TARGETING_MATCH", `rule:${rule.id}`);
    unsupported ??= `unsupported:${rule.id}`;
  }
  const isStatic = entry.rules.length === 0 && Object.values(entry.pins).flat().length === 0;
  return decided(entry.fallthrough, isStatic ? "STATIC" : "DEFAULT", "fallthrough");
}

/** Whether following prerequisites from a flag leads to one that was passed on the way: with five flags no chain is too long. */
function chain(key: string, ruleset: ReadonlyMap<string, RulesetFlag>, passed: readonly string[]): boolean {
  if (passed.includes(key)) return true;
  return (ruleset.get(key)?.prerequisites ?? []).some(({ flag: next }) => chain(next, ruleset, [...passed, key]));
}

describe("EV-43 the work of an evaluation grows with the prerequisites and not with the paths to them", () => {
  it("answers where ten layers of ten flags all ask each other: 10^10 paths", () => {
    const layers = Array.from({ length: 10 }, (_, layer) =>
      Array.from({ length: 10 }, (__, index) =>
        flagEntry(`${layer}-${index}`, {
          prerequisites:
            layer === 0
              ? []
              : Array.from({ length: 10 }, (___, below) => ({ flag: `${layer - 1}-${below}`, variants: ["on"] })),
          rules: [{ id: "r", when: [{ attribute: "a", op: "exists", values: [true] }], serve: { variant: "on" } }],
        }),
      ),
    );
    let reads = 0;
    const subject = {
      get a() {
        reads += 1;
        return "x";
      },
    };
    const top = compileRuleset(rulesetWith(layers.flat())).flags.get("9-0");
    expect(top?.describe(top.decide(subject))).toMatchObject({ variant: "on", detail: "rule:r" });
    // Leaves have nothing below them and are asked by each of the ten flags above; everything else is decided once.
    expect(reads).toBe(1 + 8 * 10 + 10 * 10);
    reads = 0;
    expect(top?.explain(subject).decision).toBe(top?.decide({ a: "x" }));
    expect(reads).toBe(1 + 8 * 10 + 10 * 10);
  });
});
