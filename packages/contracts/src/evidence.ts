import { z } from "zod";
import { type Column, countRows } from "./count-rows.ts";
import { variantKey } from "./key.ts";
import { EVIDENCE_GROUPS, LIMITS } from "./literals.ts";
import { metricKey } from "./rollout.ts";

/*
 * What an SDK counted of one arm of a running rollout within one interval of ten seconds. Everything is an integer count and
 * merges by addition. Fields and formulas: docs/spec/telemetry.md and docs/spec/gating.md.
 */

const count = z.int().min(0).max(LIMITS.evidenceCount);
const group: Column = { name: "group", least: 0, most: EVIDENCE_GROUPS - 1 };
const rung: Column = { name: "rung", least: 0, most: Number.MAX_SAFE_INTEGER };
const bin: Column = { name: "bin", least: Number.MIN_SAFE_INTEGER, most: Number.MAX_SAFE_INTEGER };
const counting = (name: string): Column => ({ name, least: 0, most: LIMITS.evidenceCount });

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
  groups: countRows<[number, number]>([group, counting("unitEventCount")], EVIDENCE_GROUPS),
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
  groups: countRows<[number, number, number, number, number]>(
    [group, counting("unitCount"), counting("outcomeCount"), counting("errorCount"), counting("unitErrorCount")],
    EVIDENCE_GROUPS,
  ),
  /** Latency of outcomes as `[bin, count]`; see the sketch in docs/spec/telemetry.md. */
  sketch: countRows<[number, number]>([bin, counting("count")], LIMITS.sketchBins),
  /** `[group, rung, count]`: outcomes above the rung of the latency ladder, cumulative over rungs. */
  ladder: countRows<[number, number, number]>([group, rung, counting("count")], LIMITS.ladderEntries),
  metrics: z.record(metricKey, metricEvidence).optional(),
});
export type EvidenceCell = z.infer<typeof evidenceCell>;

/** A breaker opened, or closed again, in one process. An open breaker serves control. */
export const breakerReport = z.object({
  rollout: z.string().min(1).max(64),
  attempt: z.int().min(1),
  /** Whose breaker it is: another stage's begins closed, and says nothing until it opens. Left out by the first SDKs. */
  stage: z.int().min(0).optional(),
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
