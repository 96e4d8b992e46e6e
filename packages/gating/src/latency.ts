import { type GroupCounts, dispersion as pooledDispersion, shrink } from "./dispersion.ts";
import { logSumExp } from "./log-space.ts";
import { quantileBin, type Sketch } from "./sketch.ts";

/** The control's latencies of earlier intervals. Thresholds come from here, so they are known before the data they judge. */
export type ControlHistory = ReadonlyMap<number, number>;

const FORGETTING = 0.98;

/** Older intervals fade by 2 % per interval of 10 s: half of the memory is the last six minutes. */
export function rememberControl(history: ControlHistory, interval: Sketch): ControlHistory {
  const next = new Map<number, number>();
  for (const [bin, weight] of history) if (weight > 1e-6) next.set(bin, weight * FORGETTING);
  for (const [bin, count] of interval) next.set(bin, (next.get(bin) ?? 0) + count);
  return next;
}

/** The control's quantile as a bin; null while there is no history. */
export const threshold = (history: ControlHistory, quantile: number): number | null => quantileBin(history, quantile);

// --- bulk: does the whole distribution shift?

const BULK_STEPS = [0.02, 0.04, 0.08, 0.15, 0.25, 0.4].map((shift) => 12 * shift);
const BULK_WEIGHTS = [1, 2, 2, 2, 1, 1].map((weight) => Math.log(weight / 9));

/** Canary requests below this are too few for the Gaussian approximation of the bulk test. */
const MINIMUM_BULK_REQUESTS = 30;

/**
 * A rank test against the control's earlier distribution: score sum `S` and its variance `V` under the null, with restarts as
 * the other tests have them.
 */
export interface BulkProcess {
  readonly score: number;
  readonly variance: number;
  readonly checkpoints: readonly { readonly score: number; readonly variance: number }[];
  readonly canaryRequestCount: number;
}

export const startBulk = (): BulkProcess => ({
  score: 0,
  variance: 0,
  checkpoints: [{ score: 0, variance: 0 }],
  canaryRequestCount: 0,
});

export const addBulkCheckpoint = (process: BulkProcess): BulkProcess => ({
  ...process,
  checkpoints: [...process.checkpoints, { score: process.score, variance: process.variance }],
});

/** `F_past(below the bin) + half its own mass - 1/2`: a mid-rank in [-1/2, 1/2]. */
export function createScore(history: ControlHistory): (bin: number) => number {
  const bins = [...history].sort(([a], [b]) => a - b);
  const total = bins.reduce((sum, [, weight]) => sum + weight, 0);
  const edges: { readonly bin: number; readonly below: number; readonly mass: number }[] = [];
  let below = 0;
  for (const [bin, weight] of bins) {
    edges.push({ bin, below, mass: weight });
    below += weight;
  }
  return (bin) => {
    let low = 0;
    let high = edges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((edges[middle]?.bin ?? 0) < bin) low = middle + 1;
      else high = middle;
    }
    const edge = edges[low];
    if (!edge) return 0.5;
    return (edge.below + (edge.bin === bin ? edge.mass / 2 : 0)) / total - 0.5;
  };
}

/** Scores one interval: the canary `shift` bins lower, so that "as slow as allowed" is the null hypothesis. */
export function addBulkInterval(
  process: BulkProcess,
  score: (bin: number) => number,
  canary: Sketch,
  control: Sketch,
  shift: number,
): BulkProcess {
  const canaryMoments = moments(canary, (bin) => score(bin - shift));
  const controlMoments = moments(control, score);
  const canaryRequestCount = process.canaryRequestCount + canaryMoments.count;
  if (canaryMoments.count === 0 || controlMoments.count === 0) return { ...process, canaryRequestCount };
  const count = canaryMoments.count + controlMoments.count;
  const weight = (canaryMoments.count * controlMoments.count) / count;
  const mean = (canaryMoments.sum + controlMoments.sum) / count;
  const variance = (canaryMoments.squares + controlMoments.squares) / count - mean * mean;
  return {
    ...process,
    canaryRequestCount,
    score:
      process.score + weight * (canaryMoments.sum / canaryMoments.count - controlMoments.sum / controlMoments.count),
    variance: process.variance + weight * variance,
  };
}

/**
 * @param worstGroupScore largest score sum of one canary group, taken out for the robust form
 */
export function bulkLogEvidence(process: BulkProcess, dispersion: number, worstGroupScore = 0): number {
  if (process.canaryRequestCount < MINIMUM_BULK_REQUESTS) return 0;
  const full = bulkMixture(process, dispersion, 0);
  if (full <= 1) return full;
  return Math.min(full, 2 * bulkMixture(process, dispersion, Math.max(0, worstGroupScore)));
}

function bulkMixture(process: BulkProcess, dispersion: number, dropped: number): number {
  const parts = process.checkpoints.map((since, j) => {
    const score = process.score - since.score - dropped;
    const variance = process.variance - since.variance;
    const mixture = logSumExp(
      BULK_STEPS.map((step, k) => (BULK_WEIGHTS[k] ?? 0) + (step * score - (step * step * variance) / 2) / dispersion),
    );
    return Math.log(j === 0 ? 0.75 : 0.25 / (j * (j + 1))) + mixture;
  });
  return logSumExp([...parts, Math.log(0.25 / process.checkpoints.length)]);
}

function moments(sketch: Sketch, score: (bin: number) => number): { count: number; sum: number; squares: number } {
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (const [bin, size] of sketch) {
    const value = score(bin);
    count += size;
    sum += size * value;
    squares += size * value * value;
  }
  return { count, sum, squares };
}

/** Dispersion of exceedances: they are common events, so its floor is their binomial variance. */
export function exceedanceDispersion(groups: readonly GroupCounts[]): number {
  const exposures = groups.reduce((sum, group) => sum + group.exposureCount, 0);
  const events = groups.reduce((sum, group) => sum + group.eventCount, 0);
  return pooledDispersion(groups, 1 - Math.min(0.5, exposures === 0 ? 0 : events / exposures));
}

/**
 * Dispersion of bulk scores: `1/(G - 1) sum_g (sum_g)^2 / (n_g var)` over the control's groups, shrunk with the canary's
 * request count as the weight.
 */
export function bulkDispersion(
  groups: readonly { readonly requestCount: number; readonly scoreSum: number }[],
  scoreVariance: number,
  canaryRequestCount: number,
): number {
  const filled = groups.filter(({ requestCount }) => requestCount > 0);
  if (filled.length < 2 || scoreVariance <= 0) return shrink(1, canaryRequestCount);
  const statistic = filled.reduce((sum, group) => sum + group.scoreSum ** 2 / (group.requestCount * scoreVariance), 0);
  return shrink(statistic / (filled.length - 1), canaryRequestCount);
}
