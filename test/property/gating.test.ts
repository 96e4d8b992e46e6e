import { describe, expect, it } from "vitest";
import type { ErrorSetting } from "../bench/gating-report/error-traffic.ts";
import { LOSSES, runErrors, runLoss, runProof } from "../bench/gating-report/experiments.ts";
import { METHODS } from "../bench/gating-report/methods.ts";

/*
 * The gating report in small: enough runs to see that the statistics have not changed for the worse, on every change.
 */

const SEED = "gating-in-small";
const RUNS = 300;
const OURS = METHODS.findIndex(({ name }) => name === "Bunting .05");

const realistic: ErrorSetting = {
  model: "both",
  requestsPerSecond: 100,
  shareRate: 0.05,
  baseRate: 0.005,
  regression: 1,
  regressionFrom: 0,
  propensityShape: 0.3,
};

const shareOf = (run: (seed: string) => number | null | undefined, runs = RUNS): number => {
  const ends = Array.from({ length: runs }, (_, index) => run(`${SEED}/${index}`));
  return ends.filter((seconds) => typeof seconds === "number").length / runs;
};

describe(`GA-41 an hour of realistic traffic, ${RUNS} times, seed ${SEED}`, () => {
  it("rolls back at most 2 % without a regression at a budget of .05", () => {
    expect(shareOf((seed) => runErrors(realistic, seed)[OURS])).toBeLessThanOrEqual(0.02);
  });

  it("rolls back at least 97 % with four times the errors", () => {
    expect(shareOf((seed) => runErrors({ ...realistic, regression: 4 }, seed)[OURS])).toBeGreaterThanOrEqual(0.97);
  });

  it("proves non-inferiority of a canary at the margin in at most 5 %, of an equal one in most", () => {
    const setting = { ...realistic, margin: 2 };
    expect(shareOf((seed) => runProof({ ...setting, regression: 2 }, seed)[0])).toBeLessThanOrEqual(0.05);
    expect(shareOf((seed) => runProof(setting, seed)[0])).toBeGreaterThanOrEqual(0.5);
  });

  it("keeps to that budget where few users with very different luck meet a wide margin", () => {
    const setting: ErrorSetting = { ...realistic, model: "users", shareRate: 0.01, regression: 6 };
    // 2.7 %, and 5.8 % if the margin multiplied the estimated dispersion alone: twice the runs to tell them apart.
    expect(shareOf((seed) => runProof({ ...setting, margin: 6 }, seed)[0], 2 * RUNS)).toBeLessThanOrEqual(0.05);
    expect(shareOf((seed) => runProof({ ...setting, regression: 1, margin: 6 }, seed)[0])).toBeGreaterThanOrEqual(0.7);
  });
});

describe(`GA-21 an hour of which 15 % of the canary's telemetry is lost, seed ${SEED}`, () => {
  it("raises an alarm if there are many users, and none for the same hour with nothing lost", () => {
    const setting = { requestsPerSecond: 1000, requestsPerUserAndHour: 72, shareRate: 0.25, lostRate: 0.15 };
    const hours = Array.from({ length: 5 }, (_, index) => runLoss(setting, `${SEED}/${index}`));
    const alarms = LOSSES.map((_, loss) => hours.filter((seconds) => typeof seconds[loss] === "number").length);
    expect(alarms).toEqual([0, 5]);
  });
});
