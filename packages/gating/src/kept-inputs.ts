import type { EvidenceCell } from "@bunting/contracts";
import { type DecisionInputs, decide, intervalsOf } from "./decide.ts";
import { isOfLastMinute } from "./judge.ts";
import type { Ruling } from "./ruling.ts";
import { AttemptStatistics } from "./statistics.ts";
import { isAfter } from "./statistics-trail.ts";
import { isComplete } from "./watermark.ts";

/**
 * What is stored of a look's inputs. Evidence that will never change again is named and not copied; what was fresher than that
 * is kept.
 */
export interface KeptInputs extends Omit<DecisionInputs, "cells"> {
  /** Evidence that had become usable up to this interval index. */
  readonly through: number;
  /**
   * How many rows of it there were: with fewer, what is left is not what was judged. Null where a person's word decided and
   * evidence was not looked at.
   */
  readonly settledCount: number | null;
  readonly fresh: readonly EvidenceCell[];
}

/**
 * The inputs as they were; null if their evidence is no longer there, or not all of it.
 *
 * @param settled every row of the attempt that had become usable at `through`
 */
export function restoreInputs(kept: KeptInputs, settled: readonly EvidenceCell[]): DecisionInputs | null {
  const { through: _through, settledCount, fresh, ...inputs } = kept;
  if (settledCount === null) return { ...inputs, cells: [...fresh] };
  return settled.length === settledCount ? { ...inputs, cells: [...settled, ...fresh] } : null;
}

/** Whether stored inputs are those of a look, as this release keeps them. */
export function isKept(inputs: unknown): inputs is KeptInputs {
  if (typeof inputs !== "object" || inputs === null) return false;
  const { kind, through, settledCount, fresh } = inputs as Readonly<Record<string, unknown>>;
  return (
    kind === "analysis" &&
    typeof through === "number" &&
    (settledCount === null || typeof settledCount === "number") &&
    Array.isArray(fresh)
  );
}

/**
 * The decision of {@link restoreInputs}, byte for byte, without holding what it rests on: a week of evidence is gigabytes. Null
 * if that is no longer there, or not all of it.
 *
 * @param pages all rows that had become usable at `through`, by interval and stage. Not read where the decision rests on none
 */
export async function decideInPages(
  { through, settledCount, fresh, ...inputs }: KeptInputs,
  pages: AsyncIterable<readonly EvidenceCell[]>,
): Promise<Ruling | null> {
  const { rollout, now } = inputs;
  const statistics = new AttemptStatistics(rollout.plan);
  const recent: EvidenceCell[] = [];
  const add = (cells: readonly EvidenceCell[]): void => {
    for (const interval of intervalsOf({ rollout, cells })) if (isComplete(interval, now)) statistics.add(interval);
    recent.push(...cells.filter((cell) => isOfLastMinute(cell, now)));
  };
  let rowCount = 0;
  let settledLeft: readonly EvidenceCell[] = [];
  let freshLeft = fresh;
  if (settledCount !== null && through >= 0) {
    for await (const rows of pages) {
      rowCount += rows.length;
      const settled = [...settledLeft, ...rows];
      const last = settled.at(-1);
      if (last === undefined) continue;
      // The last place of a page may go on with the next, and what was fresh of an interval is added with what had settled.
      const isWhole = (cell: EvidenceCell): boolean => isAfter(last, cell);
      add([...settled.filter(isWhole), ...freshLeft.filter(isWhole)]);
      settledLeft = settled.filter((cell) => !isWhole(cell));
      freshLeft = freshLeft.filter((cell) => !isWhole(cell));
    }
    if (rowCount !== settledCount) return null;
  }
  add([...settledLeft, ...freshLeft]);
  return decide({ ...inputs, cells: recent }, statistics);
}
