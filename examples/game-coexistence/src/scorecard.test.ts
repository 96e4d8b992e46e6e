import { describe, expect, it } from "vitest";
import { ASSERTIONS, type MetricName, metricsFor } from "./metrics.ts";
import { Scorecard } from "./scorecard.ts";

const METRICS = metricsFor({ unusedSeconds: 10 });
const GOOD: Readonly<Record<MetricName, number>> = {
  version_load_time_ms: 199.9,
  canary_accuracy: 12,
  traffic_split_accuracy: 2,
  state_migration_time_ms: 499,
  migration_data_loss: 0,
  rollback_time_ms: 199,
  rollback_downtime_ms: 999,
  state_recovery: 100,
  gc_trigger_time_s: 10,
  gc_time_ms: 99,
  gc_efficiency: 95.1,
  memory_isolation: 100,
  multi_version_count: 3,
  total_entities: 100,
  crashes: 0,
};
const BAD: Readonly<Record<MetricName, number>> = {
  version_load_time_ms: 200,
  canary_accuracy: 15,
  traffic_split_accuracy: 2.1,
  state_migration_time_ms: 500,
  migration_data_loss: 1,
  rollback_time_ms: 200,
  rollback_downtime_ms: 1_000,
  state_recovery: 99,
  gc_trigger_time_s: 9.9,
  gc_time_ms: 100,
  gc_efficiency: 95,
  memory_isolation: 99,
  multi_version_count: 2,
  total_entities: 95,
  crashes: 1,
};
const NAMES = Object.keys(METRICS) as MetricName[];

function filled(values: Readonly<Record<string, number>>): Scorecard {
  const card = new Scorecard(METRICS);
  for (const name of NAMES) if (values[name] !== undefined) card.add(name, values[name]);
  return card;
}

describe("the scorecard", () => {
  it("passes when every metric is within its limit", () => {
    expect(filled(GOOD).isPassed).toBe(true);
    expect(ASSERTIONS.every((assertion) => filled(GOOD).assertionHolds(assertion))).toBe(true);
  });

  it.each(NAMES)("fails the assertion of %s alone, when one value of several is beyond the limit", (name) => {
    const card = filled(GOOD);
    expect(card.add(name, BAD[name])).toBe(false);
    card.add(name, GOOD[name]);
    expect(card.isPassed).toBe(false);
    const failed = ASSERTIONS.filter((assertion) => !card.assertionHolds(assertion));
    expect(failed).toEqual([METRICS[name].assertion]);
  });

  it.each(NAMES)("does not pass without %s", (name) => {
    const { [name]: _, ...others } = GOOD;
    expect(filled(others).isPassed).toBe(false);
  });

  it("has evidence for every assertion", () => {
    expect(new Set(NAMES.map((name) => METRICS[name].assertion))).toEqual(new Set(ASSERTIONS));
  });
});
