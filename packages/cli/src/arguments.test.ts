import { InvalidArgumentError } from "commander";
import { describe, expect, it } from "vitest";
import {
  attributesOf,
  collectAssignments,
  collectAttributeConditions,
  collectKeys,
  collectPercents,
  parseCondition,
  parseCount,
  parseExpiry,
  parseKey,
  parseMetric,
  parseNumber,
  parsePercent,
  parseRate,
  parseSeconds,
  parseSplit,
} from "./arguments.ts";

describe("a key", () => {
  it.each(["redis-readthrough", "a", "A.b_c-1"])("may be %s", (key) => expect(parseKey(key)).toBe(key));
  it.each(["", ".", "..", "a/b", "../x", "-a", "a b", "ä"])("may not be %j", (key) =>
    expect(() => parseKey(key)).toThrow(InvalidArgumentError),
  );
  it("comes alone, in lists, and again", () => {
    expect(collectKeys("c", collectKeys("a,b"))).toEqual(["a", "b", "c"]);
    expect(() => collectKeys("a,,b")).toThrow(InvalidArgumentError);
  });
});

describe("a percentage", () => {
  it.each([
    ["25", 25],
    ["0", 0],
    ["100", 100],
    ["0.125", 0.125],
    ["25%", 25],
  ])("%s", (text, percent) => expect(parsePercent(text)).toBe(percent));
  it.each(["", "-1", "101", "1e2", "0x10", "NaN", "25 percent", " 5"])("is not %j", (text) =>
    expect(() => parsePercent(text)).toThrow(InvalidArgumentError),
  );
});

describe("a split", () => {
  it("names variants and percentages", () => expect(parseSplit("on=25, off=75")).toEqual({ on: 25, off: 75 }));
  it.each(["on", "on=", "=25", "on=25,on=75", "on=x", "a/b=100"])("is not %j", (text) =>
    expect(() => parseSplit(text)).toThrow(InvalidArgumentError),
  );
});

describe("a wait", () => {
  it.each([
    ["10", 10],
    ["0.5", 0.5],
    ["0", 0],
  ])("of %s seconds", (text, seconds) => expect(parseSeconds(text)).toBe(seconds));
  it.each(["", "-1", "forever", "3601", "1m"])("is not %j", (text) =>
    expect(() => parseSeconds(text)).toThrow(InvalidArgumentError),
  );
});

it("a count is a whole number from 1 on", () => {
  expect(parseCount("50")).toBe(50);
  for (const text of ["0", "-1", "1.5", "x", ""]) expect(() => parseCount(text)).toThrow(InvalidArgumentError);
});

describe("an expiry", () => {
  const now = Date.UTC(2026, 0, 1);
  it.each([
    ["90d", "2026-04-01T00:00:00.000Z"],
    ["12h", "2026-01-01T12:00:00.000Z"],
    ["2027-01-31T01:00:00+01:00", "2027-01-31T00:00:00.000Z"],
  ])("%s", (text, instant) => expect(parseExpiry(text, now)).toBe(instant));
  it.each(["2027-01-31", "tomorrow", "1", "90", "2027-01-31T00:00:00", "99-99-99T00:00:00Z"])("is not %j", (text) =>
    expect(() => parseExpiry(text, now)).toThrow(InvalidArgumentError),
  );
});

describe("attributes", () => {
  it("are what they look like: text, numbers, booleans, JSON, and text in quotes", () => {
    const given = ["country=FR", "age=31", "beta=true", 'id="007"', 'roles=["a","b"]', "query=a=b", "empty="];
    const assignments = given.reduce<ReturnType<typeof collectAssignments>>(
      (all, text) => collectAssignments(text, all),
      [],
    );
    expect(attributesOf(assignments)).toEqual({
      country: "FR",
      age: 31,
      beta: true,
      id: "007",
      roles: ["a", "b"],
      query: "a=b",
      empty: "",
    });
  });

  it("have one value each", () => {
    expect(() =>
      attributesOf([
        { name: "a", value: "1" },
        { name: "a", value: "2" },
      ]),
    ).toThrow(InvalidArgumentError);
  });

  it("may be called __proto__ without becoming one", () => {
    const attributes = attributesOf([{ name: "__proto__", value: '{"admin":true}' }]);
    expect(Object.keys(attributes)).toEqual(["__proto__"]);
    expect((attributes as { admin?: unknown }).admin).toBeUndefined();
  });
});

