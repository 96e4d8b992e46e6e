import type { Limit } from "./limit.ts";

/** What the scenario claims, in the order in which it is reported. */
export const ASSERTIONS = [
  "multi_version_loading",
  "canary_deployment_accurate",
  "progressive_migration_no_loss",
  "rollback_fast_and_safe",
  "memory_isolation_complete",
  "auto_gc_triggered",
  "three_way_coexistence",
  "traffic_routing_precise",
  "total_entities_constant",
  "no_crashes",
] as const;

export type Assertion = (typeof ASSERTIONS)[number];

export interface Metric {
  readonly limit: Limit;
  readonly unit: string;
  /** What it is evidence of. */
  readonly assertion: Assertion;
}

/** A version may be collected a little late: it is looked for ten times a second, by a machine that does other things too. */
const COLLECTED_WITHIN_SECONDS = 1;

/** All that is measured, and what it is held to. Only the time of collection depends on the pace. */
export function metricsFor({ unusedSeconds }: { readonly unusedSeconds: number }) {
  const collection: Limit = { kind: "between", from: unusedSeconds, to: unusedSeconds + COLLECTED_WITHIN_SECONDS };
  return {
    version_load_time_ms: { limit: { kind: "below", value: 200 }, unit: "ms", assertion: "multi_version_loading" },
    canary_accuracy: {
      limit: { kind: "between", from: 8, to: 12 },
      unit: "%",
      assertion: "canary_deployment_accurate",
    },
    traffic_split_accuracy: {
      limit: { kind: "at_most", value: 2 },
      unit: "points",
      assertion: "traffic_routing_precise",
    },
    state_migration_time_ms: {
      limit: { kind: "below", value: 500 },
      unit: "ms",
      assertion: "progressive_migration_no_loss",
    },
    migration_data_loss: {
      limit: { kind: "exactly", value: 0 },
      unit: "%",
      assertion: "progressive_migration_no_loss",
    },
    rollback_time_ms: { limit: { kind: "below", value: 200 }, unit: "ms", assertion: "rollback_fast_and_safe" },
    rollback_downtime_ms: { limit: { kind: "below", value: 1_000 }, unit: "ms", assertion: "rollback_fast_and_safe" },
    state_recovery: { limit: { kind: "exactly", value: 100 }, unit: "%", assertion: "rollback_fast_and_safe" },
    gc_trigger_time_s: { limit: collection, unit: "s", assertion: "auto_gc_triggered" },
    gc_time_ms: { limit: { kind: "below", value: 100 }, unit: "ms", assertion: "auto_gc_triggered" },
    gc_efficiency: { limit: { kind: "above", value: 95 }, unit: "%", assertion: "auto_gc_triggered" },
    memory_isolation: { limit: { kind: "exactly", value: 100 }, unit: "%", assertion: "memory_isolation_complete" },
    multi_version_count: { limit: { kind: "exactly", value: 3 }, unit: "", assertion: "three_way_coexistence" },
    total_entities: { limit: { kind: "exactly", value: 100 }, unit: "", assertion: "total_entities_constant" },
    crashes: { limit: { kind: "exactly", value: 0 }, unit: "", assertion: "no_crashes" },
  } as const satisfies Record<string, Metric>;
}

export type MetricName = keyof ReturnType<typeof metricsFor>;
