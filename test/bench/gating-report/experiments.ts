import { rolloutPlan } from "@bunting/contracts";
import {
  AttemptStatistics,
  ControlHistory,
  type Judgement,
  judgeStatistics,
  LatencyComparison,
  NON_INFERIOR,
  RelativeTest,
  shiftBinCount,
} from "@bunting/gating";
import { createErrorTraffic, type ErrorInterval, type ErrorSetting, INTERVALS_PER_HOUR } from "./error-traffic.ts";
import { createExposureTraffic, type ExposureSetting } from "./exposure-traffic.ts";
import { METHODS, type Watcher } from "./methods.ts";
import { Random } from "./random.ts";
import { createRequestTraffic, type RequestSetting } from "./request-traffic.ts";

/*
 * One run each of what the report tables. All are functions of a seed and a setting, so runs can be spread over processes.
 */

/** Seconds until each method rolled back, in the order of {@link METHODS}; null: not within the hour. */
export function runErrors(setting: ErrorSetting, seed: string): (number | null)[] {
  const traffic = createErrorTraffic(setting, new Random(seed));
  const watchers = METHODS.map((method) => method.create(setting.baseRate));
  const fired: (number | null)[] = watchers.map(() => null);
  for (let index = 0; index < INTERVALS_PER_HOUR && fired.includes(null); index += 1) {
    const interval = traffic(index);
    for (const [method, watcher] of watchers.entries()) {
      if (fired[method] === null && watcher.look(interval, index)) fired[method] = (index + 1) * 10;
    }
  }
  // Times of late regressions count from their start; earlier alarms are false.
  const from = setting.regressionFrom * 10;
  return fired.map((seconds) => (seconds === null ? null : seconds - from));
}

/** Seconds until non-inferiority is proven against a margin; null: not within the hour. */
export function runProof(setting: ErrorSetting & { readonly margin: number }, seed: string): (number | null)[] {
  const traffic = createErrorTraffic(setting, new Random(seed));
  const test = new RelativeTest({ grid: NON_INFERIOR, nullRateRatio: setting.margin });
  for (let index = 0; index < INTERVALS_PER_HOUR; index += 1) {
    test.add(eventsOf(traffic(index)));
    if (test.nonInferiorityLogEvidence() >= Math.log(20)) return [(index + 1) * 10];
  }
  return [null];
}

const eventsOf = (interval: ErrorInterval): Parameters<RelativeTest["add"]>[0] => ({
  canaryExposureCount: interval.canaryExposureCount,
  canaryEventCount: interval.canaryUnitErrorCount,
  controlExposureCount: interval.controlExposureCount,
  controlEventCount: interval.controlUnitErrorCount,
  canaryGroupEvents: interval.canaryGroupUnitErrors,
  controlGroupExposures: interval.controlGroupExposures,
  controlGroupEvents: interval.controlGroupUnitErrors,
});

export const LATENCY_METHODS = ["0 %, .05", "0 %, .01", "10 %, .01", "25 %, .01"] as const;

export interface LatencySetting extends RequestSetting {
  readonly shareRate: number;
}

/** Seconds until a tolerance is refuted, in the order of {@link LATENCY_METHODS}. */
export function runLatency(setting: LatencySetting, seed: string): (number | null)[] {
  const traffic = createRequestTraffic(setting, new Random(seed));
  const tolerances = [0, 0.1, 0.25].map((rate) => new LatencyComparison("latency_p99", shiftBinCount(rate)));
  const fired: (number | null)[] = LATENCY_METHODS.map(() => null);
  const history = new ControlHistory();
  for (let index = 0; index < setting.intervalCount && fired.includes(null); index += 1) {
    const interval = traffic(index, 0, setting.shareRate);
    const evidence = tolerances.map((comparison) => {
      if (index > 0 && index % 30 === 0) comparison.checkpoint();
      comparison.add(interval, history, true);
      return comparison.logEvidence();
    });
    if (interval.control !== null) history.add(index, interval.control.sketch);
    const [none = 0, tenth = 0, quarter = 0] = evidence;
    const reached = [none >= Math.log(20), none >= Math.log(100), tenth >= Math.log(100), quarter >= Math.log(100)];
    for (const [method, now] of reached.entries()) if (now) fired[method] ??= (index + 1) * 10;
  }
  return fired;
}

const PLAN = rolloutPlan.parse({
  canary: "on",
  control: "off",
  stages: [1, 5, 25, 50, 100].map((percent) => ({ percent })),
  guardrails: [
    { metric: "error_rate", worseThanControl: true },
    { metric: "latency_p99", maxIncreasePercent: 25 },
    { metric: "conversion", kind: "ratio", minPercentOfControl: 90 },
  ],
  autoPromote: true,
});

export type RolloutEnd = readonly [
  end: "rolled_back" | "completed" | "undecided",
  seconds: number,
  excessErrors: number,
  /** Until the first alarm that traffic is not split as configured; null: none, or nobody who would raise one. */
  mismatchSeconds: number | null,
];

