import { describe, expect, it } from "vitest";
import { countInSecond, takeToken } from "./rate.ts";

describe("ST-58 messages are counted by the second", () => {
  it("lets exactly the limit through, and begins anew a second later", () => {
    const window = { startedAt: -Infinity, count: 0 };
    const heard = Array.from({ length: 51 }, (_, index) => countInSecond(window, 50, 1_000 + index));
    expect(heard.filter(Boolean)).toHaveLength(50);
    expect(heard[50]).toBe(false);
    expect(countInSecond(window, 50, 1_999)).toBe(false);
    expect(countInSecond(window, 50, 2_000)).toBe(true);
  });
});

describe("TE-11 batches are taken one a second, five at once", () => {
  it("says how long to wait for the sixth", () => {
    const bucket = { tokens: 5, filledAt: 0 };
    expect(Array.from({ length: 6 }, () => takeToken(bucket, 5, 1_000, 0))).toEqual([0, 0, 0, 0, 0, 1_000]);
    expect(takeToken(bucket, 5, 1_000, 400)).toBe(600);
    expect(takeToken(bucket, 5, 1_000, 1_000)).toBe(0);
  });

  it("never holds more than its capacity", () => {
    const bucket = { tokens: 5, filledAt: 0 };
    const taken = Array.from({ length: 10 }, () => takeToken(bucket, 5, 1_000, 1_000_000));
    expect(taken.filter((waitMs) => waitMs === 0)).toHaveLength(5);
  });
});
