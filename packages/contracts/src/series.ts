import { z } from "zod";
import { page, pageQuery } from "./admin.ts";
import { evidenceCell } from "./evidence.ts";
import { environmentKey, flagKey, instant, variantKey } from "./key.ts";
import { SERIES_RESOLUTIONS } from "./literals.ts";
import { metricKey } from "./rollout.ts";

/*
 * What is measured of a rollout, as it is shown. What it is judged by is the evidence itself; see gating.
 */

/** What one variant did within one window. */
export const measurement = z.object({
  exposureCount: z.int(),
  outcomeCount: z.int(),
  errorCount: z.int(),
  exposuresPerSecond: z.number(),
  /** Errors among outcomes, 0-1. Null without outcomes. */
  errorRate: z.number().nullable(),
  /** Within 1 % of the exact quantile. Null where no latency was reported. */
  latencyMs: z.object({ p50: z.number(), p95: z.number(), p99: z.number() }).nullable(),
  /** Custom metrics by name. */
  metrics: z.record(
    metricKey,
    z.object({
      eventCount: z.int(),
      /** Users with at least one event in an interval of ten seconds. */
      unitEventCount: z.int(),
      /** Of `unitEventCount` among users. Null without users. */
      unitRate: z.number().nullable(),
      sum: z.number(),
      /** Of the values of the events. Null without events. */
      mean: z.number().nullable(),
    }),
  ),
});
export type Measurement = z.infer<typeof measurement>;

export const measurementPoint = measurement.extend({ at: instant });
export type MeasurementPoint = z.infer<typeof measurementPoint>;

/** The canary's error rate over the control's, by everything of the attempt up to the end of the window. */
export const rateRatioPoint = z.object({
  at: instant,
  /** Null where the evidence sets no bound. */
  low: z.number().nullable(),
  estimate: z.number(),
  high: z.number().nullable(),
});
export type RateRatioPoint = z.infer<typeof rateRatioPoint>;

export const rolloutMetrics = z
  .object({
    rollout: z.string(),
    attempt: z.int(),
    canary: variantKey,
    control: variantKey,
    /** Length of a window. */
    resolutionSeconds: z.int(),
    from: instant,
    to: instant,
    /** Largest relative error of `latencyMs`. */
    latencyErrorRate: z.number(),
    /** By variant: everything in the span, and window by window. Windows without a report are left out. */
    variants: z.record(variantKey, z.object({ total: measurement, points: z.array(measurementPoint) })),
    /** All intervals together hold the true ratio but for a chance of `errorBudget`. */
    rateRatio: z.object({ errorBudget: z.number(), points: z.array(rateRatioPoint) }),
  })
  .meta({ id: "RolloutMetrics" });
export type RolloutMetrics = z.infer<typeof rolloutMetrics>;

export const rolloutMetricsQuery = z.object({
  /** The current one, if left out. */
  attempt: z.coerce.number().int().min(1).optional(),
  /** The finest that is kept for the span, if left out. */
  resolution: z.enum(SERIES_RESOLUTIONS).optional(),
  /** The last hour, day or 90 days, by `resolution`. */
  from: instant.optional(),
  /** Now, or for an attempt that has ended its last evidence. */
  to: instant.optional(),
});

/** What all instances together reported of one arm, stage and interval, and that became usable at the same time. */
export const evidenceRow = evidenceCell
  .extend({
    /** Index of the interval from which on this is evidence. It never changes after that one began. */
    availableAt: z.int(),
  })
  .meta({ id: "EvidenceRow" });
export type EvidenceRow = z.infer<typeof evidenceRow>;

export const evidencePage = page(evidenceRow, "EvidencePage");

export const evidenceQuery = pageQuery.extend({
  /** The current one, if left out. */
  attempt: z.coerce.number().int().min(1).optional(),
  /** Only what was usable at this index: what a decision that names it was taken on. */
  through: z.coerce.number().int().min(0).optional(),
});

// --- gauges and strangers

export const gaugeDraft = z
  .strictObject({ metric: metricKey, value: z.number() })
  .meta({ id: "GaugeDraft", example: { metric: "lighthouse", value: 93 } });

export const gaugeValue = z
  .object({ environment: environmentKey, metric: metricKey, value: z.number(), at: instant })
  .meta({ id: "GaugeValue" });

/** What SDKs reported of names that do not exist. `__other__` stands for those beyond the limits. */
export const unknownNames = z
  .object({
    environment: environmentKey,
    flags: z.array(z.object({ flag: z.string(), evaluationCount: z.int(), lastSeenAt: instant })),
    variants: z.array(
      z.object({
        flag: z.union([flagKey, z.literal("__other__")]),
        variant: z.string(),
        exposureCount: z.int(),
        lastSeenAt: instant,
      }),
    ),
    /** Evidence of rollouts that could not be taken, by reason. */
    refusedEvidence: z.record(z.string(), z.int()),
  })
  .meta({ id: "UnknownNames" });
export type UnknownNames = z.infer<typeof unknownNames>;
