import { Random } from "./random.ts";

/*
 * An hour of requests with a canary beside a control, as counts per ten seconds. Errors come in clusters, users differ in how
 * busy and how unlucky they are, the base rate drifts for both arms alike, and in half of the runs a shared incident multiplies
 * it for two minutes: what a comparison must not take for a regression.
 */

export const INTERVALS_PER_HOUR = 360;
export const GROUPS = 32;

/** `iid`: independent errors. `burst`: clusters of three. `users`: some are unlucky. `both`: the realistic one. */
export type TrafficModel = "iid" | "burst" | "users" | "both";

export interface ErrorSetting {
  readonly model: TrafficModel;
  readonly requestsPerSecond: number;
  /** The canary's, 0-1. */
  readonly shareRate: number;
  readonly baseRate: number;
  /** The canary's error rate over the control's. 1: no regression. */
  readonly regression: number;
  /** Since when, in intervals. */
  readonly regressionFrom: number;
  /** Shape of the users' unluckiness; the smaller, the fewer users have most errors. */
  readonly propensityShape: number;
}

/** One interval. Raw counts are what other methods see; unit counts count a user once. */
export interface ErrorInterval {
  readonly canaryExposureCount: number;
  readonly controlExposureCount: number;
  readonly canaryErrorCount: number;
  readonly controlErrorCount: number;
  readonly canaryUnitErrorCount: number;
  readonly controlUnitErrorCount: number;
  readonly canaryGroupUnitErrors: Float64Array;
  readonly controlGroupUnitErrors: Float64Array;
  readonly canaryGroupErrors: Float64Array;
  readonly controlGroupErrors: Float64Array;
  readonly controlGroupExposures: Float64Array;
  readonly canaryGroupExposures: Float64Array;
}

/** What both arms share: the time of day, an incident. Multipliers of the base rate, mean about 1. */
export function sharedDrift(random: Random, intervalCount: number): Float64Array {
  const drift = new Float64Array(intervalCount);
  const phase = 2 * Math.PI * random.uniform();
  const incidentAt = random.uniform() < 0.5 ? random.below(intervalCount) : Number.POSITIVE_INFINITY;
  let wander = 0;
  for (let index = 0; index < intervalCount; index += 1) {
    wander = 0.95 * wander + 0.08 * random.normal();
    const incident = index >= incidentAt && index < incidentAt + 12 ? 5 : 1;
    drift[index] = incident * Math.exp(0.5 * Math.sin((2 * Math.PI * index) / INTERVALS_PER_HOUR + phase) + wander);
  }
  return drift;
}