describe("a condition", () => {
  it.each([
    ["country in FR,DE", { attribute: "country", op: "in", values: ["FR", "DE"] }],
    ["age greater 17", { attribute: "age", op: "greater", values: [17] }],
    ['age equals "17"', { attribute: "age", op: "equals", values: ["17"] }],
    ["beta equals true", { attribute: "beta", op: "equals", values: [true] }],
    ["plan exists", { attribute: "plan", op: "exists", values: [true] }],
    ["plan exists false", { attribute: "plan", op: "exists", values: [false] }],
    ["app semver_greater 1.20", { attribute: "app", op: "semver_greater", values: ["1.20"] }],
    ["path matches ^/a{1,3}/", { attribute: "path", op: "matches", values: ["^/a{1,3}/"] }],
    ["/address/city equals Paris", { attribute: "/address/city", op: "equals", values: ["Paris"] }],
    ["name equals Ada Lovelace", { attribute: "name", op: "equals", values: ["Ada Lovelace"] }],
    ['city in "Paris, France" , Lyon', { attribute: "city", op: "in", values: ["Paris, France", "Lyon"] }],
    ['city contains "a,b","c"', { attribute: "city", op: "contains", values: ["a,b", "c"] }],
    [String.raw`title equals "\",",x`, { attribute: "title", op: "equals", values: ['",', "x"] }],
    ['size in 5",7"', { attribute: "size", op: "in", values: ['5"', '7"'] }],
    ["segment:staff", { segment: "staff" }],
  ])("%s", (text, condition) => expect(parseCondition(text)).toEqual(condition));

  it.each([
    "",
    "country",
    "country is FR",
    "country in",
    "segment:",
    "segment:a/b",
    "country in FR,,DE",
    "country in FR,",
  ])("is not %j", (text) => expect(() => parseCondition(text)).toThrow(InvalidArgumentError));

  it("of a segment is not another segment", () => {
    expect(() => collectAttributeConditions("segment:staff")).toThrow(/nest/);
    expect(collectAttributeConditions("a equals b")).toHaveLength(1);
  });
});

describe("a share", () => {
  it.each([
    ["0.01", 0.01],
    [".5", 0.5],
    ["1%", 0.01],
    ["0", 0],
    ["1", 1],
  ])("%j is %d", (text, rate) => expect(parseRate(text)).toBe(rate));
  it.each(["", "2", "-0.1", "101%", "a", "0.1.2"])("is not %j", (text) =>
    expect(() => parseRate(text)).toThrow(InvalidArgumentError),
  );
});

it("percentages of stages come in lists, and again", () => {
  expect(collectPercents("50%,100", collectPercents("0.5"))).toEqual([0.5, 50, 100]);
  expect(() => collectPercents("1,,5")).toThrow(InvalidArgumentError);
});

it("a number is anything finite", () => {
  expect([parseNumber("-0.5"), parseNumber("1e3")]).toEqual([-0.5, 1000]);
  for (const text of ["", " ", "x", "Infinity", "NaN"]) expect(() => parseNumber(text)).toThrow(InvalidArgumentError);
});

it("a metric has the form that plans and SDKs take", () => {
  expect(parseMetric("lighthouse_score")).toBe("lighthouse_score");
  for (const text of ["", "Lighthouse", "a-b", "1a", "a/b"])
    expect(() => parseMetric(text)).toThrow(InvalidArgumentError);
});
