import { LIMITS, OPERATORS } from "@bunting/contracts/literals";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileAttributeCondition, validateCondition } from "./condition.ts";

type Values = (string | number | boolean)[];

const VALID: Readonly<Record<(typeof OPERATORS)[number], Values>> = {
  equals: ["x"],
  not_equals: [1],
  in: ["x", 1, true],
  not_in: [false],
  contains: ["x", ""],
  starts_with: ["x"],
  ends_with: ["x"],
  greater: [1.5],
  greater_or_equal: [-1],
  less: [0],
  less_or_equal: [1e300],
  before: ["2026-02-28T23:59:60+01:00"],
  after: [0],
  semver_equals: ["v1.2.3-rc.1+7"],
  semver_greater: ["0.0.0"],
  semver_less: ["1.2.3"],
  matches: ["^(a+)+$", ""],
  cidr: ["10.0.0.0/8", "::1", "2001:db8::/32", "0.0.0.0/0"],
  exists: [false],
};

describe("EV-32 a condition that cannot be judged is refused with the bad value and the remedy", () => {
  it.each(OPERATORS)("%s takes its own values", (op) => {
    expect(validateCondition({ attribute: "a", op, values: VALID[op] })).toBeNull();
  });

  it.each<[string, Values, string, RegExp]>([
    ["resembles", ["x"], "/op", /resembles is no operator. Use one of: equals, .*exists/],
    ["constructor", ["x"], "/op", /is no operator/],
    ["equals", [], "/values", /at least one value/],
    ["contains", [], "/values", /at least one value/],
    ["matches", [], "/values", /at least one value/],
    ["cidr", [], "/values", /at least one value/],
    ["contains", ["x", 1], "/values/1", /Cannot compare with 1: Give a text/],
    ["starts_with", [true], "/values/0", /Cannot compare with true/],
    ["greater", ["1"], "/values/0", /Cannot compare with "1": Give a number, without quotes/],
    ["greater", [1, 2], "/values", /exactly one value, not 2/],
    ["less", [], "/values", /exactly one value, not 0/],
    ["before", ["2026-03-01"], "/values/0", /"2026-03-01".*RFC 3339/],
    ["after", ["2026-02-30T00:00:00Z"], "/values/0", /RFC 3339/],
    ["after", [1, 2], "/values", /exactly one/],
    ["semver_equals", ["1.2"], "/values/0", /"1.2".*three numbers/],
    ["semver_less", [" 1.2.3"], "/values/0", /three numbers/],
    ["matches", ["(?=a)"], "/values/0", /"\(\?=a\)".*RE2/],
    ["matches", ["a", "("], "/values/1", /"\(".*RE2/],
    ["matches", ["(a)\\1"], "/values/0", /back-references/],
    ["matches", ["x".repeat(LIMITS.patternCharacters + 1)], "/values/0", /at most 256 characters/],
    ["matches", [7], "/values/0", /RE2/],
    ["cidr", ["10.0.0.0/33"], "/values/0", /"10.0.0.0\/33".*address block/],
    ["cidr", ["10.0.0.0/08"], "/values/0", /address block/],
    ["cidr", ["10.0.0.0/"], "/values/0", /address block/],
    ["cidr", ["::1/129"], "/values/0", /address block/],
    ["cidr", ["10.1"], "/values/0", /address block/],
    ["cidr", ["10.0.0.0/8", "fe80"], "/values/1", /address block/],
    ["exists", ["true"], "/values", /exactly one value: true or false/],
    ["exists", [true, false], "/values", /exactly one value: true or false/],
  ])("%s with %j", (op, values, path, message) => {
    const condition = { attribute: "a", op, values };
    expect(validateCondition(condition)).toMatchObject({ path, message: expect.stringMatching(message) });
    expect(compileAttributeCondition(condition).matches({ a: values[0] })).toBe(false);
  });

  it("names a JSON pointer with a bad escape", () => {
    expect(validateCondition({ attribute: "/a~2", op: "exists", values: [true] })?.path).toBe("/attribute");
    expect(validateCondition({ attribute: "a~2", op: "exists", values: [true] })).toBeNull();
  });

  it("leaves the existence of a segment to whoever knows the segments", () => {
    expect(validateCondition({ segment: "nobody" as never })).toBeNull();
  });

  it("shortens a long value in its message", () => {
    const problem = validateCondition({ attribute: "a", op: "before", values: ["x".repeat(5_000)] });
    expect(problem?.message.length).toBeLessThan(300);
  });
});

describe("EV-27 instants", () => {
  const judge = (op: string, value: string | number, a: unknown) =>
    compileAttributeCondition({ attribute: "a", op, values: [value] }).matches({ a });

  it("are those that Date knows, for every millisecond from year 0 to 9999", () => {
    const instants = fc.date({
      min: new Date("0000-01-01T00:00:00Z"),
      max: new Date("9999-12-31T23:59:59.999Z"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(instants, (date) => {
        const text = date.toISOString();
        expect(judge("before", date.getTime() + 1, text)).toBe(true);
        expect(judge("after", date.getTime() - 1, text)).toBe(true);
        expect(judge("before", date.getTime(), text) || judge("after", date.getTime(), text)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("EV-29 a pattern takes time in proportion to the text", () => {
  it("answers for patterns that make a backtracking engine hang", () => {
    const text = `${"a".repeat(4_000)}!`;
    for (const pattern of ["^(a+)+$", "(a|a)*$b", "(a*)*c", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y"]) {
      const { matches, problem } = compileAttributeCondition({ attribute: "a", op: "matches", values: [pattern] });
      expect(problem).toBeNull();
      expect(matches({ a: text })).toBe(false);
    }
  });

  it("EV-32 refuses patterns whose programs are too large, alone or together", () => {
    const problem = (...values: string[]) => validateCondition({ attribute: "a", op: "matches", values });
    expect(problem("\\pL{900}")).toBeNull();
    expect(problem("\\pL{1000}")).toMatchObject({ path: "/values/0", message: expect.stringContaining("1000 instr") });
    expect(problem(...Array.from({ length: 50 }, (_, index) => `^staff-${index}@`))).toBeNull();
    expect(problem("^a", "\\pL{500}", "\\d{500}", "^b")).toMatchObject({ path: "/values/2" });
  });
});
