import type { RolloutPlan } from "@bunting/contracts";
import type { EvidenceInterval } from "./evidence.ts";
import { AttemptStatistics } from "./statistics.ts";

/** Where an interval stands in the order in which intervals are added. */
export interface Place {
  readonly interval: number;
  readonly stage: number;
}

export function isAfter(one: Place, other: Place): boolean {
  return one.interval > other.interval || (one.interval === other.interval && one.stage > other.stage);
}

/** A mark is left when so many intervals have been added since the one before: a minute. */
const MARK_SPACING = 6;

interface Mark {
  readonly last: Place;
  readonly statistics: AttemptStatistics;
}

/**
 * The statistics of an attempt for somebody who also takes what comes late. Intervals can only be added in order, so what comes
 * late means to go back and add again what follows. Marks to go back to are copies of the statistics, the denser the more
 * recent: to go back by some time costs at most about twice that time's evidence, and there are few of them however long the
 * attempt is.
 */
export class StatisticsTrail {
  readonly #plan: RolloutPlan;
  #statistics: AttemptStatistics;
  #last: Place | null = null;
  #marks: Mark[] = [];
  #addedSinceMark = 0;

  constructor(plan: RolloutPlan) {
    this.#plan = plan;
    this.#statistics = new AttemptStatistics(plan);
  }

  get statistics(): AttemptStatistics {
    return this.#statistics;
  }

  /** What was added last; null: nothing. */
  get last(): Place | null {
    return this.#last;
  }

  /**
   * @param interval whole, and after the last
   * @param place where it stands, if it is counted to another stage than it is reported for
   */
  add(interval: EvidenceInterval, place: Place = interval): void {
    this.#statistics.add(interval);
    this.#last = { interval: place.interval, stage: place.stage };
    this.#addedSinceMark += 1;
    if (this.#addedSinceMark < MARK_SPACING) return;
    this.#marks = thinned([...this.#marks, { last: this.#last, statistics: this.#statistics.copy() }]);
    this.#addedSinceMark = 0;
  }

  /** Goes back to before `place`. Everything after `last`, as it is then, has to be added again. */
  rewindBefore(place: Place): void {
    while (this.#marks.length > 0 && !isAfter(place, this.#marks.at(-1)?.last ?? place)) this.#marks.pop();
    const mark = this.#marks.at(-1);
    this.#statistics = mark?.statistics.copy() ?? new AttemptStatistics(this.#plan);
    this.#last = mark?.last ?? null;
    this.#addedSinceMark = 0;
  }
}

/** Without those between whose neighbours the way is short enough: at most twice as far back as the newer one is. */
function thinned(marks: readonly Mark[]): Mark[] {
  const newest = marks.at(-1)?.last.interval ?? 0;
  const kept: Mark[] = [];
  for (const [index, mark] of marks.entries()) {
    const older = kept.at(-1);
    const newer = marks[index + 1];
    const isBetween = older !== undefined && newer !== undefined;
    if (isBetween && newest - older.last.interval <= 2 * (newest - newer.last.interval)) continue;
    kept.push(mark);
  }
  return kept;
}
