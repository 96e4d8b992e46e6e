import { LIMITS } from "@bunting/contracts/literals";
import { type EvidenceBook, eventsOf, type TakenEvidence } from "../evidence/book.ts";
import type { ActiveOverride } from "../types.ts";
import { jsonBytes } from "./json-bytes.ts";
import type { Counts, Slots } from "./slots.ts";

/** What one batch reports. From here on nothing of it changes. */
export interface Report extends Counts, TakenEvidence {
  /** Flags that an override forces here now. */
  readonly overridden: readonly string[];
}

/** Of JSON in one batch: it is one message of the stream, and the names of its fields want some of it. */
const MOST_BYTES = LIMITS.streamMessageBytes - 2048;
const NOTHING: Counts = { cells: [], unknown: [], dropped: 0, isFull: false };

/** Everything that telemetry is made of, behind one door. */
export class ReportSource {
  private readonly slots: Slots;
  private readonly book: EvidenceBook;
  private readonly overrides: () => readonly ActiveOverride[];
  /** As the last batch said: a change is news by itself. */
  private reportedOverrides = "";

  constructor(slots: Slots, book: EvidenceBook, overrides: () => readonly ActiveOverride[]) {
    this.slots = slots;
    this.book = book;
    this.overrides = overrides;
  }

  get isEmpty(): boolean {
    return this.slots.pending === 0 && this.book.isEmpty && this.overridden().join("\n") === this.reportedOverrides;
  }

  /** Takes at most a batch full out of the counters; null if there is nothing to say. */
  take(): Report | null {
    if (this.isEmpty) return null;
    const overridden = this.overridden();
    this.reportedOverrides = overridden.join("\n");
    const room = MOST_BYTES - jsonBytes(overridden);
    const { leastBytes } = this.book;
    const counts = this.slots.take(room - leastBytes) ?? NOTHING;
    // What was left for evidence stays so: names of fields beside the entries are no part of the room.
    const evidence = this.book.take(Math.max(leastBytes, room - jsonBytes(counts)));
    return { ...counts, ...evidence, overridden, isFull: counts.isFull || evidence.isFull };
  }

  /** What this said will never be known to have arrived. */
  giveUp(report: Report): void {
    this.slots.countDropped(exposuresOf(report));
    this.book.drop(eventsOf(report));
    this.reportedOverrides = "";
  }

  private overridden(): readonly string[] {
    return this.overrides()
      .map(({ flag }) => flag)
      .slice(0, LIMITS.telemetryUnknownFlags);
  }
}

/** Every evaluation that is reported, dropped ones too: what produced = acknowledged + dropped + pending adds up. */
export function exposuresOf({ cells, unknown, dropped }: Omit<Counts, "isFull">): number {
  const served = cells.reduce((sum, cell) => sum + cell.exposures, 0);
  return unknown.reduce((sum, entry) => sum + entry.evaluations, served) + dropped;
}
