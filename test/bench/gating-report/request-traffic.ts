import { LATENCY_LADDER_MS } from "@bunting/contracts/literals";
import { type ArmEvidence, binIndex, type EvidenceInterval } from "@bunting/gating";
import { GROUPS, INTERVALS_PER_HOUR, sharedDrift } from "./error-traffic.ts";
import type { Random } from "./random.ts";

/*
 * Requests one by one, as an SDK would count them: users with their own speed and luck, a slow mode, a shared slow-down,
 * conversions, errors in bursts. Slower to simulate than counts, and everything that a rollout looks at.
 */

export interface RequestSetting {
  readonly requestsPerSecond: number;
  readonly requestsPerUserAndHour: number;
  readonly intervalCount: number;
  /** The base error rate triples over the first hour, for both arms alike. */
  readonly rising: boolean;
  /** Of the canary, from `regressionFrom` on. */
  readonly errorFactor: number;
  readonly latencyFactor: number;
  /** Share of requests in the slow mode; the control's is .005. */
  readonly slowModeRate: number;
  readonly conversionFactor: number;
  /** Share of the canary's requests of which nothing is heard: neither that they came nor what became of them. */
  readonly lostRate: number;
  readonly regressionFrom: number;
}

export const NO_REGRESSION: Omit<RequestSetting, "requestsPerSecond" | "intervalCount" | "requestsPerUserAndHour"> = {
  rising: false,
  errorFactor: 1,
  latencyFactor: 1,
  slowModeRate: 0.005,
  conversionFactor: 1,
  lostRate: 0,
  regressionFrom: 0,
};

const BASE_ERROR_RATE = 0.005;
const CONVERSION_RATE = 0.04;
const MEDIAN_MS = 80;
const SIGMA_WITHIN = 0.5;
const SIGMA_BETWEEN = 0.22;
const CONTROL_SLOW_MODE_RATE = 0.005;
const SLOW_MODE_FACTOR = 6;
const BURST = 3;
const LEAST_PICKS = 1 << 16;
/** With fewer, many of a busy service's users would get none. */
const PICKS_PER_USER = 6;
const NORMAL_TABLE = 1 << 12;

/** Draws one interval at a share that may change from one to the next: users keep their place, so a rising share adds users. */
export function createRequestTraffic(
  setting: RequestSetting,
  random: Random,
): (index: number, stage: number, shareRate: number) => EvidenceInterval {
  const userCount = Math.round((setting.requestsPerSecond * 3600) / setting.requestsPerUserAndHour);
  const users = createUsers(userCount, random);
  const errorDrift = sharedDrift(random, setting.intervalCount);
  const slowness = latencyDrift(random, setting.intervalCount);
  const normals = Float64Array.from({ length: NORMAL_TABLE }, () => random.normal());
  const trafficPhase = 2 * Math.PI * random.uniform();
  const logLadder = LATENCY_LADDER_MS.map(Math.log);
  const binOf = (logMs: number): number => binIndex(Math.exp(logMs));
  const seen = new Int32Array(userCount).fill(-1);
  const failed = new Int32Array(userCount).fill(-1);
  const converted = new Int32Array(userCount).fill(-1);

  return (index, stage, shareRate) => {
    const canary = emptyArm();
    const control = emptyArm();
    const wave = 1 + 0.3 * Math.sin((2 * Math.PI * index) / INTERVALS_PER_HOUR + trafficPhase);
    const requestCount = random.poisson(setting.requestsPerSecond * 10 * wave);
    const rise = setting.rising ? 1 + 2 * Math.min(1, index / INTERVALS_PER_HOUR) : 1;
    const regressed = index >= setting.regressionFrom;
    for (let request = 0; request < requestCount; request += 1) {
      const user = users.pick[random.below(users.pick.length)] ?? 0;
      const isCanary = (users.place[user] ?? 0) < shareRate;
      const harmed = isCanary && regressed;
      if (harmed && setting.lostRate > 0 && random.uniform() < setting.lostRate) continue;
      const arm = isCanary ? canary : control;
      const group = users.group[user] ?? 0;
      if (seen[user] !== index) {
        seen[user] = index;
        arm.unitCount += 1;
        bump(arm.groups.unitCount, group);
        const rate = CONVERSION_RATE * (users.eager[user] ?? 1) * (harmed ? setting.conversionFactor : 1);
        if (random.uniform() < rate && converted[user] !== index) {
          converted[user] = index;
          arm.conversionCount += 1;
          bump(arm.groupConversions, group);
        }
      }
      const errorRate =
        BASE_ERROR_RATE *
        (errorDrift[index] ?? 1) *
        rise *
        (users.unlucky[user] ?? 1) *
        (harmed ? setting.errorFactor : 1);
      const burst = random.uniform() < errorRate / BURST ? random.geometric(BURST) : 0;
      const outcomes = Math.max(1, burst);
      arm.exposureCount += outcomes;
      arm.outcomeCount += outcomes;
      bump(arm.groups.outcomeCount, group, outcomes);
      if (burst > 0) {
        arm.errorCount += burst;
        bump(arm.groups.errorCount, group, burst);
        if (failed[user] !== index) {
          failed[user] = index;
          arm.unitErrorCount += 1;
          bump(arm.groups.unitErrorCount, group);
        }
      }
      for (let outcome = 0; outcome < outcomes; outcome += 1) {
        let logMs =
          Math.log(MEDIAN_MS) +
          (users.speed[user] ?? 0) +
          SIGMA_WITHIN * (normals[random.below(NORMAL_TABLE)] ?? 0) +
          (slowness[index] ?? 0);
        if (random.uniform() < (harmed ? setting.slowModeRate : CONTROL_SLOW_MODE_RATE))
          logMs += Math.log(SLOW_MODE_FACTOR);
        if (harmed) logMs += Math.log(setting.latencyFactor);
        const bin = binOf(logMs);
        arm.sketch.set(bin, (arm.sketch.get(bin) ?? 0) + 1);
        for (let rung = 0; rung < logLadder.length && logMs > (logLadder[rung] ?? 0); rung += 1) {
          bump(arm.ladder, group * logLadder.length + rung);
        }
      }
    }
    return { interval: index, stage, canary: finished(canary), control: finished(control) };
  };
}

