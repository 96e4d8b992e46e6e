import type { MetricEvidence } from "@bunting/contracts";
import { LATENCY_LADDER_MS } from "@bunting/contracts/literals";
import { type EvidenceCounts, HIGHEST_BIN, LOWEST_BIN } from "@bunting/gating";

/** Where sums stop rather than lose exactness: what a client sends must not be able to spoil a row. */
const MAXIMUM = Number.MAX_SAFE_INTEGER;

type Scalar = "exposureCount" | "unitCount" | "outcomeCount" | "errorCount" | "unitErrorCount" | "uncheckedCount";

const SCALARS: readonly Scalar[] = [
  "exposureCount",
  "unitCount",
  "outcomeCount",
  "errorCount",
  "unitErrorCount",
  "uncheckedCount",
];

/**
 * Cells added up. The order of addition does not show in the counts, and what is rendered is sorted, so the same cells give
 * the same text. Bins and rungs that no SDK of ours sends are moved to the nearest there is, or a client could grow a row
 * without end.
 */
export class CellSum {
  readonly #scalars = new Map<Scalar, number>();
  readonly #groups = new Map<number, [number, number, number, number]>();
  readonly #sketch = new Map<number, number>();
  /** By rung and group in one number. */
  readonly #ladder = new Map<number, number>();
  readonly #metrics = new Map<string, MetricSum>();

  add(cell: EvidenceCounts): this {
    for (const name of SCALARS) increase(this.#scalars, name, cell[name]);
    for (const [group, ...counts] of cell.groups) {
      const sums = this.#groups.get(group);
      if (!sums) this.#groups.set(group, counts);
      else for (const [index, count] of counts.entries()) sums[index] = bounded((sums[index] ?? 0) + count);
    }
    for (const [bin, count] of cell.sketch) {
      increase(this.#sketch, Math.max(LOWEST_BIN, Math.min(HIGHEST_BIN, bin)), count);
    }
    for (const [group, rung, count] of cell.ladder) {
      if (rung < RUNGS) increase(this.#ladder, group * RUNGS + rung, count);
    }
    for (const [name, metric] of Object.entries(cell.metrics ?? {})) this.#addMetric(name, metric);
    return this;
  }

  render(): EvidenceCounts {
    const scalars = Object.fromEntries(SCALARS.map((name) => [name, this.#scalars.get(name) ?? 0]));
    const metrics = sorted(this.#metrics, (one, other) => (one < other ? -1 : 1));
    return {
      ...(scalars as Record<Scalar, number>),
      groups: sorted(this.#groups, ascending).map(([group, counts]) => [group, ...counts]),
      sketch: sorted(this.#sketch, ascending),
      ladder: sorted(this.#ladder, ascending).map(([place, count]) => [
        Math.floor(place / RUNGS),
        place % RUNGS,
        count,
      ]),
      ...(metrics.length > 0 && {
        metrics: Object.fromEntries(metrics.map(([name, metric]) => [name, renderMetric(metric)])),
      }),
    };
  }

  #addMetric(name: string, metric: MetricEvidence): void {
    let sums = this.#metrics.get(name);
    if (!sums) {
      sums = { eventCount: 0, unitEventCount: 0, sum: 0, sumOfSquares: 0, groups: new Map() };
      this.#metrics.set(name, sums);
    }
    sums.eventCount = bounded(sums.eventCount + metric.eventCount);
    sums.unitEventCount = bounded(sums.unitEventCount + metric.unitEventCount);
    sums.sum = finite(sums.sum + metric.sum);
    sums.sumOfSquares = finite(sums.sumOfSquares + metric.sumOfSquares);
    for (const [group, count] of metric.groups) increase(sums.groups, group, count);
  }
}

/** As a row holds it: positions instead of names, a third of the size. */
export function encodeCounts(counts: EvidenceCounts): string {
  const metrics = Object.entries(counts.metrics ?? {}).map(([name, metric]) => [
    name,
    metric.eventCount,
    metric.unitEventCount,
    metric.sum,
    metric.sumOfSquares,
    metric.groups,
  ]);
  return JSON.stringify([SCALARS.map((name) => counts[name]), counts.groups, counts.sketch, counts.ladder, metrics]);
}

export function decodeCounts(text: string): EvidenceCounts {
  const [scalars, groups, sketch, ladder, metrics] = JSON.parse(text) as [
    number[],
    EvidenceCounts["groups"],
    EvidenceCounts["sketch"],
    EvidenceCounts["ladder"],
    [string, number, number, number, number, MetricEvidence["groups"]][],
  ];
  return {
    ...(Object.fromEntries(SCALARS.map((name, index) => [name, scalars[index] ?? 0])) as Record<Scalar, number>),
    groups,
    sketch,
    ladder,
    ...(metrics.length > 0 && {
      metrics: Object.fromEntries(
        metrics.map(([name, eventCount, unitEventCount, sum, sumOfSquares, groups]) => [
          name,
          { eventCount, unitEventCount, sum, sumOfSquares, groups },
        ]),
      ),
    }),
  };
}

const RUNGS = LATENCY_LADDER_MS.length;

interface MetricSum {
  eventCount: number;
  unitEventCount: number;
  sum: number;
  sumOfSquares: number;
  readonly groups: Map<number, number>;
}

const renderMetric = ({ groups, ...metric }: MetricSum): MetricEvidence => ({
  ...metric,
  groups: sorted(groups, ascending),
});

const bounded = (count: number): number => Math.min(MAXIMUM, count);

/** JSON has no infinity. */
const finite = (value: number): number => Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, value));

function increase<Key>(counts: Map<Key, number>, key: Key, count: number): void {
  counts.set(key, bounded((counts.get(key) ?? 0) + count));
}

const ascending = (one: number, other: number): number => one - other;

function sorted<Key, Value>(map: ReadonlyMap<Key, Value>, compare: (one: Key, other: Key) => number): [Key, Value][] {
  return [...map].sort(([one], [other]) => compare(one, other));
}
