import type { EvidenceCell } from "@bunting/contracts";
import { EVIDENCE_GROUPS, LATENCY_LADDER_MS } from "@bunting/contracts/literals";
import { mergeSketches, type Sketch } from "./sketch.ts";

/*
 * What a judgement looks at: per interval of ten seconds, what all instances together counted of each arm. Everything is a
 * count and merges by addition, in any order and any number of parts.
 */

/** Cells of one rollout attempt within one interval and one stage, summed over instances. `null`: that arm reported nothing. */
export interface EvidenceInterval {
  /** `floor(Unix ms / EVIDENCE_INTERVAL_MS)`. */
  readonly interval: number;
  /** Index in the plan's stages. An interval in which the stage changed occurs twice. */
  readonly stage: number;
  readonly canary: ArmEvidence | null;
  readonly control: ArmEvidence | null;
  /**
   * The canary's share of what the two arms were given, as it was configured. @default the stage's percent: right where the
   * scope serves nothing but canary and control
   */
  readonly shareRate?: number;
}

export interface ArmEvidence {
  /** Decisions that served the variant. */
  readonly exposureCount: number;
  /** Bucketing keys among them, each once in the interval. */
  readonly unitCount: number;
  /** Successes and errors. */
  readonly outcomeCount: number;
  readonly errorCount: number;
  /** Errors, each unit once in the interval. */
  readonly unitErrorCount: number;
  readonly groups: ArmGroups;
  /** Latencies of outcomes. */
  readonly sketch: Sketch;
  /** `[group * LADDER_RUNG_COUNT + rung]`: outcomes of the group that were slower than the rung. */
  readonly ladder: GroupSums;
  /** Custom metrics by name. */
  readonly metrics: ReadonlyMap<string, MetricCounts>;
}

/** What a cell counts, whatever it counts for. */
export type EvidenceCounts = Omit<EvidenceCell, "rollout" | "attempt" | "stage" | "variant" | "interval">;

/** One sum per hash group. */
export type GroupSums = Readonly<Float64Array>;

export interface ArmGroups {
  readonly unitCount: GroupSums;
  readonly outcomeCount: GroupSums;
  readonly errorCount: GroupSums;
  readonly unitErrorCount: GroupSums;
}

export interface MetricCounts {
  readonly eventCount: number;
  /** Units that had the event at least once in the interval. */
  readonly unitEventCount: number;
  readonly sum: number;
  readonly sumOfSquares: number;
  readonly groupUnitEventCount: GroupSums;
}

/** Units fall into this many groups by a hash of their own, so that clustering shows as variance between groups. */
export const GROUP_COUNT: number = EVIDENCE_GROUPS;

export const LADDER_RUNG_COUNT: number = LATENCY_LADDER_MS.length;

/** The sum of one arm's cells of one interval; `null` if there are none. */
export function armFromCells(cells: Iterable<EvidenceCounts>): ArmEvidence | null {
  return mergeArms([...cells].map(armFromCell));
}

/** The sum of several reports of one arm; `null` if there are none. */
export function mergeArms(arms: Iterable<ArmEvidence | null>): ArmEvidence | null {
  const present = [...arms].filter((arm) => arm !== null);
  const [first] = present;
  if (first === undefined || present.length === 1) return first ?? null;
  const total = (count: (arm: ArmEvidence) => number): number => present.reduce((sum, arm) => sum + count(arm), 0);
  const names = new Set(present.flatMap(({ metrics }) => [...metrics.keys()]));
  return {
    exposureCount: total(({ exposureCount }) => exposureCount),
    unitCount: total(({ unitCount }) => unitCount),
    outcomeCount: total(({ outcomeCount }) => outcomeCount),
    errorCount: total(({ errorCount }) => errorCount),
    unitErrorCount: total(({ unitErrorCount }) => unitErrorCount),
    groups: {
      unitCount: sums(present.map(({ groups }) => groups.unitCount)),
      outcomeCount: sums(present.map(({ groups }) => groups.outcomeCount)),
      errorCount: sums(present.map(({ groups }) => groups.errorCount)),
      unitErrorCount: sums(present.map(({ groups }) => groups.unitErrorCount)),
    },
    sketch: mergeSketches(present.map(({ sketch }) => sketch)),
    ladder: sums(present.map(({ ladder }) => ladder)),
    metrics: new Map(
      [...names].map((name) => [name, mergeMetrics(present.flatMap(({ metrics }) => metrics.get(name) ?? []))]),
    ),
  };
}

function armFromCell(cell: EvidenceCounts): ArmEvidence {
  const groups = {
    unitCount: new Float64Array(GROUP_COUNT),
    outcomeCount: new Float64Array(GROUP_COUNT),
    errorCount: new Float64Array(GROUP_COUNT),
    unitErrorCount: new Float64Array(GROUP_COUNT),
  };
  for (const [group, unitCount, outcomeCount, errorCount, unitErrorCount] of cell.groups) {
    add(groups.unitCount, group, unitCount);
    add(groups.outcomeCount, group, outcomeCount);
    add(groups.errorCount, group, errorCount);
    add(groups.unitErrorCount, group, unitErrorCount);
  }
  // Most rollouts watch errors only: arms without latencies share nothing of this size.
  const ladder = new Float64Array(cell.ladder.length === 0 ? 0 : GROUP_COUNT * LADDER_RUNG_COUNT);
  for (const [group, rung, count] of cell.ladder) add(ladder, group * LADDER_RUNG_COUNT + rung, count);
  const sketch = new Map<number, number>();
  for (const [bin, count] of cell.sketch) sketch.set(bin, (sketch.get(bin) ?? 0) + count);
  const metrics = Object.entries(cell.metrics ?? {}).map(([name, metric]): [string, MetricCounts] => {
    const groupUnitEventCount = new Float64Array(GROUP_COUNT);
    for (const [group, count] of metric.groups) add(groupUnitEventCount, group, count);
    const { eventCount, unitEventCount, sum, sumOfSquares } = metric;
    return [name, { eventCount, unitEventCount, sum, sumOfSquares, groupUnitEventCount }];
  });
  const { exposureCount, unitCount, outcomeCount, errorCount, unitErrorCount } = cell;
  return {
    exposureCount,
    unitCount,
    outcomeCount,
    errorCount,
    unitErrorCount,
    groups,
    sketch,
    ladder,
    metrics: new Map(metrics),
  };
}

function mergeMetrics(counts: readonly MetricCounts[]): MetricCounts {
  const total = (count: (metric: MetricCounts) => number): number =>
    counts.reduce((sum, metric) => sum + count(metric), 0);
  return {
    eventCount: total(({ eventCount }) => eventCount),
    unitEventCount: total(({ unitEventCount }) => unitEventCount),
    sum: total(({ sum }) => sum),
    sumOfSquares: total(({ sumOfSquares }) => sumOfSquares),
    groupUnitEventCount: sums(counts.map(({ groupUnitEventCount }) => groupUnitEventCount)),
  };
}

/** Element by element; parts may be empty. */
function sums(parts: readonly GroupSums[]): Float64Array {
  const total = new Float64Array(Math.max(0, ...parts.map(({ length }) => length)));
  for (const part of parts) for (const [index, count] of part.entries()) add(total, index, count);
  return total;
}

function add(into: Float64Array, index: number, count: number): void {
  if (index < into.length) into[index] = (into[index] ?? 0) + count;
}
