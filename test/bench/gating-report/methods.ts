import { HARM, RelativeTest } from "@bunting/gating";
import { type ErrorInterval, GROUPS } from "./error-traffic.ts";

/*
 * Ways to decide, from error counts alone, that a canary is worse than its control. Each looks at every interval and says at
 * most once "roll back". The others are re-implementations of what is published, with their own defaults:
 *
 * - Flagger (fluxcd/flagger, pkg/controller/scheduler.go): once a minute, the last minute's error rate above 1 %; the fifth
 *   failed check ends the canary.
 * - Argo Rollouts (argoproj/argo-rollouts, analysis/analysis.go): the same measurement; more than `failureLimit` 3 failures.
 * - A two-proportion z-test at 5 %, one-sided, repeated at every look, as dashboards invite people to do.
 * - Kayenta (spinnaker/kayenta, MannWhitneyClassifier): every ten minutes, Mann-Whitney on minute points, confidence 98 %,
 *   the lower end of the interval beyond a quarter of the Hodges-Lehmann shift.
 * - mSPRT (Johari, Koomen, Pekelis, Walsh, KDD 2017): normal mixture with the base rate as its width, at 5 %, given the
 *   variance between groups of users, which favours it.
 */

export interface Method {
  readonly name: string;
  create(baseRate: number): Watcher;
}

export interface Watcher {
  /** @returns whether it rolls back after this interval */
  look(interval: ErrorInterval, index: number): boolean;
}

export const METHODS: readonly Method[] = [
  { name: "fixed threshold (Flagger)", create: () => createThreshold(5) },
  { name: "failure limit (Argo)", create: () => createThreshold(4) },
  { name: "repeated z-test .05", create: createRepeatedTest },
  { name: "Mann-Whitney (Kayenta)", create: createMannWhitney },
  { name: "mSPRT .05", create: createMixtureTest },
  { name: "Bunting .05", create: () => createOurs(0.05) },
  { name: "Bunting .01", create: () => createOurs(0.01) },
];

export function createOurs(falseAlarmBudget: number): Watcher {
  const bar = Math.log(1 / falseAlarmBudget);
  const test = new RelativeTest({ grid: HARM, nullRateRatio: 1 });
  return {
    look(interval, index) {
      if (index > 0 && index % 30 === 0) test.checkpoint();
      test.add({
        canaryExposureCount: interval.canaryExposureCount,
        canaryEventCount: interval.canaryUnitErrorCount,
        controlExposureCount: interval.controlExposureCount,
        controlEventCount: interval.controlUnitErrorCount,
        canaryGroupEvents: interval.canaryGroupUnitErrors,
        controlGroupExposures: interval.controlGroupExposures,
        controlGroupEvents: interval.controlGroupUnitErrors,
      });
      return test.logEvidence() >= bar;
    },
  };
}

function createThreshold(failedChecks: number): Watcher {
  let exposureCount = 0;
  let errorCount = 0;
  let failed = 0;
  return {
    look(interval, index) {
      exposureCount += interval.canaryExposureCount;
      errorCount += interval.canaryErrorCount;
      if ((index + 1) % 6 !== 0) return false;
      if (exposureCount > 0 && errorCount / exposureCount > 0.01) failed += 1;
      exposureCount = 0;
      errorCount = 0;
      return failed >= failedChecks;
    },
  };
}

interface Totals {
  nT: number;
  eT: number;
  nC: number;
  eC: number;
}

const addTo = (totals: Totals, interval: ErrorInterval): void => {
  totals.nT += interval.canaryExposureCount;
  totals.eT += interval.canaryErrorCount;
  totals.nC += interval.controlExposureCount;
  totals.eC += interval.controlErrorCount;
};

function createRepeatedTest(): Watcher {
  const totals = { nT: 0, eT: 0, nC: 0, eC: 0 };
  return {
    look(interval) {
      addTo(totals, interval);
      const { nT, eT, nC, eC } = totals;
      if (nT === 0 || nC === 0 || eT + eC === 0) return false;
      const pooled = (eT + eC) / (nT + nC);
      const error = Math.sqrt(pooled * (1 - pooled) * (1 / nT + 1 / nC));
      return error > 0 && (eT / nT - eC / nC) / error > 1.6449;
    },
  };
}

function createMixtureTest(baseRate: number): Watcher {
  const totals = { nT: 0, eT: 0, nC: 0, eC: 0 };
  const exposures = new Float64Array(GROUPS);
  const errors = new Float64Array(GROUPS);
  return {
    look(interval) {
      addTo(totals, interval);
      for (let group = 0; group < GROUPS; group += 1) {
        exposures[group] = (exposures[group] ?? 0) + (interval.controlGroupExposures[group] ?? 0);
        errors[group] = (errors[group] ?? 0) + (interval.controlGroupErrors[group] ?? 0);
      }
      const { nT, eT, nC, eC } = totals;
      if (nT === 0 || nC === 0 || eT + eC === 0) return false;
      const pooled = (eT + eC) / (nT + nC);
      const variance = dispersionOf(exposures, errors) * pooled * (1 - pooled) * (1 / nT + 1 / nC);
      const difference = eT / nT - eC / nC;
      if (difference <= 0) return false;
      const width = baseRate ** 2;
      const logRatio =
        0.5 * Math.log(variance / (variance + width)) + (width * difference ** 2) / (2 * variance * (variance + width));
      return logRatio >= Math.log(1 / 0.05);
    },
  };
}

function dispersionOf(exposures: Float64Array, errors: Float64Array): number {
  let exposureCount = 0;
  let errorCount = 0;
  for (let group = 0; group < GROUPS; group += 1) {
    exposureCount += exposures[group] ?? 0;
    errorCount += errors[group] ?? 0;
  }
  if (errorCount === 0) return 1;
  const rate = errorCount / exposureCount;
  let statistic = 0;
  for (let group = 0; group < GROUPS; group += 1) {
    const expected = (exposures[group] ?? 0) * rate;
    if (expected > 0) statistic += ((errors[group] ?? 0) - expected) ** 2 / expected;
  }
  return Math.max(1, statistic / (GROUPS - 1));
}

function createMannWhitney(): Watcher {
  const canary: number[] = [];
  const control: number[] = [];
  let minute = { nT: 0, eT: 0, nC: 0, eC: 0 };
  return {
    look(interval, index) {
      addTo(minute, interval);
      if ((index + 1) % 6 !== 0) return false;
      if (minute.nT > 0) canary.push(minute.eT / minute.nT);
      if (minute.nC > 0) control.push(minute.eC / minute.nC);
      minute = { nT: 0, eT: 0, nC: 0, eC: 0 };
      if ((index + 1) % 60 !== 0 || canary.length < 2 || control.length < 2) return false;
      const differences = canary.flatMap((a) => control.map((b) => a - b)).sort((a, b) => a - b);
      const pairs = differences.length;
      const shift = differences[Math.floor(pairs / 2)] ?? 0;
      const spread = Math.sqrt((pairs * (canary.length + control.length + 1)) / 12);
      const rank = Math.max(0, Math.floor(pairs / 2 - 2.3263 * spread));
      const low = differences[rank] ?? 0;
      return shift > 0 && low > 0.25 * shift;
    },
  };
}
