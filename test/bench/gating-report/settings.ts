import type { ErrorSetting, TrafficModel } from "./error-traffic.ts";
import type { LatencySetting } from "./experiments.ts";
import type { ExposureSetting } from "./exposure-traffic.ts";
import { NO_REGRESSION, type RequestSetting } from "./request-traffic.ts";

/*
 * The columns of the report's tables. A name seeds its runs, so a column keeps its figures when others come and go.
 */

export type Experiment =
  | { readonly kind: "errors"; readonly setting: ErrorSetting }
  | { readonly kind: "proof"; readonly setting: ErrorSetting & { readonly margin: number } }
  | { readonly kind: "latency"; readonly setting: LatencySetting }
  | { readonly kind: "loss"; readonly setting: ExposureSetting }
  | { readonly kind: "rollout" | "schedule"; readonly setting: RequestSetting };

export interface Column {
  readonly table:
    | "aa"
    | "stress"
    | "power"
    | "gross"
    | "late"
    | "proof"
    | "latency-aa"
    | "latency"
    | "rollout"
    | "schedule"
    | "loss"
    | "loss-rollout";
  readonly name: string;
  readonly experiment: Experiment;
  /** Share of the runs that were asked for. */
  readonly share: number;
}

const errors = (changes: Partial<ErrorSetting>): Experiment => ({
  kind: "errors",
  setting: {
    model: "both",
    requestsPerSecond: 100,
    shareRate: 0.05,
    baseRate: 0.005,
    regression: 1,
    regressionFrom: 0,
    propensityShape: 0.3,
    ...changes,
  },
});

const SHARES = [0.01, 0.05, 0.25, 0.5];
const MODELS: readonly TrafficModel[] = ["iid", "burst", "users", "both"];
const percent = (rate: number): string => `${Math.round(rate * 100)} %`;

const requests = (changes: Partial<LatencySetting>): LatencySetting => ({
  ...NO_REGRESSION,
  requestsPerSecond: 100,
  requestsPerUserAndHour: 36,
  intervalCount: 360,
  shareRate: 0.05,
  ...changes,
});

/** Twice as long as a rollout without a regression takes. */
const ROLLOUT_INTERVALS = 900;

const rollout = (changes: Partial<RequestSetting>): RequestSetting => ({
  ...NO_REGRESSION,
  requestsPerSecond: 100,
  requestsPerUserAndHour: 72,
  intervalCount: ROLLOUT_INTERVALS,
  ...changes,
});

const ROLLOUTS: readonly {
  readonly name: string;
  readonly changes: Partial<RequestSetting>;
  readonly share: number;
}[] = [
  { name: "no regression", changes: {}, share: 0.1 },
  { name: "no regression, base rate triples", changes: { rising: true }, share: 0.03 },
  { name: "no regression, 1,000 rps", changes: { requestsPerSecond: 1000 }, share: 0.03 },
  { name: "errors x2", changes: { errorFactor: 2 }, share: 0.03 },
  { name: "errors x2, 1,000 rps", changes: { errorFactor: 2, requestsPerSecond: 1000 }, share: 0.02 },
  { name: "errors x4", changes: { errorFactor: 4 }, share: 0.03 },
  { name: "errors x10", changes: { errorFactor: 10 }, share: 0.03 },
  { name: "errors x3 from minute 25", changes: { errorFactor: 3, regressionFrom: 150 }, share: 0.03 },
];

const OURS_ONLY: typeof ROLLOUTS = [
  { name: "latency +50 %", changes: { latencyFactor: 1.5 }, share: 0.03 },
  { name: "conversion x.7", changes: { conversionFactor: 0.7 }, share: 0.02 },
];

const LOST_RATE = 0.15;

/** Named as those of {@link ROLLOUTS} that they are compared with. */
const LOSSY_ROLLOUTS: typeof ROLLOUTS = [
  { name: "no regression", changes: { lostRate: LOST_RATE }, share: 0.05 },
  { name: "no regression, 1,000 rps", changes: { lostRate: LOST_RATE, requestsPerSecond: 1000 }, share: 0.01 },
];

const MARGINS = [
  { shareRate: 0.01, margin: 6 },
  { shareRate: 0.05, margin: 2 },
  { shareRate: 0.25, margin: 1.5 },
  { shareRate: 0.5, margin: 1.25 },
];

/** Margins as they follow from the next stage's share, and where a wrong proof is likeliest: a busy service's first stage. */
const PROOFS = [
  ...MODELS.flatMap((model) => MARGINS.map((margin) => ({ model, ...margin, requestsPerSecond: 100 }))),
  ...(["users", "both"] as const).map((model) => ({ model, shareRate: 0.01, margin: 6, requestsPerSecond: 1000 })),
];

