import { addGroups, shrink, total } from "./dispersion.ts";
import { type ArmEvidence, GROUP_COUNT } from "./evidence.ts";
import { CHECKPOINT_LIMIT, restartLogWeight, unspentLogWeight } from "./evidence-process.ts";
import { BRACKET_COUNT, bracketOfBin, groupScores } from "./ladder.ts";
import { logSumExp } from "./log-space.ts";
import type { Sketch } from "./sketch.ts";

/** Canary requests below this are too few for a Gaussian approximation. */
const MINIMUM_REQUEST_COUNT = 30;

/** The ladder must tell at least this share of the scores' variance, or the groups' dispersion is unknown. */
const LEAST_RESOLVED_SHARE = 0.1;

const STEPS = [0.02, 0.04, 0.08, 0.15, 0.25, 0.4].map((shift) => 12 * shift);
const LOG_WEIGHTS = [1, 2, 2, 2, 1, 1].map((weight) => Math.log(weight / 9));

/** Score sum and its variance under the null, since the start, and at each checkpoint. */
export interface ScoreProcess {
  score: number;
  variance: number;
  readonly checkpoints: { readonly score: number; readonly variance: number }[];
}

export const startScores = (): ScoreProcess => ({ score: 0, variance: 0, checkpoints: [{ score: 0, variance: 0 }] });

/** Log of the mixture of Gaussian likelihood ratios `exp((l S - l^2 V / 2) / dispersion)`, with restarts. */
export function scoreLogEvidence(process: ScoreProcess, dispersion: number, droppedScore = 0): number {
  const terms = process.checkpoints.flatMap((since, j) => {
    const score = process.score - since.score - droppedScore;
    const variance = process.variance - since.variance;
    const logWeight = restartLogWeight(j);
    return STEPS.map(
      (step, k) => logWeight + (LOG_WEIGHTS[k] ?? 0) + (step * score - (step * step * variance) / 2) / dispersion,
    );
  });
  return logSumExp([...terms, unspentLogWeight(process.checkpoints.length)]);
}

/**
 * Does the whole distribution of latencies shift? A rank test (Wilcoxon's scores) against the control's earlier distribution,
 * stratified by interval. The canary is scored as many bins lower as it may be slower, so that "as slow as allowed" is null.
 */
export class BulkTest {
  readonly #shift: number;
  #process = startScores();
  readonly #controlGroupScores = new Float64Array(GROUP_COUNT);
  readonly #controlGroupRequests = new Float64Array(GROUP_COUNT);
  readonly #canaryGroupScores = new Float64Array(GROUP_COUNT);
  #requestCount = 0;
  /** Sums over the control's requests of squared distances from the interval's mean: exact, and as the ladder tells them. */
  #squares = 0;
  #ladderSquares = 0;

  constructor(shift: number) {
    this.#shift = shift;
  }

