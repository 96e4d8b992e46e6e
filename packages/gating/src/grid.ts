/**
 * Alternatives to a null hypothesis, relative to its boundary, with prior weights. A finite mixture over a grid keeps a test
 * valid under any number of looks without special functions, and powerful over the whole range that the grid spans.
 */
export interface Grid {
  readonly alternatives: readonly number[];
  readonly logAlternatives: readonly number[];
  /** Logs of the weights, normalised to sum 1. */
  readonly logWeights: readonly number[];
}

const grid = (alternatives: readonly number[], weights: readonly number[]): Grid => {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    alternatives,
    logAlternatives: alternatives.map(Math.log),
    logWeights: weights.map((weight) => Math.log(weight / total)),
  };
};
const evenGrid = (alternatives: readonly number[]): Grid =>
  grid(
    alternatives,
    alternatives.map(() => 1),
  );

/** More bad events than the null rate allows. The smallest harm meant to be found is 1.25 times. */
export const HARM: Grid = grid([1.25, 1.5, 2, 3, 5, 9, 20, 60, 200], [2, 4, 6, 6, 5, 3, 2, 1, 1]);

/** More requests above a latency threshold. */
export const TAIL: Grid = grid([1.05, 1.1, 1.2, 1.35, 1.6, 2, 3, 5, 10, 30], [1, 1.5, 2, 2, 2, 2, 1.5, 1, 0.5, 0.25]);

/** Fewer good events, as a conversion. */
export const FEWER: Grid = grid([0.95, 0.9, 0.8, 0.65, 0.45, 0.2], [1, 2, 2, 2, 1, 1]);

/** Non-inferiority: fewer bad events than the margin. */
export const NON_INFERIOR: Grid = evenGrid([0.9, 0.8, 0.65, 0.5, 0.35, 0.2]);

/** Non-inferiority of a good event: more of them than the margin. */
export const NON_INFERIOR_FEWER: Grid = evenGrid([1.05, 1.11, 1.18, 1.25]);
