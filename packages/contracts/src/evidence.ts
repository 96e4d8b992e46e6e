import { z } from "zod";
import { variantKey } from "./key.ts";
import { EVIDENCE_GROUPS, LIMITS } from "./literals.ts";
import { metricKey } from "./rollout.ts";

/*
 * What an SDK counted of one arm of a running rollout within one interval of ten seconds. Everything is an integer count and
 * merges by addition. Fields and formulas: docs/spec/telemetry.md and docs/spec/gating.md.
 */

const count = z.int().min(0).max(LIMITS.evidenceCount);
const group = z
  .int()
  .min(0)
  .max(EVIDENCE_GROUPS - 1);

/** One custom metric of one arm and interval. */
export const metricEvidence = z.object({
  /** Calls of `track`. */
  eventCount: count,
  /** Units that called at least once in the interval; each of them is among the cell's `unitCount`. */
  unitEventCount: count,
  /** Of the values passed to `track`. */
  sum: z.number(),
  sumOfSquares: z.number().min(0),
  /** `[group, unitEventCount]`, only groups with some. */
  groups: z.array(z.tuple([group, count])).max(EVIDENCE_GROUPS),
});
export type MetricEvidence = z.infer<typeof metricEvidence>;

export const evidenceCell = z.object({
  rollout: z.string().min(1).max(64),
  attempt: z.int().min(1),
  stage: z.int().min(0),
  variant: variantKey,
  /** `floor(server time of the exposure / 10 s)`. The SDK keeps its clock's distance from the server's by the heartbeats. */
  interval: z.int().min(0),
  /** Decisions that served this variant by the rollout's scope. */
  exposureCount: count,
  /** Units (bucketing keys) among them, each once in this interval. */
  unitCount: count,
  /** Successes and errors. */
  outcomeCount: count,
  errorCount: count,
  /** Errors, each unit once in this interval. */
  unitErrorCount: count,
  /** Units that were counted without looking, because the interval's set of seen units was full. */
  uncheckedCount: count,
  /** `[group, unitCount, outcomeCount, errorCount, unitErrorCount]`, only groups with something. */
  groups: z.array(z.tuple([group, count, count, count, count])).max(EVIDENCE_GROUPS),
  /** Latency of outcomes as `[bin, count]`; see the sketch in docs/spec/telemetry.md. */
  sketch: z.array(z.tuple([z.int(), count])).max(LIMITS.sketchBins),
  /** `[group, rung, count]`: outcomes above the rung of the latency ladder, cumulative over rungs. */
  ladder: z.array(z.tuple([group, z.int().min(0), count])).max(LIMITS.ladderEntries),
  metrics: z.record(metricKey, metricEvidence).optional(),
});
export type EvidenceCell = z.infer<typeof evidenceCell>;

/** A breaker opened, or closed again, in one process. An open breaker serves control. */
export const breakerReport = z.object({
  rollout: z.string().min(1).max(64),
  attempt: z.int().min(1),
  state: z.enum(["open", "half_open", "closed"]),
  interval: z.int().min(0),
  /** Of the window that opened it. */
  unitFailureCount: count,
  trialCount: count,
});
export type BreakerReport = z.infer<typeof breakerReport>;

/** The last value of one gauge since the batch before. Of several processes the server judges by the worst. */
export const gaugeReport = z.object({ metric: metricKey, last: z.number(), interval: z.int().min(0) });
export type GaugeReport = z.infer<typeof gaugeReport>;
