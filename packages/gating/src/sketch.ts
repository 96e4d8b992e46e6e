/*
 * Latency as counts in logarithmic bins (the mapping of DDSketch: Masson, Rim, Lee, VLDB 2019). All SDKs use the same base,
 * so sketches merge by adding counts, and an exceedance of a bin is exact.
 */

/** Base of the bins: `(1 + a) / (1 - a)` for a relative error `a` of 1 %. */
const GAMMA = 1.01 / 0.99;
const LOG_GAMMA = Math.log(GAMMA);

/** 10 us. Zero and negative latencies count here. */
export const LOWEST_BIN = -230;
/** 6 minutes. */
export const HIGHEST_BIN = 640;
export const BIN_COUNT: number = HIGHEST_BIN - LOWEST_BIN + 1;

/** Bin index to count. */
export type Sketch = ReadonlyMap<number, number>;

/** `floor(ln(latencyMs) / ln gamma)`, clamped. */
export function binIndex(latencyMs: number): number {
  if (!(latencyMs > 0)) return LOWEST_BIN;
  return Math.max(LOWEST_BIN, Math.min(HIGHEST_BIN, Math.floor(Math.log(latencyMs) / LOG_GAMMA)));
}

/** The value a bin stands for: at most 1 % from everything in it. */
export function binLatencyMs(bin: number): number {
  return (2 * GAMMA ** (bin + 1)) / (GAMMA + 1);
}

/** A tolerance as whole bins, for it is applied to bins: 25 % is 11 bins, that is 24.6 %. */
export function shiftBinCount(increaseRate: number): number {
  return Math.round(increaseBins(increaseRate));
}

/** A tolerance in bins, not rounded. */
export function increaseBins(increaseRate: number): number {
  return Math.log1p(increaseRate) / LOG_GAMMA;
}

/** The tolerance that {@link shiftBinCount} bins really are, for the console. */
export function effectiveIncreaseRate(shift: number): number {
  return GAMMA ** shift - 1;
}

/** Smallest bin whose cumulative count reaches `quantile` of all; null for an empty sketch. */
export function quantileBin(sketch: Sketch, quantile: number): number | null {
  const bins = [...sketch].sort(([a], [b]) => a - b);
  const total = bins.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return null;
  let cumulative = 0;
  for (const [bin, count] of bins) {
    cumulative += count;
    if (cumulative >= quantile * total) return bin;
  }
  return bins.at(-1)?.[0] ?? null;
}

/** Requests in bins strictly above `bin`. */
export function countAbove(sketch: Sketch, bin: number): number {
  let count = 0;
  for (const [index, size] of sketch) if (index > bin) count += size;
  return count;
}

export function sketchCount(sketch: Sketch): number {
  let count = 0;
  for (const size of sketch.values()) count += size;
  return count;
}

export function mergeSketches(sketches: Iterable<Sketch>): Map<number, number> {
  const merged = new Map<number, number>();
  for (const sketch of sketches) {
    for (const [bin, count] of sketch) merged.set(bin, (merged.get(bin) ?? 0) + count);
  }
  return merged;
}
