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

/** Of each variant everything together, and window by window. */
export class VariantMeasures {
  readonly #windowMs: number;
  readonly #variants = new Map<string, { readonly sum: CellSum; readonly points: MeasurementPoint[] }>();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** @param same all that begin at `startsAt`, which is later than what was added before */
  add(startsAt: number, same: readonly CountWindow[]): void {
    for (const [variant, theirs] of groupBy(same, (window) => window.variant)) {
      const counts = sumOf(theirs);
      const { sum, points } = this.#variants.get(variant) ?? { sum: new CellSum(), points: [] };
      this.#variants.set(variant, { sum: sum.add(counts), points });
      points.push({ at: toInstant(startsAt), ...measure(counts, this.#windowMs) });
    }
  }

  /** By variant. Rates of the total are over `spanMs`. */
  result(spanMs: number): Record<string, { total: Measurement; points: MeasurementPoint[] }> {
    const measured = [...this.#variants].map(
      ([variant, { sum, points }]) => [variant, { total: measure(sum.render(), spanMs), points }] as const,
    );
    return Object.fromEntries(measured);
  }
}

/**
 * The ratio of error rates after each window from `fromMs` on, by everything before it too. It counts as the judgement of
 * `worseThanControl` does: a user's errors within ten seconds are one, and the control's dispersion widens the interval.
 */
export class RateRatios {
  readonly points: RateRatioPoint[] = [];
  readonly #arms: Pick<AttemptArms, "canary" | "control">;
  readonly #fromMs: number;
  readonly #errorBudget: number;
  readonly #sequence = new RatioSequence();
  readonly #groups = { exposures: new Float64Array(GROUP_COUNT), events: new Float64Array(GROUP_COUNT) };

  constructor(
    arms: Pick<AttemptArms, "canary" | "control">,
    { fromMs, errorBudget }: { readonly fromMs: number; readonly errorBudget: number },
  ) {
    this.#arms = arms;
    this.#fromMs = fromMs;
    this.#errorBudget = errorBudget;
  }

  /** As {@link VariantMeasures.add}. */
  add(startsAt: number, same: readonly CountWindow[]): void {
    const armOf = (variant: string) =>
      armFromCells(same.filter((window) => window.variant === variant).map(({ counts }) => counts));
    const canaryArm = armOf(this.#arms.canary);
    const controlArm = armOf(this.#arms.control);
    const counts = {
      canaryExposureCount: canaryArm?.outcomeCount ?? 0,
      canaryEventCount: canaryArm?.unitErrorCount ?? 0,
      controlExposureCount: controlArm?.outcomeCount ?? 0,
      controlEventCount: controlArm?.unitErrorCount ?? 0,
    };
    this.#sequence.add(counts);
    if (controlArm) {
      addGroups(this.#groups.exposures, controlArm.groups.outcomeCount);
      addGroups(this.#groups.events, controlArm.groups.unitErrorCount);
    }
    if (startsAt < this.#fromMs) return;
    const interval = this.#sequence.interval(dispersion(this.#groups), this.#errorBudget);
    if (interval !== null) this.points.push({ at: toInstant(startsAt), ...interval });
  }
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
