import type { Grid } from "./grid.ts";
import { logSumExp } from "./log-space.ts";

/**
 * A running test: one log likelihood ratio per alternative, raw (dispersion is divided out only when it is evaluated, because
 * its estimate changes), and copies of them at checkpoints, from each of which the evidence is also counted afresh: a
 * regression that begins late then need not first repay a good beginning.
 *
 * Robbins' method of mixtures over Wald's likelihood ratios: an e-process, so that Ville's inequality bounds the chance of
 * ever exceeding a bar, however often one looks (Howard, Ramdas, McAuliffe, Sekhon, Ann. Statist. 2021).
 */
export interface EvidenceProcess {
  readonly grid: Grid;
  readonly logLikelihoodRatios: Float64Array;
  /** First is the start. At most {@link CHECKPOINT_LIMIT}; none is ever dropped, for the prior must be fixed in advance. */
  readonly checkpoints: Float64Array[];
}

export const CHECKPOINT_LIMIT = 512;

export function startProcess(grid: Grid): EvidenceProcess {
  const size = grid.alternatives.length;
  return { grid, logLikelihoodRatios: new Float64Array(size), checkpoints: [new Float64Array(size)] };
}

/** What was remembered at a checkpoint never changes, so it is shared. */
export function copyProcess({ grid, logLikelihoodRatios, checkpoints }: EvidenceProcess): EvidenceProcess {
  return { grid, logLikelihoodRatios: logLikelihoodRatios.slice(), checkpoints: [...checkpoints] };
}

export function addCheckpoint({ checkpoints, logLikelihoodRatios }: EvidenceProcess): void {
  if (checkpoints.length < CHECKPOINT_LIMIT) checkpoints.push(logLikelihoodRatios.slice());
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
 * because `log1p(x) <= x`.
 */
export function addInterval(process: EvidenceProcess, counts: ArmCounts, nullRateRatio: number): void {
  const { canaryExposureCount, canaryEventCount, controlExposureCount, controlEventCount } = counts;
  const eventCount = canaryEventCount + controlEventCount;
  if (eventCount === 0 || canaryExposureCount === 0 || controlExposureCount === 0) return;
  const { grid, logLikelihoodRatios } = process;
  const canaryMass = nullRateRatio * canaryExposureCount;
  const canaryShare = canaryMass / (canaryMass + controlExposureCount);
  for (let k = 0; k < logLikelihoodRatios.length; k += 1) {
    const gain = canaryEventCount * (grid.logAlternatives[k] ?? 0);
    const cost = eventCount * Math.log1p(((grid.alternatives[k] ?? 1) - 1) * canaryShare);
    logLikelihoodRatios[k] = (logLikelihoodRatios[k] ?? 0) + gain - cost;
  }
}

/** Just inside certainty on both sides, where a likelihood would vanish. */
const SMALLEST_LIMIT_RATE = 1e-6;

/** Per alternative, what one event and one exposure without add to its log likelihood ratio against a limit. */
export interface LimitRatios {
  readonly hits: readonly number[];
  readonly misses: readonly number[];
}

/**
 * "The canary's event rate is above `limitRate`" (for a grid below 1: below it), without a control: Wald's sequential
 * probability ratio for each alternative rate. Alternatives are capped just under certainty.
 */
export function limitRatios(grid: Grid, limitRate: number): LimitRatios {
  const limit = Math.min(1 - SMALLEST_LIMIT_RATE, Math.max(SMALLEST_LIMIT_RATE, limitRate));
  const rates = grid.alternatives.map((alternative) => Math.min(alternative * limit, limit + 0.999 * (1 - limit)));
  return {
    hits: rates.map((rate) => Math.log(rate) - Math.log(limit)),
    misses: rates.map((rate) => Math.log1p(-rate) - Math.log1p(-limit)),
  };
}

/** Adds one interval of the canary alone. */
export function addAbsoluteInterval(
  { logLikelihoodRatios }: EvidenceProcess,
  { exposureCount, eventCount }: { readonly exposureCount: number; readonly eventCount: number },
  { hits, misses }: LimitRatios,
): void {
  // An error without its outcome is a fault of whoever counted: it must not speak for the canary.
  const missCount = Math.max(0, exposureCount - eventCount);
  for (let k = 0; k < logLikelihoodRatios.length; k += 1) {
    logLikelihoodRatios[k] = (logLikelihoodRatios[k] ?? 0) + eventCount * (hits[k] ?? 0) + missCount * (misses[k] ?? 0);
  }
}

export interface EvaluationOptions {
  /** 1: events are independent. Evidence is divided by it. @default 1 */
  readonly dispersion?: number;
  /** Canary events left out, to see whether the evidence survives without them. @default 0 */
  readonly droppedEventCount?: number;
  /** What one event adds, per alternative. @default the logs of the alternatives */
  readonly eventGains?: readonly number[];
}

/** Log of the e-value since the start, without restarts. For non-inferiority and breakers. */
export function plainLogEvidence(process: EvidenceProcess, options: EvaluationOptions = {}): number {
  const terms = new Float64Array(process.grid.alternatives.length);
  fill(terms, 0, 0, process, undefined, options);
  return logSumExp(terms);
}

/** Log of the e-value with restarts at the checkpoints: `v_0 = .75`, `v_j = .25/(j(j+1))`, the rest of the prior unspent. */
export function logEvidence(process: EvidenceProcess, options: EvaluationOptions = {}): number {
  const { checkpoints, grid } = process;
  const size = grid.alternatives.length;
  const terms = new Float64Array(checkpoints.length * size + 1);
  for (const [j, checkpoint] of checkpoints.entries()) {
    fill(terms, j * size, restartLogWeight(j), process, checkpoint, options);
  }
  terms[terms.length - 1] = unspentLogWeight(checkpoints.length);
  return logSumExp(terms);
}

/** Log of the prior weight of a restart at checkpoint `j`; the 0th is the start. */
export const restartLogWeight = (j: number): number => Math.log(j === 0 ? 0.75 : 0.25 / (j * (j + 1)));

/** Log of the prior weight that is left for checkpoints to come. */
export const unspentLogWeight = (checkpointCount: number): number => Math.log(0.25 / checkpointCount);

function fill(
  terms: Float64Array,
  offset: number,
  logWeight: number,
  { grid, logLikelihoodRatios }: EvidenceProcess,
  since: Float64Array | undefined,
  { dispersion = 1, droppedEventCount = 0, eventGains = grid.logAlternatives }: EvaluationOptions,
): void {
  for (let k = 0; k < logLikelihoodRatios.length; k += 1) {
    const ratio = (logLikelihoodRatios[k] ?? 0) - (since?.[k] ?? 0) - droppedEventCount * (eventGains[k] ?? 0);
    terms[offset + k] = logWeight + (grid.logWeights[k] ?? 0) + ratio / dispersion;
  }
}
