import type { Measurement, MeasurementPoint, RateRatioPoint } from "@bunting/contracts";
import type { SERIES_RESOLUTIONS } from "@bunting/contracts/literals";
import {
  addGroups,
  armFromCells,
  binLatencyMs,
  dispersion,
  type EvidenceCounts,
  GROUP_COUNT,
  quantileBin,
  RatioSequence,
  type Sketch,
} from "@bunting/gating";
import { toInstant } from "../platform/instant.ts";
import { CellSum } from "../telemetry/cell-sum.ts";
import type { AttemptArms } from "./evidence.ts";
import { groupBy } from "./group-by.ts";

/*
 * From counts to what a person looks at. Pure.
 */

export type Resolution = (typeof SERIES_RESOLUTIONS)[number];

export const RESOLUTION_MS: Readonly<Record<Resolution, number>> = { "10s": 10_000, "1m": 60_000, "1h": 3_600_000 };

/** How long each resolution is kept, so also the longest span it is shown for. */
export const SPAN_MS: Readonly<Record<Resolution, number>> = {
  "10s": 3_600_000,
  "1m": 24 * 3_600_000,
  "1h": 90 * 24 * 3_600_000,
};

/** Relative error of a quantile from a sketch. */
export const LATENCY_ERROR_RATE = 0.01;

/** What one variant reported in one window; several of the same are added up. */
export interface CountWindow {
  /** Unix ms. */
  readonly startsAt: number;
  readonly variant: string;
  readonly counts: EvidenceCounts;
}

/** By variant, everything together and window by window. */
export function measureVariants(
  windows: readonly CountWindow[],
  { windowMs, spanMs }: { readonly windowMs: number; readonly spanMs: number },
): Record<string, { total: Measurement; points: MeasurementPoint[] }> {
  const variants = groupBy(windows, ({ variant }) => variant);
  const measured = [...variants].map(([variant, theirs]) => {
    const total = measure(sumOf(theirs), spanMs);
    const points = [...groupBy(theirs, ({ startsAt }) => startsAt)]
      .sort(([one], [other]) => one - other)
      .map(([startsAt, same]) => ({ at: toInstant(startsAt), ...measure(sumOf(same), windowMs) }));
    return [variant, { total, points }] as const;
  });
  return Object.fromEntries(measured);
}

/**
 * The ratio of error rates after each window from `fromMs` on, by everything before it too. It counts as the judgement of
 * `worseThanControl` does: a user's errors within ten seconds are one, and the control's dispersion widens the interval.
 */
export function rateRatios(
  windows: readonly CountWindow[],
  { canary, control }: Pick<AttemptArms, "canary" | "control">,
  { fromMs, errorBudget }: { readonly fromMs: number; readonly errorBudget: number },
): RateRatioPoint[] {
  const sequence = new RatioSequence();
  const groups = { exposures: new Float64Array(GROUP_COUNT), events: new Float64Array(GROUP_COUNT) };
  const points: RateRatioPoint[] = [];
  const times = [...groupBy(windows, ({ startsAt }) => startsAt)].sort(([one], [other]) => one - other);
  let comparable = false;
  for (const [startsAt, same] of times) {
    const armOf = (variant: string) =>
      armFromCells(same.filter((window) => window.variant === variant).map(({ counts }) => counts));
    const canaryArm = armOf(canary);
    const controlArm = armOf(control);
    const counts = {
      canaryExposureCount: canaryArm?.outcomeCount ?? 0,
      canaryEventCount: canaryArm?.unitErrorCount ?? 0,
      controlExposureCount: controlArm?.outcomeCount ?? 0,
      controlEventCount: controlArm?.unitErrorCount ?? 0,
    };
    sequence.add(counts);
    if (controlArm) {
      addGroups(groups.exposures, controlArm.groups.outcomeCount);
      addGroups(groups.events, controlArm.groups.unitErrorCount);
    }
    // Without an error, or with one arm alone, nothing has been compared.
    comparable ||=
      counts.canaryExposureCount > 0 &&
      counts.controlExposureCount > 0 &&
      counts.canaryEventCount + counts.controlEventCount > 0;
    if (startsAt < fromMs || !comparable) continue;
    points.push({ at: toInstant(startsAt), ...sequence.interval(dispersion(groups), errorBudget) });
  }
  return points;
}

function measure(counts: EvidenceCounts, windowMs: number): Measurement {
  const { exposureCount, unitCount, outcomeCount, errorCount } = counts;
  return {
    exposureCount,
    outcomeCount,
    errorCount,
    exposuresPerSecond: exposureCount / (windowMs / 1000),
    errorRate: rate(errorCount, outcomeCount),
    latencyMs: quantiles(new Map(counts.sketch)),
    metrics: Object.fromEntries(
      Object.entries(counts.metrics ?? {}).map(([name, { eventCount, unitEventCount, sum }]) => [
        name,
        { eventCount, unitEventCount, unitRate: rate(unitEventCount, unitCount), sum, mean: rate(sum, eventCount) },
      ]),
    ),
  };
}

function quantiles(sketch: Sketch): Measurement["latencyMs"] {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((quantile) => {
    const bin = quantileBin(sketch, quantile);
    return bin === null ? null : binLatencyMs(bin);
  });
  return p50 == null || p95 == null || p99 == null ? null : { p50, p95, p99 };
}

const rate = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

function sumOf(windows: readonly CountWindow[]): EvidenceCounts {
  const sum = new CellSum();
  for (const { counts } of windows) sum.add(counts);
  return sum.render();
}