export function createErrorTraffic(setting: ErrorSetting, random: Random): (index: number) => ErrorInterval {
  const { model, requestsPerSecond, baseRate, regression, regressionFrom } = setting;
  const drift = sharedDrift(random, INTERVALS_PER_HOUR);
  const trafficPhase = 2 * Math.PI * random.uniform();
  const population = createPopulation(setting, random);
  const clusterSize = model === "burst" || model === "both" ? 3 : 1;
  const arms = [0, 1] as const;
  return (index) => {
    const requests =
      requestsPerSecond * 10 * (1 + 0.3 * Math.sin((2 * Math.PI * index) / INTERVALS_PER_HOUR + trafficPhase));
    const exposures = [new Float64Array(GROUPS), new Float64Array(GROUPS)] as const;
    const errors = [new Float64Array(GROUPS), new Float64Array(GROUPS)] as const;
    const unitErrors = [new Float64Array(GROUPS), new Float64Array(GROUPS)] as const;
    for (const arm of arms) {
      const activity = population.activity[arm];
      for (let group = 0; group < GROUPS; group += 1)
        exposures[arm][group] = random.poisson(requests * (activity[group] ?? 0));
      const factor = arm === 0 && index >= regressionFrom ? regression : 1;
      const rate = Math.min(0.98, baseRate * (drift[index] ?? 1) * factor);
      const share = population.errorShare[arm];
      const failed = new Set<number>();
      const clusterCount = random.poisson((requests * share * rate) / clusterSize);
      for (let cluster = 0; cluster < clusterCount; cluster += 1) {
        const { user, group } = population.failing(arm);
        const size = clusterSize === 1 ? 1 : random.geometric(clusterSize);
        errors[arm][group] = (errors[arm][group] ?? 0) + size;
        if (user >= 0 && failed.has(user)) continue;
        if (user >= 0) failed.add(user);
        unitErrors[arm][group] = (unitErrors[arm][group] ?? 0) + 1;
      }
      for (let group = 0; group < GROUPS; group += 1) {
        // A cluster may be larger than what the group asked for: those requests came too.
        const errorCount = errors[arm][group] ?? 0;
        if (errorCount > (exposures[arm][group] ?? 0)) exposures[arm][group] = errorCount;
      }
    }
    return {
      canaryExposureCount: sum(exposures[0]),
      controlExposureCount: sum(exposures[1]),
      canaryErrorCount: sum(errors[0]),
      controlErrorCount: sum(errors[1]),
      canaryUnitErrorCount: sum(unitErrors[0]),
      controlUnitErrorCount: sum(unitErrors[1]),
      canaryGroupUnitErrors: unitErrors[0],
      controlGroupUnitErrors: unitErrors[1],
      canaryGroupErrors: errors[0],
      controlGroupErrors: errors[1],
      canaryGroupExposures: exposures[0],
      controlGroupExposures: exposures[1],
    };
  };

  function sum(counts: Float64Array): number {
    let total = 0;
    for (const count of counts) total += count;
    return total;
  }
}

interface Population {
  /** Per arm, each group's share of all requests. */
  readonly activity: readonly [Float64Array, Float64Array];
  /** Per arm, its share of all errors if its rate were the base rate. */
  readonly errorShare: readonly [number, number];
  /** Draws who fails. A user below 0 is somebody else each time. */
  failing(arm: 0 | 1): { readonly user: number; readonly group: number };
}

function createPopulation(
  { model, requestsPerSecond, shareRate, propensityShape }: ErrorSetting,
  random: Random,
): Population {
  if (model === "iid" || model === "burst") {
    const even = (share: number): Float64Array => new Float64Array(GROUPS).fill(share / GROUPS);
    return {
      activity: [even(shareRate), even(1 - shareRate)],
      errorShare: [shareRate, 1 - shareRate],
      failing: () => ({ user: -1, group: random.below(GROUPS) }),
    };
  }
  const userCount = 50 * requestsPerSecond;
  const groupOf = new Uint8Array(userCount);
  const activity = [new Float64Array(GROUPS), new Float64Array(GROUPS)] as const;
  const users: [number[], number[]] = [[], []];
  const cumulative: [number[], number[]] = [[], []];
  const errorMass = [0, 0];
  let activityTotal = 0;
  for (let user = 0; user < userCount; user += 1) {
    const busy = random.gamma(1);
    const unlucky = Math.min(random.gamma(propensityShape) / propensityShape, 120);
    const arm = random.uniform() < shareRate ? 0 : 1;
    const group = random.below(GROUPS);
    groupOf[user] = group;
    activity[arm][group] = (activity[arm][group] ?? 0) + busy;
    activityTotal += busy;
    errorMass[arm] = (errorMass[arm] ?? 0) + busy * unlucky;
    users[arm].push(user);
    cumulative[arm].push(errorMass[arm] ?? 0);
  }
  for (const arm of activity)
    for (let group = 0; group < GROUPS; group += 1) arm[group] = (arm[group] ?? 0) / activityTotal;
  return {
    activity,
    errorShare: [(errorMass[0] ?? 0) / activityTotal, (errorMass[1] ?? 0) / activityTotal],
    failing(arm) {
      const masses = cumulative[arm];
      const target = random.uniform() * (errorMass[arm] ?? 0);
      let low = 0;
      let high = masses.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((masses[middle] ?? 0) > target) high = middle;
        else low = middle + 1;
      }
      const user = users[arm][low] ?? 0;
      return { user, group: groupOf[user] ?? 0 };
    },
  };
}
