import type { TelemetryBatch } from "@bunting/contracts";
import type { Counts } from "./slots.ts";

/** A batch that has its number: from here on nothing of it changes but its age. */
export interface NumberedBatch {
  readonly boot: string;
  readonly sequence: number;
  /** Unix ms. Described, never decided by. */
  readonly from: number;
  readonly to: number;
  /** Monotonic ms. */
  readonly numberedAt: number;
  readonly counts: Counts;
}

/** As it goes over the wire. The server places it in time by its age, because a wall clock may be wrong. */
export function renderBatch(batch: NumberedBatch, instance: string, monotonic: number): TelemetryBatch {
  const { boot, sequence, from, to, counts } = batch;
  return {
    instance,
    boot,
    sequence,
    from,
    to: Math.max(from, to),
    ageMs: Math.max(0, Math.round(monotonic - batch.numberedAt)),
    cells: [...counts.cells],
    ...(counts.unknown.length > 0 && { unknown: [...counts.unknown] }),
    ...(counts.dropped > 0 && { dropped: counts.dropped }),
  };
}

/** Everything a batch reports, dropped ones too: what produced = acknowledged + dropped + pending adds up. */
export function exposuresOf({ cells, unknown, dropped }: Counts): number {
  const served = cells.reduce((sum, cell) => sum + cell.exposures, 0);
  return unknown.reduce((sum, entry) => sum + entry.evaluations, served) + dropped;
}
