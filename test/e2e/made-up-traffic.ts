import { randomUUID } from "node:crypto";
import type { EvidenceCell, RolloutView, TelemetryBatch } from "@bunting/contracts";
import { EVIDENCE_GROUPS, EVIDENCE_INTERVAL_MS, LATENCY_LADDER_MS } from "@bunting/contracts/literals";
import { binIndex, binLatencyMs } from "@bunting/gating";

/** How the requests of one variant go. */
export interface Arm {
  /** Share of requests that fail, 0-1. */
  readonly errorRate: number;
  /** Latencies in ms, each with its share of the requests. */
  readonly latencies: readonly (readonly [ms: number, share: number])[];
  /** By metric: the share of users for whom the application tracks it. */
  readonly ratios: Readonly<Record<string, number>>;
}

/** What goes on in an application while a rollout runs. */
export interface Conditions {
  readonly canary: Arm;
  readonly control: Arm;
  /** Figures of the whole system. */
  readonly gauges: Readonly<Record<string, number>>;
}

/**
 * An application with a hundred users a second, each with one request, as its SDK reports it: without randomness, split exactly
 * as the rollout asks, users of all hash groups alike.
 */
export class MadeUpTraffic {
  readonly #identity = { instance: "made-up", boot: randomUUID() };
  #sequence = 0;
  #intervalCount = 0;

  /** The batch of the interval that `now` is in. */
  next({ id, attempt, stage, percent, plan }: RolloutView, { canary, control, gauges }: Conditions, now: number) {
    const interval = Math.floor(now / EVIDENCE_INTERVAL_MS);
    this.#sequence += 1;
    this.#intervalCount += 1;
    const canaryCount = Math.round((USERS_PER_INTERVAL * percent) / 100);
    const place = { rollout: id, attempt, stage: stage ?? 0, interval };
    const cells = [
      { ...place, ...this.#count(canary, canaryCount), variant: plan.canary },
      { ...place, ...this.#count(control, USERS_PER_INTERVAL - canaryCount), variant: plan.control },
    ];
    const batch: TelemetryBatch = {
      ...this.#identity,
      sequence: this.#sequence,
      from: now,
      to: now,
      ageMs: 0,
      cells: [],
      evidence: cells.filter(({ exposureCount }) => exposureCount > 0),
      gauges: Object.entries(gauges).map(([metric, last]) => ({ metric, last, interval })),
    };
    return batch;
  }

  #count({ errorRate, latencies, ratios }: Arm, count: number): EvidenceCounts {
    const errorCount = this.#share(count, errorRate);
    // Where the remainder of a division by groups goes: on to others in each interval, and to some of the same for a part.
    const turn = this.#intervalCount % EVIDENCE_GROUPS;
    const groups = spread(count, turn);
    const errors = spread(errorCount, turn);
    const sketch: (readonly [bin: number, count: number])[] = [];
    const ladder = new Map<number, number>();
    let rest = count;
    for (const [index, [ms, share]] of latencies.entries()) {
      const size = index === latencies.length - 1 ? rest : Math.min(rest, this.#share(count, share));
      rest -= size;
      const bin = binIndex(ms);
      if (size > 0) sketch.push([bin, size]);
      const members = spread(size, turn);
      for (const [rung, above] of LATENCY_LADDER_MS.entries()) {
        if (binLatencyMs(bin) <= above) continue;
        for (const [group, memberCount] of members.entries()) {
          const key = group * LATENCY_LADDER_MS.length + rung;
          ladder.set(key, (ladder.get(key) ?? 0) + memberCount);
        }
      }
    }
    const metrics = Object.entries(ratios).map(([metric, rate]) => {
      const eventCount = this.#share(count, rate);
      const members = entriesOf(spread(eventCount, turn));
      return [
        metric,
        { eventCount, unitEventCount: eventCount, sum: eventCount, sumOfSquares: eventCount, groups: members },
      ] as const;
    });
    return {
      exposureCount: count,
      unitCount: count,
      outcomeCount: count,
      errorCount,
      unitErrorCount: errorCount,
      uncheckedCount: 0,
      groups: groups.flatMap((size, group): [number, number, number, number, number][] => {
        const failed = errors[group] ?? 0;
        return size === 0 ? [] : [[group, size, size, failed, failed]];
      }),
      sketch: sketch.map(([bin, size]) => [bin, size]),
      ladder: [...ladder].flatMap(([key, size]): [number, number, number][] =>
        size === 0 ? [] : [[Math.floor(key / LATENCY_LADDER_MS.length), key % LATENCY_LADDER_MS.length, size]],
      ),
      ...(metrics.length > 0 && { metrics: Object.fromEntries(metrics) }),
    };
  }

  /** A share of this interval, whole: over the intervals the remainders add up. */
  #share(count: number, rate: number): number {
    const upTo = (intervals: number): number => Math.floor(intervals * count * rate + 1e-9);
    return Math.min(count, upTo(this.#intervalCount) - upTo(this.#intervalCount - 1));
  }
}

type EvidenceCounts = Omit<EvidenceCell, "rollout" | "attempt" | "stage" | "variant" | "interval">;

const USERS_PER_INTERVAL = 1_000;

function spread(count: number, turn: number): number[] {
  const sizes = Array.from({ length: EVIDENCE_GROUPS }, () => Math.floor(count / EVIDENCE_GROUPS));
  for (let index = 0; index < count % EVIDENCE_GROUPS; index += 1) {
    const group = (index + turn) % EVIDENCE_GROUPS;
    sizes[group] = (sizes[group] ?? 0) + 1;
  }
  return sizes;
}

function entriesOf(sizes: readonly number[]): [number, number][] {
  return sizes.flatMap((size, group): [number, number][] => (size === 0 ? [] : [[group, size]]));
}
