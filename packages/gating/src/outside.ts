import type { Guardrail, HoldCause } from "@bunting/contracts";
import type { Sample } from "./judgement.ts";
import { isAbove, isBelow } from "./measurement.ts";
import { significant } from "./words.ts";

/** Guardrails on values that come from outside: a gauge that was posted or reported, the answer to a query. */
export type OutsideGuardrail = Extract<Guardrail, { source: "prometheus" } | { kind: "gauge" }>;

/** A query is asked at each analysis, so an answer this much older was not asked for this one. */
const QUERY_AGE_INTERVALS = 3;

export type Reading =
  | { readonly value: number; readonly failing: boolean }
  | { readonly value: null; readonly cause: HoldCause; readonly because: string };

interface LookTimes {
  /** Unix ms, as in `JudgementInputs`. */
  readonly now: number;
  readonly stageStartedAt: number;
  readonly analysisIntervalSeconds: number;
}

/** What a value from outside says now. Without a fresh one it says nothing, and a failed query never passes or fails. */
export function readSample(
  guardrail: OutsideGuardrail,
  sample: Sample | undefined,
  { now, stageStartedAt, analysisIntervalSeconds }: LookTimes,
): Reading {
  if (sample === undefined) {
    // A query is asked, and a figure posted, only once an attempt has begun: without them its first look would alarm people.
    const hasJustBegun = now - stageStartedAt < analysisIntervalSeconds * 1000;
    return nothing(hasJustBegun ? "insufficient_data" : "no_data", "no value yet");
  }
  if ("error" in sample) return nothing("measurement_error", `not measured: ${sample.error}`);
  const value = judgedValue(guardrail, sample);
  if (value === null) return nothing("no_data", "the query found no value");
  if (!Number.isFinite(value)) return nothing("measurement_error", `not measured: the value is ${value}`);
  const mostSeconds = "source" in guardrail ? QUERY_AGE_INTERVALS * analysisIntervalSeconds : guardrail.maxAgeSeconds;
  // A value from the future is as fresh as one of now: clocks differ.
  const ageSeconds = Math.max(0, now - sample.at) / 1000;
  if (ageSeconds > mostSeconds) {
    return nothing("no_data", `the latest value is ${significant(ageSeconds)} s old, more than ${mostSeconds} s`);
  }
  const { min, max, exclusive } = guardrail;
  const failing =
    (max !== undefined && isAbove(value, max, exclusive)) || (min !== undefined && isBelow(value, min, exclusive));
  return { value, failing };
}

/** Of several reports the worst, so that a healthy process hides no broken one. With two limits that is one that is beyond. */
function judgedValue(
  { min, max, exclusive }: OutsideGuardrail,
  sample: Exclude<Sample, { readonly error: string }>,
): number | null {
  if (!("lowest" in sample)) return sample.value;
  const { lowest, highest } = sample;
  const isCeiling = max !== undefined && (min === undefined || isAbove(highest, max, exclusive));
  return isCeiling ? highest : lowest;
}

const nothing = (cause: HoldCause, because: string): Reading => ({ value: null, cause, because });
