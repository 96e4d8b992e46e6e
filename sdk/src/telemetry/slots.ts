import type { TelemetryCell } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { isStoredText } from "../guards.ts";
import { jsonBytes } from "./json-bytes.ts";

/** What was counted, taken out of the counters: from here on it belongs to a batch. */
export interface Counts {
  readonly cells: readonly TelemetryCell[];
  readonly unknown: readonly { readonly flag: string; readonly evaluations: number }[];
  readonly dropped: number;
  /** More waits than one batch takes. */
  readonly isFull: boolean;
}

/**
 * Counters of exposures. An evaluation only increments a number in a typed array; everything else happens when a batch is
 * made. Nothing counted is ever lost: it is in a slot, in a total, in a batch, or in `dropped`.
 */
export interface Slots {
  /** The counters of a flag, one per variant in this order. The same array as long as the variants are the same. */
  of(flag: string, variants: readonly string[]): Int32Array;
  /** Gives up the slots of flags that are gone; what they counted stays. */
  retain(isKept: (flag: string) => boolean): void;
  /** An evaluation of a flag that the ruleset does not have. */
  countUnknown(flag: string): void;
  /** Counts what will never be reported, so that the report says so. */
  countDropped(exposures: number): void;
  /**
   * Takes at most a batch full out of the counters; null if nothing was counted.
   *
   * @param mostBytes of JSON
   * @default as much as the other limits of a batch allow
   */
  take(mostBytes?: number): Counts | null;
  /** Exposures counted and not taken. */
  readonly pending: number;
  /** Exposures that a limit kept out, since the beginning. */
  readonly droppedSoFar: number;
}

interface FlagSlots {
  readonly variants: readonly string[];
  readonly counts: Int32Array;
}

/** Cells of flags and variants that are gone but not yet reported. Above: dropped, and counted as such. */
const RETAINED_CELLS = 10_000;
/** Between two entries. */
const COMMA = 1;

export function createSlots(): Slots {
  return new SlotTable();
}

class SlotTable implements Slots {
  private readonly slots = new Map<string, FlagSlots>();
  /** Swept out of the slots, by flag and variant. */
  private readonly totals = new Map<string, Map<string, number>>();
  private cellCount = 0;
  private readonly unknown = new Map<string, number>();
  private dropped = 0;
  droppedSoFar = 0;

  of(flag: string, variants: readonly string[]): Int32Array {
    const existing = this.slots.get(flag);
    if (existing !== undefined) {
      if (isSame(existing.variants, variants)) return existing.counts;
      this.sweep(flag, existing);
    }
    const counts = new Int32Array(variants.length);
    this.slots.set(flag, { variants: [...variants], counts });
    return counts;
  }

  retain(isKept: (flag: string) => boolean): void {
    for (const [flag, slots] of this.slots) {
      if (isKept(flag)) continue;
      this.sweep(flag, slots);
      this.slots.delete(flag);
    }
  }

  countUnknown(flag: string): void {
    const before = this.unknown.get(flag);
    if (before !== undefined) this.unknown.set(flag, before + 1);
    else if (this.unknown.size < LIMITS.telemetryUnknownFlags && isStoredText(flag, LIMITS.keyCharacters)) {
      this.unknown.set(flag, 1);
    } else this.countDropped(1);
  }

  countDropped(exposures: number): void {
    this.dropped += exposures;
    this.droppedSoFar += exposures;
  }

  take(mostBytes: number = Number.POSITIVE_INFINITY): Counts | null {
    for (const [flag, slots] of this.slots) this.sweep(flag, slots);
    if (this.cellCount === 0 && this.unknown.size === 0 && this.dropped === 0) return null;
    let room = mostBytes;
    const fits = (entry: object): boolean => {
      const bytes = jsonBytes(entry) + COMMA;
      if (bytes > room) return false;
      room -= bytes;
      return true;
    };
    // Names come first, for there are few: behind counts that fill each batch they would wait for ever.
    const unknown = this.takeUnknown(fits);
    const cells = this.takeCells(fits);
    const { dropped } = this;
    this.dropped = 0;
    return { cells, unknown, dropped, isFull: this.cellCount > 0 || this.unknown.size > 0 };
  }

  private takeCells(fits: (entry: object) => boolean): readonly TelemetryCell[] {
    const cells: TelemetryCell[] = [];
    for (const [flag, variants] of this.totals) {
      for (const [variant, exposures] of variants) {
        const cell = { flag, variant, exposures };
        if (cells.length === LIMITS.telemetryCells || !fits(cell)) return cells;
        cells.push(cell);
        this.cellCount -= 1;
        variants.delete(variant);
      }
      this.totals.delete(flag);
    }
    return cells;
  }

  private takeUnknown(fits: (entry: object) => boolean): Counts["unknown"] {
    const taken: { flag: string; evaluations: number }[] = [];
    for (const [flag, evaluations] of this.unknown) {
      const entry = { flag, evaluations };
      if (!fits(entry)) break;
      taken.push(entry);
      this.unknown.delete(flag);
    }
    return taken;
  }

  get pending(): number {
    let sum = this.dropped;
    for (const evaluations of this.unknown.values()) sum += evaluations;
    for (const { counts } of this.slots.values()) for (const count of counts) sum += count >>> 0;
    for (const variants of this.totals.values()) for (const exposures of variants.values()) sum += exposures;
    return sum;
  }

  /** Moves the counters into the totals. A slot may have wrapped into the sign bit, hence the shift. */
  private sweep(flag: string, { variants, counts }: FlagSlots): void {
    for (let index = 0; index < counts.length; index += 1) {
      const count = (counts[index] ?? 0) >>> 0;
      const variant = variants[index];
      if (count === 0 || variant === undefined) continue;
      counts[index] = 0;
      this.add(flag, variant, count);
    }
  }

  private add(flag: string, variant: string, count: number): void {
    let variants = this.totals.get(flag);
    const before = variants?.get(variant);
    if (before === undefined) {
      if (this.cellCount >= RETAINED_CELLS) {
        this.countDropped(count);
        return;
      }
      this.cellCount += 1;
    }
    if (variants === undefined) {
      variants = new Map();
      this.totals.set(flag, variants);
    }
    variants.set(variant, (before ?? 0) + count);
  }
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((variant, index) => variant === right[index]);
}
