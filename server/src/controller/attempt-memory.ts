import type { Rollout } from "@bunting/contracts";
import { type AttemptStatistics, intervalsOf, isAfter, isComplete, type Place, StatisticsTrail } from "@bunting/gating";
import { armsOf, type EvidencePlace, type EvidenceRow, type EvidenceSource } from "../evidence/evidence.ts";
import { ROWS_AT_ONCE } from "../evidence/in-pages.ts";

/** `more`: call again, after others had their turn. `unreadable`: evidence cannot be read at the moment. */
export type Progress = "done" | "more" | "unreadable";

type Evidence = Pick<EvidenceSource, "cells" | "page">;

/**
 * What was added up of one attempt's evidence. A cache and nothing else: made anew it gives the same, only later.
 *
 * It is brought up to date in steps, so that nobody waits for the seconds that a day of evidence takes: those of an attempt that
 * a server finds when it starts, or of one in which something came late. What becomes usable meanwhile waits for the next
 * time: an attempt in which something always comes late would never be up to date.
 */
export class AttemptMemory {
  readonly #rollout: Rollout;
  readonly #trail: StatisticsTrail;
  #through = -1;
  #settledCount = 0;
  /** Something usable was of an interval that was not whole, so it was not added. */
  #hasGap = false;
  #reading: Reading | null = null;

  constructor(rollout: Rollout) {
    this.#rollout = rollout;
    this.#trail = new StatisticsTrail(rollout.plan);
  }

  isOf({ id, attempt }: Pick<Rollout, "id" | "attempt">): boolean {
    return this.#rollout.id === id && this.#rollout.attempt === attempt;
  }

  get statistics(): AttemptStatistics {
    return this.#trail.statistics;
  }

  /** Interval index: everything that had become usable by then, and is of whole intervals, has been added. */
  get through(): number {
    return this.#through;
  }

  /** Rows that had become usable by then. */
  get settledCount(): number {
    return this.#settledCount;
  }

  /**
   * The statistics as they are with rows that are not usable yet; null if those belong among what was added, so that it would
   * take time.
   */
  statisticsWith(rows: readonly EvidenceRow[], now: number): AttemptStatistics | null {
    const { statistics, last } = this.#trail;
    const intervals = intervalsOf({ rollout: this.#rollout, cells: rows }).filter((each) => isComplete(each, now));
    if (intervals.length === 0) return statistics;
    if (this.#hasGap || intervals.some((each) => last !== null && !isAfter(each, last))) return null;
    const copy = statistics.copy();
    for (const interval of intervals) copy.add(interval);
    return copy;
  }

  /** Takes a step towards what is usable at `through`, or at what it was when the first of these steps was taken. */
  advance(evidence: Evidence, through: number, now: number): Progress {
    this.#reading ??= this.#begin(evidence, through, now);
    const reading = this.#reading;
    if (reading === null) return "unreadable";
    const range = { after: reading.lastRead, through: reading.through, limit: ROWS_AT_ONCE };
    const rows = evidence.page(armsOf(this.#rollout), range);
    if (rows === null) return "unreadable";
    const isEnd = rows.length < ROWS_AT_ONCE;
    this.#take(reading, rows, { isEnd, now });
    if (!isEnd) return "more";
    this.#through = reading.through;
    this.#settledCount += reading.newCount;
    this.#hasGap = reading.gap !== null;
    this.#reading = null;
    const { last } = this.#trail;
    // Between the turns time went on, or the clock was set: what counts is what is whole now, when it is decided.
    const isAsOfNow =
      (last === null || isComplete(last, now)) && (reading.gap === null || !isComplete(reading.gap, now));
    return isAsOfNow ? "done" : "more";
  }

  /** Goes back to before what has come late; null if that cannot be read. */
  #begin(evidence: Evidence, through: number, now: number): Reading | null {
    const trail = this.#trail;
    // After a clock was set back, what was whole then is not whole now.
    while (trail.last !== null && !isComplete(trail.last, now)) trail.rewindBefore(trail.last);
    const isFirst = this.#through < 0;
    const news = isFirst ? [] : evidence.cells(armsOf(this.#rollout), { after: this.#through, through });
    if (news === null) return null;
    const { last } = trail;
    const late = last === null ? [] : news.filter((row) => !isAfter(row, last));
    const [first, ...others] = late;
    if (first)
      trail.rewindBefore(others.reduce<Place>((earliest, row) => (isAfter(earliest, row) ? row : earliest), first));
    const lastRead = trail.last && { ...trail.last, variant: AFTER_ANY, availableAt: Number.MAX_SAFE_INTEGER };
    return { through, lastRead, unfinished: [], gap: null, newCount: news.length, countsRows: isFirst };
  }

  /** Adds what is whole; the last place of a page may go on with the next. */
  #take(
    reading: Reading,
    rows: readonly EvidenceRow[],
    { isEnd, now }: { readonly isEnd: boolean; readonly now: number },
  ): void {
    if (reading.countsRows) reading.newCount += rows.length;
    const read = [...reading.unfinished, ...rows];
    const final = read.at(-1);
    reading.lastRead = rows.at(-1) ?? reading.lastRead;
    const isUnfinished = (row: EvidenceRow): boolean =>
      !isEnd && row.interval === final?.interval && row.stage === final.stage;
    reading.unfinished = read.filter(isUnfinished);
    const cells = read.filter((row) => !isUnfinished(row));
    for (const interval of intervalsOf({ rollout: this.#rollout, cells })) {
      if (!isComplete(interval, now)) reading.gap ??= interval;
      if (reading.gap === null) this.#trail.add(interval);
    }
  }
}

/** Evidence on its way into the statistics. */
interface Reading {
  readonly through: number;
  lastRead: EvidencePlace | null;
  unfinished: readonly EvidenceRow[];
  /** The first interval that was not whole: nothing after it can be added. */
  gap: Place | null;
  newCount: number;
  readonly countsRows: boolean;
}

/** Variants are named in ASCII. */
const AFTER_ANY = "\u{ffff}";
