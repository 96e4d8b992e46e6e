import type { GaugeReport } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { isMetricKey } from "../guards.ts";

/** A larger value has no exact square sums, and is a mistake. */
export function isMeasure(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}

/** The last value of each gauge since the batch before. */
export class Gauges {
  private values = new Map<string, GaugeReport>();

  /** False: not a gauge that could be reported, or one too many. */
  set(metric: string, value: number, interval: number): boolean {
    if (!isMeasure(value) || !isMetricKey(metric)) return false;
    if (!this.values.has(metric) && this.values.size === LIMITS.gaugesPerBatch) return false;
    this.values.set(metric, { metric, last: value, interval });
    return true;
  }

  /** What is yet to be taken. */
  get waiting(): readonly GaugeReport[] {
    return [...this.values.values()];
  }

  take(): readonly GaugeReport[] {
    const taken = this.waiting;
    this.values = new Map();
    return taken;
  }
}
