import { describe, expect, it } from "vitest";
import { isGrossFailure } from "./gross-failure.ts";

const failing = (canaryEventCount: number, canary: number, controlEventCount: number, control: number): boolean =>
  isGrossFailure({
    canaryExposureCount: canary,
    canaryEventCount,
    controlExposureCount: control,
    controlEventCount,
  });

describe("GA-22 a gross failure needs no patience", () => {
  it.each([
    ["20 of 20 failing", failing(20, 20, 5, 1980), true],
    ["19 of 19 failing", failing(19, 19, 5, 1980), false],
    ["everything failing in both arms", failing(500, 500, 2000, 2000), false],
    ["less than a tenth failing", failing(99, 1000, 0, 9000), false],
    ["a canary less than five times as bad", failing(200, 1000, 400, 9000), false],
    ["a canary ten times as bad", failing(500, 1000, 450, 9000), true],
    ["a control that says nothing", failing(30, 30, 0, 0), false],
    ["nothing at all", failing(0, 0, 0, 0), false],
  ])("%s: %s", (_, actual, expected) => {
    expect(actual).toBe(expected);
  });
});
