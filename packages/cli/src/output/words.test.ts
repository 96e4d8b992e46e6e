import { type AttributeCondition, OPERATORS } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import {
  conditionInWords,
  conditionsInWords,
  counted,
  formatAge,
  formatFigure,
  formatInstant,
  formatMs,
  formatPercent,
  formatRate,
  formatSpan,
  formatTime,
  formatValue,
} from "./words.ts";

const condition = (op: AttributeCondition["op"], ...values: AttributeCondition["values"]): AttributeCondition => ({
  attribute: "country",
  op,
  values,
});

describe("a condition in words", () => {
  it.each([
    [condition("in", "FR", "DE"), "country is one of FR, DE"],
    [condition("equals", "FR", "DE"), "country is FR or DE"],
    [condition("greater_or_equal", 18), "country is at least 18"],
    [condition("equals", "18"), 'country is "18"'],
    [condition("equals", "two words"), 'country is "two words"'],
    [condition("exists", true), "country is present"],
    [condition("exists", false), "country is absent"],
    [condition("in", "a", "b", "c", "d", "e", "f", "g"), "country is one of a, b, c, d, e and 2 more"],
  ])("%j", (given, words) => expect(conditionInWords(given)).toBe(words));

  it("exists for every operator, each in other words", () => {
    const words = OPERATORS.map((op) => conditionInWords(condition(op, "x")));
    expect(words.join()).not.toContain("undefined");
    expect(new Set(words).size).toBe(OPERATORS.length);
  });

  it("joins with and, because all must hold; none is everyone", () => {
    expect(conditionsInWords([condition("equals", "FR"), condition("exists", true)])).toBe(
      "country is FR and country is present",
    );
    expect(conditionsInWords([])).toBe("everyone");
  });
});

it.each([
  [0.04, "0.04 ms"],
  [0.44, "0.4 ms"],
  [9.94, "9.9 ms"],
  [31.4, "31 ms"],
  [1240, "1240 ms"],
])("%d ms is written %s", (ms, text) => expect(formatMs(ms)).toBe(text));

it.each([
  [25, "25 %"],
  [0.001, "0.001 %"],
  [66.7, "66.7 %"],
  [0.1 + 0.2, "0.3 %"],
])("%d is written %s", (percent, text) => expect(formatPercent(percent)).toBe(text));

it.each([
  [1, "1 instance"],
  [0, "0 instances"],
  [2413, "2,413 instances"],
])("%d is counted as %s", (count, text) => expect(counted(count, "instance")).toBe(text));

it("instants are in UTC, to the second", () =>
  expect(formatInstant("2026-01-31T08:30:00.123Z")).toBe("2026-01-31 08:30:00"));

it.each([
  ["2026-01-31T12:00:00.000Z", "0 s ago"],
  ["2026-01-31T11:59:01.000Z", "59 s ago"],
  ["2026-01-31T11:00:01.000Z", "59 min ago"],
  ["2026-01-30T12:00:01.000Z", "23 h ago"],
  ["2026-01-01T12:00:00.000Z", "30 d ago"],
  ["2026-01-31T12:00:05.000Z", "0 s ago"],
])("%s was %s", (instant, text) => expect(formatAge(instant, Date.UTC(2026, 0, 31, 12))).toBe(text));

it("a long value is cut to one line", () => {
  expect(formatValue({ a: "b" })).toBe('{"a":"b"}');
  expect(formatValue("x".repeat(100), 10)).toBe('"xxxxxxxx…');
});

it("figures have three digits that say something, and no exponent", () => {
  expect([0, 1234.5, 12.345, 0.012345, -3.14159, 1e-7].map(formatFigure)).toEqual([
    "0",
    "1235",
    "12.3",
    "0.0123",
    "-3.14",
    "0.0000001",
  ]);
  expect([0.0125, 0.00031, 1].map(formatRate)).toEqual(["1.25 %", "0.031 %", "100 %"]);
});

it("lengths of time have at most two units", () => {
  expect([0, 45, 60, 90, 3600, 9000, 86_400, 100_000].map(formatSpan)).toEqual([
    "0 s",
    "45 s",
    "1 min",
    "1 min 30 s",
    "1 h",
    "2 h 30 min",
    "1 d",
    "1 d 3 h",
  ]);
});

it("a time without its day is that of the instant", () => {
  expect(formatTime("2026-01-31T08:30:00.123Z")).toBe("08:30:00");
});
