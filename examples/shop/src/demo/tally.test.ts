import { describe, expect, it } from "vitest";
import { add, agrees, EMPTY, expressShare } from "./tally.ts";

it("counts what customers got", () => {
  const outcomes = ["express", "classic", "failed", "express", "classic"] as const;
  const tally = outcomes.reduce(add, EMPTY);
  expect(tally).toEqual({ checkouts: 4, express: 2, failed: 1 });
  expect(expressShare(tally)).toBe(0.5);
  expect(expressShare(EMPTY)).toBe(0);
});

describe("observed and configured", () => {
  it("agree within the noise of so many checkouts", () => {
    expect(agrees({ checkouts: 10_000, express: 1_080, failed: 0 }, 0.1)).toBe(true);
    expect(agrees({ checkouts: 10_000, express: 1_200, failed: 0 }, 0.1)).toBe(false);
    expect(agrees({ checkouts: 100, express: 3, failed: 0 }, 0.01)).toBe(true);
  });

  it("agree exactly at 0 % and at 100 %", () => {
    expect(agrees({ checkouts: 1000, express: 0, failed: 0 }, 0)).toBe(true);
    expect(agrees({ checkouts: 1000, express: 1, failed: 0 }, 0)).toBe(false);
    expect(agrees({ checkouts: 1000, express: 999, failed: 0 }, 1)).toBe(false);
  });
});
