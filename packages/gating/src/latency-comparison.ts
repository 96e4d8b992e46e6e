import { BulkTest } from "./bulk-test.ts";
import type { ControlHistory } from "./control-history.ts";
import { exceedanceDispersion, total } from "./dispersion.ts";
import type { ArmEvidence, GroupSums } from "./evidence.ts";
import { NON_INFERIOR, TAIL } from "./grid.ts";
import { groupsAbove, nearestRung } from "./ladder.ts";
import { logWeightedMean } from "./log-space.ts";
import { type EventCounts, RelativeTest } from "./relative-test.ts";
import { countAbove, sketchCount } from "./sketch.ts";

/** Quantiles whose tails are compared. The 99th alone is thin, so the 95th stands beside it. */
const TAILS: Readonly<Record<LatencyMetric, readonly number[]>> = {
  latency_p50: [0.5],
  latency_p95: [0.95, 0.99],
  latency_p99: [0.95, 0.99],
};

export type LatencyMetric = "latency_p50" | "latency_p95" | "latency_p99";

export const QUANTILES: Readonly<Record<LatencyMetric, number>> = {
  latency_p50: 0.5,
  latency_p95: 0.95,
  latency_p99: 0.99,
};

/**
 * "The canary is at most `shift` bins slower than the control", refuted by its bulk or by its tail: each sees what the other
 * does not.
 */
export class LatencyComparison {
  readonly #metric: LatencyMetric;
  readonly #shift: number;
  #bulk: BulkTest;
  #tails: readonly { readonly quantile: number; readonly harm: RelativeTest }[];
  #nonInferiority: readonly RelativeTest[];

  constructor(metric: LatencyMetric, shift: number) {
    this.#metric = metric;
    this.#shift = shift;
    this.#bulk = new BulkTest(shift);
    this.#tails = TAILS[metric].map((quantile) => ({ quantile, harm: exceedanceTest(TAIL) }));
    this.#nonInferiority = this.#tails.map(() => exceedanceTest(NON_INFERIOR));
  }

  checkpoint(): void {
    this.#bulk.checkpoint();
    for (const { harm } of this.#tails) harm.checkpoint();
  }

  startStage(): void {
    this.#nonInferiority = this.#tails.map(() => exceedanceTest(NON_INFERIOR));
  }

  /** The same so far; what is added to one is not added to the other. */
  copy(): LatencyComparison {
    const copy = new LatencyComparison(this.#metric, this.#shift);
    copy.#bulk = this.#bulk.copy();
    copy.#tails = this.#tails.map(({ quantile, harm }) => ({ quantile, harm: harm.copy() }));
    copy.#nonInferiority = this.#nonInferiority.map((tail) => tail.copy());
    return copy;
  }

  /** @param history of the control before this interval; while it is empty there is no threshold to judge by */
  add({ canary, control }: Arms, history: ControlHistory, inStage: boolean): void {
    if (history.empty) return;
    this.#bulk.add((bin) => history.score(bin), canary, control);
    for (const [index, { quantile, harm }] of this.#tails.entries()) {
      const threshold = history.quantileBin(quantile);
      const counts = exceedances(canary, control, { canary: threshold + this.#shift, control: threshold });
      harm.add(counts);
      if (inStage) this.#nonInferiority[index]?.add(counts);
    }
  }

  /** Log of the e-value of harm: half of the weight on the bulk, the rest on the tails. */
  logEvidence(): number {
    return logWeightedMean(
      [this.#bulk.logEvidence(), ...this.#tails.map(({ harm }) => harm.logEvidence())],
      [this.#tails.length, ...this.#tails.map(() => 1)],
    );
  }

  /** Of the stage; each tail must be proven. */
  nonInferiorityLogEvidence(): number {
    return Math.min(...this.#nonInferiority.map((tail) => tail.nonInferiorityLogEvidence()));
  }
}

interface Arms {
  readonly canary: ArmEvidence | null;
  readonly control: ArmEvidence | null;
}

/** Requests above a bin in each arm, and per group at the rung nearest to it. */
export function exceedances(
  canary: ArmEvidence | null,
  control: ArmEvidence | null,
  bins: { readonly canary: number; readonly control: number },
): EventCounts {
  return {
    canaryExposureCount: canary === null ? 0 : sketchCount(canary.sketch),
    canaryEventCount: canary === null ? 0 : countAbove(canary.sketch, bins.canary),
    controlExposureCount: control === null ? 0 : sketchCount(control.sketch),
    controlEventCount: control === null ? 0 : countAbove(control.sketch, bins.control),
    canaryGroupEvents: canary === null ? NONE : canaryGroups(canary, bins.canary),
    controlGroupExposures: control === null ? NONE : control.groups.outcomeCount,
    controlGroupEvents: control === null ? NONE : groupsAbove(control.ladder, nearestRung(bins.control)),
  };
}

const NONE: GroupSums = new Float64Array(0);

/** Where the nearest rung is so high that nobody is above it, the one below says more; below the first, requests do. */
function canaryGroups(canary: ArmEvidence, bin: number): GroupSums {
  const nearest = nearestRung(bin);
  for (let rung = nearest; rung >= 0; rung -= 1) {
    const groups = groupsAbove(canary.ladder, rung);
    if (total(groups) > 0) return groups;
    if (countAbove(canary.sketch, bin) === 0) return groups;
  }
  return canary.groups.outcomeCount;
}

const exceedanceTest = (grid: typeof TAIL): RelativeTest =>
  new RelativeTest({ grid, nullRateRatio: 1, estimate: exceedanceDispersion });
