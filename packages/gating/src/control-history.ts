import { BIN_COUNT, LOWEST_BIN, type Sketch } from "./sketch.ts";

/** Older intervals fade by 2 % per interval of 10 s: half of the memory is the last six minutes. */
const FORGETTING = 0.98;

/** Weights grow instead of fading, which touches only what is new; now and then all are scaled back. */
const LARGEST_GROWTH = 1e60;

/**
 * The control's latencies of earlier intervals. Thresholds come from here, so they are known before the data that they judge,
 * and follow the time of day.
 */
export class ControlHistory {
  readonly #weights = new Float64Array(BIN_COUNT);
  /** Of everything below a bin. */
  readonly #below = new Float64Array(BIN_COUNT + 1);
  #growth = 1;
  #latest: number | null = null;

  get empty(): boolean {
    return this.#total === 0;
  }

  add(interval: number, sketch: Sketch): void {
    this.#age(this.#latest === null ? 0 : interval - this.#latest);
    this.#latest = interval;
    for (const [bin, count] of sketch) {
      const index = bin - LOWEST_BIN;
      this.#weights[index] = (this.#weights[index] ?? 0) + count * this.#growth;
    }
    let below = 0;
    for (let index = 0; index < BIN_COUNT; index += 1) {
      this.#below[index] = below;
      below += this.#weights[index] ?? 0;
    }
    this.#below[BIN_COUNT] = below;
  }

  /** The same so far; what is added to one is not added to the other. */
  copy(): ControlHistory {
    const copy = new ControlHistory();
    copy.#weights.set(this.#weights);
    copy.#below.set(this.#below);
    copy.#growth = this.#growth;
    copy.#latest = this.#latest;
    return copy;
  }

  /** Smallest bin whose cumulative weight reaches `quantile`. Not of an empty history. */
  quantileBin(quantile: number): number {
    const target = quantile * this.#total;
    let low = 0;
    let high = BIN_COUNT - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#below[middle + 1] ?? 0) >= target) high = middle;
      else low = middle + 1;
    }
    return low + LOWEST_BIN;
  }

  /** Mid-rank: `F(below the bin) + half its own mass - 1/2`, in [-1/2, 1/2]. Not of an empty history. */
  score(bin: number): number {
    const index = bin - LOWEST_BIN;
    if (index < 0) return -0.5;
    if (index >= BIN_COUNT) return 0.5;
    return ((this.#below[index] ?? 0) + (this.#weights[index] ?? 0) / 2) / this.#total - 0.5;
  }

  get #total(): number {
    return this.#below[BIN_COUNT] ?? 0;
  }

  #age(intervalCount: number): void {
    // After a long silence everything has faded alike, which changes no quantile.
    this.#growth *= FORGETTING ** -Math.min(1000, Math.max(0, intervalCount));
    if (this.#growth < LARGEST_GROWTH) return;
    for (const [index, weight] of this.#weights.entries()) this.#weights[index] = weight / this.#growth;
    this.#growth = 1;
  }
}
