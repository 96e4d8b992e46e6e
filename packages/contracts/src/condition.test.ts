import { describe, expect, it } from "vitest";
import { condition } from "./condition.ts";
import { context } from "./context.ts";
import { LIMITS, OPERATORS } from "./literals.ts";
import { segmentDraft } from "./segment.ts";

const country = { attribute: "country", op: "in", values: ["FR", "DE"] };
const accepts = (value: unknown): boolean => condition.safeParse(value).success;

describe("a condition", () => {
  it.each(OPERATORS)("knows the operator %s", (op) => {
    expect(accepts({ ...country, op })).toBe(true);
  });

  it("is an error at write time when nobody knows its operator", () => {
    expect(accepts({ ...country, op: "regex" })).toBe(false);
    expect(accepts({ ...country, op: "constructor" })).toBe(false);
  });

  it.each([
    ["text", ["FR"]],
    ["numbers", [1, -0.5]],
    ["booleans", [false]],
    ["a mixture", ["1", 1, true]],
  ])("compares with %s", (_, values) => {
    expect(accepts({ ...country, values })).toBe(true);
  });

  it.each([
    ["no value", []],
    ["null", [null]],
    ["an object", [{}]],
    ["a list", [["FR"]]],
    ["NaN", [Number.NaN]],
    ["one value too many", Array(LIMITS.valuesPerCondition + 1).fill("x")],
  ])("refuses to compare with %s", (_, values) => {
    expect(accepts({ ...country, values })).toBe(false);
  });

  it("names an attribute", () => {
    expect(accepts({ ...country, attribute: "" })).toBe(false);
    expect(accepts({ ...country, attribute: "/address/city" })).toBe(true);
    expect(accepts({ ...country, attribute: "a".repeat(LIMITS.nameBytes + 1) })).toBe(false);
  });

  it("is a comparison or a segment, never both", () => {
    expect(accepts({ segment: "staff" })).toBe(true);
    expect(accepts({ segment: "staff", ...country })).toBe(false);
    expect(accepts({ segment: "no key" })).toBe(false);
  });
});

describe("a segment", () => {
  it("has at least one condition, and no segment within it", () => {
    expect(segmentDraft.parse({ when: [country] })).toEqual({ description: "", when: [country] });
    expect(segmentDraft.safeParse({ when: [] }).success).toBe(false);
    expect(segmentDraft.safeParse({ when: [{ segment: "staff" }] }).success).toBe(false);
    expect(segmentDraft.safeParse({ when: [country], name: "x" }).success).toBe(false);
  });
});

describe("a context", () => {
  it("holds any JSON", () => {
    const value = { key: "u-1", plan: null, tags: ["a", 1, true], address: { city: "Lyon" } };
    expect(context.parse(value)).toEqual(value);
  });

  it.each([
    ["text", "u-1"],
    ["a list", []],
    ["null", null],
    ["a function within", { key: () => 1 }],
    ["NaN", { age: Number.NaN }],
  ])("is not %s", (_, value) => {
    expect(context.safeParse(value).success).toBe(false);
  });

  it("has at most the attributes of the limit", () => {
    const of = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}`, index]));
    expect(context.safeParse(of(LIMITS.contextAttributes)).success).toBe(true);
    expect(context.safeParse(of(LIMITS.contextAttributes + 1)).success).toBe(false);
  });
});
