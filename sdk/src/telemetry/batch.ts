import type { TelemetryBatch } from "@bunting/contracts";
import type { Report } from "./report.ts";

/** A batch that has its number: from here on nothing of it changes but its age. */
export interface NumberedBatch {
  readonly boot: string;
  readonly sequence: number;
  /** Unix ms. Described, never decided by. */
  readonly from: number;
  readonly to: number;
  /** Monotonic ms. */
  readonly numberedAt: number;
  readonly report: Report;
}

/** As it goes over the wire. The server places it in time by its age, because a wall clock may be wrong. */
export function renderBatch(batch: NumberedBatch, instance: string, monotonic: number): TelemetryBatch {
  const { boot, sequence, from, to, report } = batch;
  const { cells, unknown, dropped, evidence, breakers, gauges, overridden, evidenceDropped } = report;
  return {
    instance,
    boot,
    sequence,
    from,
    to: Math.max(from, to),
    ageMs: Math.max(0, Math.round(monotonic - batch.numberedAt)),
    cells: [...cells],
    ...(unknown.length > 0 && { unknown: [...unknown] }),
    ...(evidence.length > 0 && { evidence: [...evidence] }),
    ...(breakers.length > 0 && { breakers: [...breakers] }),
    ...(gauges.length > 0 && { gauges: [...gauges] }),
    ...(overridden.length > 0 && { overridden: [...overridden] }),
    ...(dropped > 0 && { dropped }),
    ...(evidenceDropped > 0 && { evidenceDropped }),
  };
}