export interface Users {
  readonly pick: Int32Array;
  /** In [0, 1): who gets the canary at a share above it. */
  readonly place: Float64Array;
  readonly group: Uint8Array;
  readonly unlucky: Float64Array;
  readonly eager: Float64Array;
  readonly speed: Float64Array;
}

export function createUsers(userCount: number, random: Random): Users {
  const pickCount = Math.max(LEAST_PICKS, PICKS_PER_USER * userCount);
  const users = {
    pick: new Int32Array(pickCount),
    place: new Float64Array(userCount),
    group: new Uint8Array(userCount),
    unlucky: new Float64Array(userCount),
    eager: new Float64Array(userCount),
    speed: new Float64Array(userCount),
  };
  const cumulative = new Float64Array(userCount);
  let activity = 0;
  for (let user = 0; user < userCount; user += 1) {
    activity += random.gamma(1);
    cumulative[user] = activity;
    users.place[user] = random.uniform();
    users.group[user] = random.below(GROUPS);
    users.unlucky[user] = Math.min(120, random.gamma(0.3) / 0.3);
    users.eager[user] = Math.min(10, random.gamma(1));
    users.speed[user] = SIGMA_BETWEEN * random.normal();
  }
  // A table of users in proportion to how busy they are, so that drawing one takes one number.
  let user = 0;
  for (let slot = 0; slot < pickCount; slot += 1) {
    while (user < userCount - 1 && (cumulative[user] ?? 0) < ((slot + 0.5) / pickCount) * activity) user += 1;
    users.pick[slot] = user;
  }
  return users;
}

/** Both arms alike: a wander of some 15 %, and in half of the runs an incident of two minutes, 60 % slower. */
function latencyDrift(random: Random, intervalCount: number): Float64Array {
  const drift = new Float64Array(intervalCount);
  const incidentAt = random.uniform() < 0.5 ? random.below(intervalCount) : Number.POSITIVE_INFINITY;
  let wander = 0;
  for (let index = 0; index < intervalCount; index += 1) {
    wander = 0.95 * wander + 0.02 * random.normal();
    const incident = index >= incidentAt && index < incidentAt + 12 ? Math.log(1.6) : 0;
    drift[index] = wander + 0.15 * Math.sin((2 * Math.PI * index) / INTERVALS_PER_HOUR) + incident;
  }
  return drift;
}

export const emptyArm = () => ({
  exposureCount: 0,
  unitCount: 0,
  outcomeCount: 0,
  errorCount: 0,
  unitErrorCount: 0,
  conversionCount: 0,
  groups: {
    unitCount: new Float64Array(GROUPS),
    outcomeCount: new Float64Array(GROUPS),
    errorCount: new Float64Array(GROUPS),
    unitErrorCount: new Float64Array(GROUPS),
  },
  groupConversions: new Float64Array(GROUPS),
  sketch: new Map<number, number>(),
  ladder: new Float64Array(GROUPS * LATENCY_LADDER_MS.length),
});

export function finished({
  conversionCount,
  groupConversions,
  ...arm
}: ReturnType<typeof emptyArm>): ArmEvidence | null {
  if (arm.exposureCount === 0) return null;
  const conversion = {
    eventCount: conversionCount,
    unitEventCount: conversionCount,
    sum: 0,
    sumOfSquares: 0,
    groupUnitEventCount: groupConversions,
  };
  return { ...arm, metrics: new Map([["conversion", conversion]]) };
}

export function bump(counts: Float64Array, index: number, by = 1): void {
  counts[index] = (counts[index] ?? 0) + by;
}
