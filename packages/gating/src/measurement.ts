import type { Guardrail } from "@bunting/contracts";
import type { ArmEvidence, EvidenceInterval } from "./evidence.ts";
import { QUANTILES } from "./latency-comparison.ts";
import { binIndex, binLatencyMs, increaseBins, LOWEST_BIN, mergeSketches, quantileBin, type Sketch } from "./sketch.ts";

/** What people read of a guardrail, and how it compares with the limits as they were written. */
export interface Measurement {
  /** Rates are 0-1, latencies ms; null: nothing to measure. */
  readonly canary: number | null;
  readonly control: number | null;
  /** Denominators of the two. */
  readonly canaryCount: number;
  readonly controlCount: number;
  /** Whether an absolute limit is exceeded by the canary's value. */
  readonly beyondLimit: boolean;
  /** Whether a limit relative to the control is. `worseThanControl` names no value, so it never is. */
  readonly beyondControl: boolean;
}

/** Guardrails that count; values from outside are measured elsewhere. */
export type CountedGuardrail = Exclude<Guardrail, { source: "prometheus" } | { kind: "gauge" }>;

export const isCounted = (guardrail: Guardrail): guardrail is CountedGuardrail =>
  !("source" in guardrail || ("kind" in guardrail && guardrail.kind === "gauge"));

/** What the values of some intervals are read by. */
export interface Setting {
  readonly hasControl: boolean;
  /** Whether what a guardrail counts has been reported at all in this attempt. */
  readonly hasEvents: boolean;
}

/** The values of some intervals. At 100 % there is no control, whatever a straggler still reports of it. */
export function measure(
  guardrail: CountedGuardrail,
  intervals: readonly EvidenceInterval[],
  setting: Setting,
): Measurement {
  const canary = intervals.flatMap((interval) => interval.canary ?? []);
  const control = setting.hasControl ? intervals.flatMap((interval) => interval.control ?? []) : [];
  if ("kind" in guardrail) return measureRatio(guardrail, { canary, control }, setting);
  return guardrail.metric === "error_rate"
    ? measureErrors(guardrail, canary, control)
    : measureLatency(guardrail, canary, control);
}

/** How many of what a guardrail counts an arm had: outcomes, or units for a ratio. */
export function sampleCount(guardrail: CountedGuardrail, arms: readonly (ArmEvidence | null)[]): number {
  return sum(arms, (arm) => ("kind" in guardrail ? arm.unitCount : arm.outcomeCount));
}

/** `value > limit`, or `>=` for an exclusive one. */
export const isAbove = (value: number, limit: number, exclusive: boolean): boolean =>
  value > limit || (exclusive && value === limit);

export const isBelow = (value: number, limit: number, exclusive: boolean): boolean =>
  value < limit || (exclusive && value === limit);

type Of<Shape> = Extract<CountedGuardrail, Shape>;
type Arms = readonly ArmEvidence[];

function measureErrors({ max, exclusive }: Of<{ metric: "error_rate" }>, canary: Arms, control: Arms): Measurement {
  const rates = ratesOf(canary, control, (arm) => [arm.errorCount, arm.outcomeCount]);
  return {
    ...rates,
    beyondLimit: rates.canary !== null && max !== undefined && isAbove(rates.canary, max, exclusive),
    beyondControl: false,
  };
}

function measureRatio(
  { metric, min, max, minPercentOfControl, exclusive }: Of<{ kind: "ratio" }>,
  { canary, control }: { readonly canary: Arms; readonly control: Arms },
  { hasControl, hasEvents }: Setting,
): Measurement {
  const rates = ratesOf(canary, control, (arm) => [arm.metrics.get(metric)?.unitEventCount ?? 0, arm.unitCount]);
  const { canary: rate, control: controlRate } = rates;
  const least = controlRate === null ? null : (controlRate * (minPercentOfControl ?? 0)) / 100;
  // Nobody reports it, which is no conversion rate of zero: a name may be misspelled. Where the canary is alone, and it has been
  // reported before, it is not, and none is fewer than `min`.
  const silent = !rate && !controlRate && max === undefined && (hasControl || !hasEvents || min === undefined);
  return {
    ...rates,
    ...(silent ? { canary: null, control: null } : {}),
    beyondLimit:
      rate !== null &&
      !silent &&
      ((min !== undefined && isBelow(rate, min, exclusive)) || (max !== undefined && isAbove(rate, max, exclusive))),
    beyondControl:
      rate !== null &&
      !silent &&
      least !== null &&
      minPercentOfControl !== undefined &&
      isBelow(rate, least, exclusive),
  };
}

function measureLatency(
  { metric, maxMs, maxIncreasePercent, exclusive }: Of<{ maxMs?: number | undefined }>,
  canary: Arms,
  control: Arms,
): Measurement {
  const quantile = QUANTILES[metric];
  const sketches = { canary: sketchOf(canary), control: sketchOf(control) };
  const bins = { canary: quantileBin(sketches.canary, quantile), control: quantileBin(sketches.control, quantile) };
  return {
    canary: bins.canary === null ? null : binLatencyMs(bins.canary),
    control: bins.control === null ? null : binLatencyMs(bins.control),
    canaryCount: count(sketches.canary),
    controlCount: count(sketches.control),
    beyondLimit:
      bins.canary !== null &&
      maxMs !== undefined &&
      (exclusive ? bins.canary >= binIndex(maxMs) : bins.canary > binIndex(maxMs)),
    beyondControl:
      bins.canary !== null &&
      bins.control !== null &&
      // Nothing is a multiple of nothing: a control that answers in no time is no measure.
      bins.control > LOWEST_BIN &&
      maxIncreasePercent !== undefined &&
      isSlower(bins.canary - bins.control, maxIncreasePercent, exclusive),
  };
}

/**
 * Two latencies in the ratio of the limit lie `floor` or `ceil` of its bins apart, as their bins happen to be cut. A limit is
 * inclusive, so the doubt is for the canary; of an exclusive one it is against it.
 */
function isSlower(bins: number, maxIncreasePercent: number, exclusive: boolean): boolean {
  const allowed = increaseBins(maxIncreasePercent / 100);
  return exclusive ? bins >= Math.floor(allowed) : bins > Math.ceil(allowed);
}

function ratesOf(
  canary: Arms,
  control: Arms,
  countsOf: (arm: ArmEvidence) => readonly [events: number, exposures: number],
): Pick<Measurement, "canary" | "control" | "canaryCount" | "controlCount"> {
  const canaryCount = sum(canary, (arm) => countsOf(arm)[1]);
  const controlCount = sum(control, (arm) => countsOf(arm)[1]);
  return {
    canary: canaryCount === 0 ? null : sum(canary, (arm) => countsOf(arm)[0]) / canaryCount,
    control: controlCount === 0 ? null : sum(control, (arm) => countsOf(arm)[0]) / controlCount,
    canaryCount,
    controlCount,
  };
}

const sketchOf = (arms: Arms): Sketch => mergeSketches(arms.map(({ sketch }) => sketch));

const count = (sketch: Sketch): number => {
  let total = 0;
  for (const size of sketch.values()) total += size;
  return total;
};

function sum(arms: readonly (ArmEvidence | null)[], of: (arm: ArmEvidence) => number): number {
  return arms.reduce((total, arm) => total + (arm === null ? 0 : of(arm)), 0);
}
