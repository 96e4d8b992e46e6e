import type { TelemetryBatch } from "@bunting/contracts";

/** Above either of these a batch is not taken, and comes again. The second is about a hundred megabytes. */
const MAXIMUM_WAITING = 10_000;
const MAXIMUM_WAITING_WORK = 500_000;
/** What one commit takes, unless a single batch is more: a few hundredths of a second, in which nothing else gets its turn. */
const BATCHES_PER_COMMIT = 200;
const WORK_PER_COMMIT = 5_000;
/** A cell of evidence has dozens of counts, and is written to three tables. */
const WORK_OF_EVIDENCE = 20;

/**
 * Batches that wait for a commit, in the order of their arrival. Bounded by what is in them: some have a thousand times as much
 * as others.
 */
export class WaitingBatches<Waiting extends { readonly batch: TelemetryBatch }> {
  #waiting: Waiting[] = [];
  #work = 0;

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** False if there is no room for it. */
  add(waiting: Waiting): boolean {
    if (this.#waiting.length >= MAXIMUM_WAITING || this.#work >= MAXIMUM_WAITING_WORK) return false;
    this.#waiting.push(waiting);
    this.#work += workOf(waiting.batch);
    return true;
  }

  /** Takes what the next commit is to merge: at least one batch, if any waits. */
  take(): Waiting[] {
    let [count, work] = [0, 0];
    for (const { batch } of this.#waiting.slice(0, BATCHES_PER_COMMIT)) {
      const more = workOf(batch);
      if (count > 0 && work + more > WORK_PER_COMMIT) break;
      count += 1;
      work += more;
    }
    this.#work -= work;
    return this.#waiting.splice(0, count);
  }
}

/** In cells of exposures: about five microseconds each. */
function workOf({ cells, unknown = [], evidence = [], breakers = [], gauges = [] }: TelemetryBatch): number {
  return cells.length + unknown.length + WORK_OF_EVIDENCE * (evidence.length + breakers.length + gauges.length);
}