/** A whole rollout under the default plan, looked at every ten seconds, promoted as its evidence allows. */
export function runRollout(setting: RequestSetting, seed: string): RolloutEnd {
  const traffic = createRequestTraffic(setting, new Random(seed));
  const statistics = new AttemptStatistics(PLAN);
  const breakers = { openInstanceCount: 0, canaryInstanceCount: 4 };
  let stage = 0;
  let stageStartedAt = 0;
  let excessErrors = 0;
  let mismatchSeconds: number | null = null;
  for (let index = 0; index < setting.intervalCount; index += 1) {
    const interval = traffic(index, stage, (PLAN.stages[stage]?.percent ?? 0) / 100);
    statistics.add(interval);
    if (index >= setting.regressionFrom) {
      excessErrors += ((interval.canary?.errorCount ?? 0) * (setting.errorFactor - 1)) / setting.errorFactor;
    }
    const now = (index + 2) * 10_000;
    const inputs = { plan: PLAN, stage, stageStartedAt, samples: new Map(), breakers, failingSince: new Map(), now };
    const judgement = judgeStatistics(statistics, { ...inputs, intervals: [interval] });
    const { verdict } = judgement;
    const seconds = (index + 1) * 10;
    if (isMismatch(judgement)) mismatchSeconds ??= seconds;
    if (verdict === "fail") return ["rolled_back", seconds, excessErrors, mismatchSeconds];
    if (verdict !== "pass") continue;
    stage += 1;
    stageStartedAt = now;
    if (stage === PLAN.stages.length - 1) return ["completed", seconds, excessErrors, mismatchSeconds];
  }
  return ["undecided", setting.intervalCount * 10, excessErrors, mismatchSeconds];
}

const isMismatch = ({ findings }: Judgement): boolean =>
  findings.some(({ cause }) => cause === "sample_ratio_mismatch");

export const LOSSES = ["nothing lost", "15 % of the canary's lost"] as const;

/** Seconds until the alarm about the split at one share, with everything heard of and with a part lost, as in {@link LOSSES}. */
export function runLoss(setting: ExposureSetting, seed: string): (number | null)[] {
  const traffic = createExposureTraffic(setting, new Random(seed));
  const plan = rolloutPlan.parse({
    canary: "on",
    control: "off",
    stages: [setting.shareRate * 100, 100].map((percent) => ({ percent })),
    guardrails: [{ metric: "error_rate", worseThanControl: true }],
  });
  const statistics = LOSSES.map(() => new AttemptStatistics(plan));
  const fired: (number | null)[] = LOSSES.map(() => null);
  for (let index = 0; index < INTERVALS_PER_HOUR && fired.includes(null); index += 1) {
    const { whole, lossy } = traffic(index);
    for (const [loss, interval] of [whole, lossy].entries()) {
      const kept = statistics[loss];
      kept?.add(interval);
      // GA-21. A whole look would say the same of the split, and takes most of its time for the guardrails.
      const evidence = kept?.enter(0).sampleRatio.logEvidence() ?? 0;
      if (evidence >= Math.log(1000)) fired[loss] ??= (index + 1) * 10;
    }
  }
  return fired;
}

/** Methods that know errors only, on a schedule of fifteen minutes per stage, in the order of {@link METHODS}. */
export function runSchedule(setting: RequestSetting, seed: string): RolloutEnd[] {
  const traffic = createRequestTraffic(setting, new Random(seed));
  const peers = METHODS.filter(({ name }) => !name.startsWith("Bunting"));
  const watchers: Watcher[] = peers.map((method) => method.create(0.005));
  const ends: (RolloutEnd | null)[] = watchers.map(() => null);
  let excessErrors = 0;
  for (let index = 0; index < INTERVALS_PER_HOUR && ends.includes(null); index += 1) {
    const { canary, control } = traffic(index, 0, [0.01, 0.05, 0.25, 0.5][Math.floor(index / 90)] ?? 0.5);
    if (index >= setting.regressionFrom) {
      excessErrors += ((canary?.errorCount ?? 0) * (setting.errorFactor - 1)) / setting.errorFactor;
    }
    const none = new Float64Array(0);
    const interval: ErrorInterval = {
      canaryExposureCount: canary?.outcomeCount ?? 0,
      controlExposureCount: control?.outcomeCount ?? 0,
      canaryErrorCount: canary?.errorCount ?? 0,
      controlErrorCount: control?.errorCount ?? 0,
      canaryUnitErrorCount: canary?.unitErrorCount ?? 0,
      controlUnitErrorCount: control?.unitErrorCount ?? 0,
      canaryGroupUnitErrors: none,
      controlGroupUnitErrors: none,
      canaryGroupErrors: canary?.groups.errorCount ?? none,
      controlGroupErrors: control?.groups.errorCount ?? none,
      canaryGroupExposures: canary?.groups.outcomeCount ?? none,
      controlGroupExposures: control?.groups.outcomeCount ?? none,
    };
    for (const [peer, watcher] of watchers.entries()) {
      if (ends[peer] === null && watcher.look(interval, index)) {
        ends[peer] = ["rolled_back", (index + 1) * 10, excessErrors, null];
      }
    }
  }
  return ends.map((end) => end ?? ["completed", 3600, excessErrors, null]);
}
