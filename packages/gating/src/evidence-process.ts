import type { Grid } from "./grid.ts";
import { logSumExp } from "./log-space.ts";

/**
 * A running test: one log likelihood ratio per alternative, raw (dispersion is divided out only when it is evaluated, because
 * its estimate changes), and copies of them at checkpoints, from each of which the evidence is also counted afresh: a
 * regression that begins late then need not first repay a good beginning.
 */
export interface EvidenceProcess {
  readonly logLikelihoodRatios: readonly number[];
  /** First is the start. At most {@link CHECKPOINT_LIMIT}; none is ever dropped, for the prior must be fixed in advance. */
  readonly checkpoints: readonly (readonly number[])[];
}

export const CHECKPOINT_LIMIT = 512;

export function startProcess(grid: Grid): EvidenceProcess {
  const zeros = grid.alternatives.map(() => 0);
  return { logLikelihoodRatios: zeros, checkpoints: [zeros] };
}

export function addCheckpoint(process: EvidenceProcess): EvidenceProcess {
  if (process.checkpoints.length >= CHECKPOINT_LIMIT) return process;
  return { ...process, checkpoints: [...process.checkpoints, process.logLikelihoodRatios] };
}

/** Events out of exposures, per arm, within one interval. */
export interface ArmCounts {
  readonly canaryExposureCount: number;
  readonly canaryEventCount: number;
  readonly controlExposureCount: number;
  readonly controlEventCount: number;
}

/**
 * Adds one interval to the test "the canary's event rate is more than `nullRateRatio` times the control's" (for a grid below
 * 1: less than). Conditioning on the interval's total cancels whatever both arms share: a daily curve, an incident, a change
 * of the share. An interval without events, or with one arm only, changes exactly nothing.
 *
 * `L_k += eT ln r_k - E log1p((r_k - 1) theta0 nT / (theta0 nT + nC))`. The expected factor is at most 1 for every base rate,
 * because `log1p(x) <= x`: the mixture is an e-process, and Ville's inequality holds at every look.
 */
export function addInterval(
  process: EvidenceProcess,
  grid: Grid,
  counts: ArmCounts,
  nullRateRatio: number,
): EvidenceProcess {
  const { canaryExposureCount, canaryEventCount, controlExposureCount, controlEventCount } = counts;
  const eventCount = canaryEventCount + controlEventCount;
  if (eventCount === 0 || canaryExposureCount === 0 || controlExposureCount === 0) return process;
  const canaryMass = nullRateRatio * canaryExposureCount;
  const canaryShare = canaryMass / (canaryMass + controlExposureCount);
  return {
    ...process,
    logLikelihoodRatios: process.logLikelihoodRatios.map((sum, k) => {
      const alternative = grid.alternatives[k] ?? 1;
      return sum + canaryEventCount * Math.log(alternative) - eventCount * Math.log1p((alternative - 1) * canaryShare);
    }),
  };
}

/**
 * Adds one interval to the test "the canary's event rate is above `limitRate`" (for a grid below 1: below it), without a
 * control. Alternatives are capped just under certainty, where the likelihood would vanish.
 */
export function addAbsoluteInterval(
  process: EvidenceProcess,
  grid: Grid,
  counts: { readonly exposureCount: number; readonly eventCount: number },
  limitRate: number,
): EvidenceProcess {
  const { exposureCount, eventCount } = counts;
  if (exposureCount === 0) return process;
  const logNullMiss = Math.log1p(-limitRate);
  return {
    ...process,
    logLikelihoodRatios: process.logLikelihoodRatios.map((sum, k) => {
      const rate = Math.min((grid.alternatives[k] ?? 1) * limitRate, limitRate + 0.999 * (1 - limitRate));
      return (
        sum +
        eventCount * (Math.log(rate) - Math.log(limitRate)) +
        (exposureCount - eventCount) * (Math.log1p(-rate) - logNullMiss)
      );
    }),
  };
}

export interface EvaluationOptions {
  /** 1: events are independent. Evidence is divided by it. @default 1 */
  readonly dispersion?: number;
  /** Canary events left out, to see whether the evidence survives without them. @default 0 */
  readonly droppedEventCount?: number;
}

/** Log of the e-value since the start, without restarts. For non-inferiority and breakers. */
export function plainLogEvidence(process: EvidenceProcess, grid: Grid, options: EvaluationOptions = {}): number {
  return mixture(process.logLikelihoodRatios, undefined, grid, options);
}

/** Log of the e-value with restarts at the checkpoints: `v_0 = .75`, `v_j = .25/(j(j+1))`, the rest of the prior unspent. */
export function logEvidence(process: EvidenceProcess, grid: Grid, options: EvaluationOptions = {}): number {
  const parts = process.checkpoints.map(
    (checkpoint, j) =>
      Math.log(j === 0 ? 0.75 : 0.25 / (j * (j + 1))) + mixture(process.logLikelihoodRatios, checkpoint, grid, options),
  );
  return logSumExp([...parts, Math.log(0.25 / process.checkpoints.length)]);
}

function mixture(
  ratios: readonly number[],
  since: readonly number[] | undefined,
  grid: Grid,
  { dispersion = 1, droppedEventCount = 0 }: EvaluationOptions,
): number {
  return logSumExp(
    ratios.map((ratio, k) => {
      const dropped = droppedEventCount * Math.log(grid.alternatives[k] ?? 1);
      return (grid.logWeights[k] ?? 0) + (ratio - (since?.[k] ?? 0) - dropped) / dispersion;
    }),
  );
}
