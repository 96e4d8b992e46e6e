import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLatencyHistogram } from "./latency-histogram.ts";

describe("ST-48 latencies are summed up without being kept", () => {
  it("says nothing about nothing", () => {
    expect(createLatencyHistogram().summary()).toBeNull();
  });

  it("is exact for the maximum and within 2 % for quantiles", () => {
    const latency = fc.double({ min: 0.2, max: 100_000, noNaN: true });
    fc.assert(
      fc.property(fc.array(latency, { minLength: 1, maxLength: 300 }), (latencies) => {
        const histogram = createLatencyHistogram();
        for (const latencyMs of latencies) histogram.add(latencyMs);
        const summary = histogram.summary();
        const sorted = latencies.toSorted((one, other) => one - other);
        for (const [share, found] of [
          [0.5, summary?.p50],
          [0.95, summary?.p95],
          [0.99, summary?.p99],
          [1, summary?.max],
        ] as const) {
          const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
          expect(Math.abs((found ?? 0) - exact)).toBeLessThanOrEqual(0.02 * exact + 0.01);
        }
      }),
    );
  });

  it("takes anything that is no ordinary latency without breaking", () => {
    const histogram = createLatencyHistogram();
    for (const latencyMs of [0, 0.0001, 1e9]) histogram.add(latencyMs);
    expect(histogram.summary()).toMatchObject({ max: 1e9 });
  });
});