  checkpoint(): void {
    if (this.#process.checkpoints.length >= CHECKPOINT_LIMIT) return;
    this.#process.checkpoints.push({ score: this.#process.score, variance: this.#process.variance });
  }

  /** The same so far; what is added to one is not added to the other. */
  copy(): BulkTest {
    const copy = new BulkTest(this.#shift);
    copy.#process = { ...this.#process, checkpoints: [...this.#process.checkpoints] };
    copy.#controlGroupScores.set(this.#controlGroupScores);
    copy.#controlGroupRequests.set(this.#controlGroupRequests);
    copy.#canaryGroupScores.set(this.#canaryGroupScores);
    copy.#requestCount = this.#requestCount;
    copy.#squares = this.#squares;
    copy.#ladderSquares = this.#ladderSquares;
    return copy;
  }

  add(score: (bin: number) => number, canary: ArmEvidence | null, control: ArmEvidence | null): void {
    const canaryScores = canary === null ? null : scoresOf(canary.sketch, (bin) => score(bin - this.#shift));
    const controlScores = control === null ? null : scoresOf(control.sketch, score);
    if (canaryScores !== null) this.#requestCount += canaryScores.count;
    if (control !== null && controlScores !== null) this.#watchControl(control, controlScores);
    if (canary === null || canaryScores === null || canaryScores.count === 0) return;
    if (controlScores === null || controlScores.count === 0) return;
    const count = canaryScores.count + controlScores.count;
    const weight = (canaryScores.count * controlScores.count) / count;
    const mean = (canaryScores.sum + controlScores.sum) / count;
    const controlMean = controlScores.sum / controlScores.count;
    this.#process.score += weight * (canaryScores.sum / canaryScores.count - controlMean);
    this.#process.variance += weight * ((canaryScores.squares + controlScores.squares) / count - mean * mean);
    const share = controlScores.count / count;
    const groups = canary.groups.outcomeCount;
    const sums = groupScores(canary.ladder, groups, canaryScores.brackets);
    for (const [group, sum] of sums.entries()) sums[group] = share * (sum - controlMean * (groups[group] ?? 0));
    addGroups(this.#canaryGroupScores, sums);
  }

  logEvidence(): number {
    if (this.#requestCount < MINIMUM_REQUEST_COUNT) return 0;
    if (this.#ladderSquares < LEAST_RESOLVED_SHARE * this.#squares) return 0;
    const dispersion = this.#dispersion;
    const full = scoreLogEvidence(this.#process, dispersion);
    if (full <= 1) return full;
    const worst = Math.max(0, ...this.#canaryGroupScores);
    return Math.min(full, 2 * scoreLogEvidence(this.#process, dispersion, worst));
  }

  /** `1/(G - 1) sum_g (sum of scores)^2 / (requests x variance)` over the control's groups, shrunk as counts are. */
  get #dispersion(): number {
    const requestCount = total(this.#controlGroupRequests);
    const variance = requestCount === 0 ? 0 : this.#ladderSquares / requestCount;
    let filledCount = 0;
    let statistic = 0;
    for (let group = 0; group < GROUP_COUNT; group += 1) {
      const groupRequestCount = this.#controlGroupRequests[group] ?? 0;
      if (groupRequestCount === 0) continue;
      filledCount += 1;
      statistic += (this.#controlGroupScores[group] ?? 0) ** 2 / (groupRequestCount * variance);
    }
    return shrink(filledCount < 2 || variance === 0 ? 1 : statistic / (filledCount - 1), this.#requestCount);
  }

  #watchControl(control: ArmEvidence, scores: Scores): void {
    const requests = control.groups.outcomeCount;
    const requestCount = total(requests);
    if (requestCount === 0 || scores.count === 0) return;
    const sums = groupScores(control.ladder, requests, scores.brackets);
    // The ladder's own mean, so that groups add up to zero although brackets are coarser than bins.
    const mean = total(sums) / requestCount;
    for (const [group, sum] of sums.entries()) sums[group] = sum - mean * (requests[group] ?? 0);
    addGroups(this.#controlGroupScores, sums);
    addGroups(this.#controlGroupRequests, requests);
    for (const [bracket, count] of scores.counts.entries()) {
      this.#ladderSquares += count * ((scores.brackets[bracket] ?? 0) - mean) ** 2;
    }
    this.#squares += scores.squares - scores.sum ** 2 / scores.count;
  }
}

interface Scores {
  readonly count: number;
  readonly sum: number;
  readonly squares: number;
  /** Requests in each bracket of the ladder, and their mean score. */
  readonly counts: Readonly<Float64Array>;
  readonly brackets: Readonly<Float64Array>;
}

function scoresOf(sketch: Sketch, score: (bin: number) => number): Scores {
  const counts = new Float64Array(BRACKET_COUNT);
  const brackets = new Float64Array(BRACKET_COUNT);
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (const [bin, size] of sketch) {
    const value = score(bin);
    const bracket = bracketOfBin(bin);
    counts[bracket] = (counts[bracket] ?? 0) + size;
    brackets[bracket] = (brackets[bracket] ?? 0) + size * value;
    count += size;
    sum += size * value;
    squares += size * value * value;
  }
  // A bin that a rung cuts lies in one bracket, its requests perhaps in the next: that one scores as its neighbour.
  let previous = -0.5;
  for (let bracket = 0; bracket < BRACKET_COUNT; bracket += 1) {
    const size = counts[bracket] ?? 0;
    if (size > 0) previous = (brackets[bracket] ?? 0) / size;
    brackets[bracket] = previous;
  }
  return { count, sum, squares, counts, brackets };
}
