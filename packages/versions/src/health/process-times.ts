/** How many of the newest batches the percentile is of. */
const KEPT = 1_024;

/** How long a version took for its batches: the mean of all, the percentile of the newest. */
export class ProcessTimes {
  private readonly newest = new Float64Array(KEPT);
  private count = 0;
  private sumMs = 0;

  add(ms: number): void {
    this.newest[this.count % KEPT] = ms;
    this.count += 1;
    this.sumMs += ms;
  }

  get meanMs(): number {
    return this.count === 0 ? 0 : this.sumMs / this.count;
  }

  /** The smallest kept value that 99 % of them do not exceed (nearest rank); 0 before the first batch. */
  get p99Ms(): number {
    const kept = this.newest.slice(0, Math.min(this.count, KEPT)).sort();
    return kept[Math.ceil(kept.length * 0.99) - 1] ?? 0;
  }
}