export const COLUMNS: readonly Column[] = [
  ...MODELS.flatMap((model) =>
    SHARES.map((shareRate) => ({
      table: "aa" as const,
      name: `${model} ${percent(shareRate)}`,
      experiment: errors({ model, shareRate }),
      share: 1,
    })),
  ),
  ...SHARES.map((shareRate) => ({
    table: "aa" as const,
    name: `both, 1,000 rps ${percent(shareRate)}`,
    experiment: errors({ shareRate, requestsPerSecond: 1000 }),
    share: 0.5,
  })),
  ...(["users", "both"] as const).flatMap((model) =>
    [0.01, 0.05, 0.25].map((shareRate) => ({
      table: "stress" as const,
      name: `${model} ${percent(shareRate)}`,
      experiment: errors({ model, shareRate, propensityShape: 0.05 }),
      share: 0.25,
    })),
  ),
  ...(["iid", "both"] as const).flatMap((model) =>
    [2, 4].flatMap((regression) =>
      SHARES.map((shareRate) => ({
        table: "power" as const,
        name: `${model} ${percent(shareRate)} x${regression}`,
        experiment: errors({ model, shareRate, regression }),
        share: 0.2,
      })),
    ),
  ),
  ...[0.01, 0.05, 0.25].map((shareRate) => ({
    table: "power" as const,
    name: `both ${percent(shareRate)} 1 to 5 % errors`,
    experiment: errors({ shareRate, baseRate: 0.01, regression: 5 }),
    share: 0.2,
  })),
  ...[10, 40, 190].flatMap((regression) =>
    [0.01, 0.05].map((shareRate) => ({
      table: "gross" as const,
      name: `${percent(shareRate)} x${regression}`,
      experiment: errors({ shareRate, regression }),
      share: 0.1,
    })),
  ),
  ...[
    { requestsPerSecond: 10, shareRate: 0.05, regressions: [10, 40, 190] },
    { requestsPerSecond: 1000, shareRate: 0.01, regressions: [10, 190] },
  ].flatMap(({ requestsPerSecond, shareRate, regressions }) =>
    regressions.map((regression) => ({
      table: "gross" as const,
      name: `${requestsPerSecond.toLocaleString("en")} rps ${percent(shareRate)} x${regression}`,
      experiment: errors({ requestsPerSecond, shareRate, regression }),
      share: 0.1,
    })),
  ),
  ...[0, 180].flatMap((regressionFrom) =>
    [0.05, 0.25].map((shareRate) => ({
      table: "late" as const,
      name: `${percent(shareRate)} x4 from ${regressionFrom === 0 ? "the start" : "minute 30"}`,
      experiment: errors({ model: "burst", shareRate, regression: 4, regressionFrom }),
      share: 0.1,
    })),
  ),
  ...PROOFS.flatMap(({ model, shareRate, margin, requestsPerSecond }) =>
    [margin, 1].map((regression) => ({
      table: "proof" as const,
      name: `${model}${requestsPerSecond === 100 ? "" : ", 1,000 rps"} ${percent(shareRate)} ${regression === 1 ? "equal" : "at the margin"}`,
      experiment: {
        kind: "proof" as const,
        setting: {
          ...(errors({ model, shareRate, regression, requestsPerSecond }).setting as ErrorSetting),
          margin,
        },
      },
      share: regression === 1 ? 0.1 : 0.5,
    })),
  ),
  ...SHARES.map((shareRate) => ({
    table: "latency-aa" as const,
    name: percent(shareRate),
    experiment: { kind: "latency" as const, setting: requests({ shareRate }) },
    share: 0.15,
  })),
  ...SHARES.flatMap((shareRate) =>
    [
      { name: "+10 %", changes: { latencyFactor: 1.1 } },
      { name: "+25 %", changes: { latencyFactor: 1.25 } },
      { name: "+50 %", changes: { latencyFactor: 1.5 } },
      { name: "slow mode 3 %", changes: { slowModeRate: 0.03 } },
    ].map(({ name, changes }) => ({
      table: "latency" as const,
      name: `${percent(shareRate)} ${name}`,
      experiment: { kind: "latency" as const, setting: requests({ shareRate, ...changes }) },
      share: 0.05,
    })),
  ),
  ...[...ROLLOUTS, ...OURS_ONLY].map(({ name, changes, share }) => ({
    table: "rollout" as const,
    name,
    experiment: { kind: "rollout" as const, setting: rollout(changes) },
    share,
  })),
  ...ROLLOUTS.map(({ name, changes, share }) => ({
    table: "schedule" as const,
    name,
    experiment: { kind: "schedule" as const, setting: rollout({ ...changes, intervalCount: 360 }) },
    share,
  })),
  ...[
    { requestsPerSecond: 100, share: 0.25 },
    { requestsPerSecond: 1000, share: 0.05 },
  ].flatMap(({ requestsPerSecond, share }) =>
    SHARES.map((shareRate) => ({
      table: "loss" as const,
      name: `${requestsPerSecond.toLocaleString("en")} rps ${percent(shareRate)}`,
      experiment: {
        kind: "loss" as const,
        setting: { requestsPerSecond, requestsPerUserAndHour: 72, shareRate, lostRate: LOST_RATE },
      },
      share,
    })),
  ),
  ...LOSSY_ROLLOUTS.map(({ name, changes, share }) => ({
    table: "loss-rollout" as const,
    name,
    experiment: { kind: "rollout" as const, setting: rollout(changes) },
    share,
  })),
];
