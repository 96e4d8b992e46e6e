import { binIndex } from "@bunting/gating";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aCell, NOON, OFF } from "./evidence-rig.ts";
import { groupBy } from "./group-by.ts";
import { chooseSpan } from "./rollout-metrics.ts";
import { type CountWindow, RateRatios, VariantMeasures } from "./series.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const iso = (unixMs: number) => new Date(unixMs).toISOString();

const on = (minute: number, more: Parameters<typeof aCell>[0] = {}): CountWindow => ({
  startsAt: NOON + minute * MINUTE_MS,
  variant: "on",
  counts: aCell(more),
});
const off = (minute: number, more: Parameters<typeof aCell>[0] = {}): CountWindow => ({
  ...on(minute, more),
  variant: OFF,
});

const addTo = (measures: Pick<VariantMeasures, "add">, windows: readonly CountWindow[]): void => {
  for (const [startsAt, same] of groupBy(windows, (window) => window.startsAt)) measures.add(startsAt, same);
};

const measureVariants = (windows: readonly CountWindow[], { windowMs = MINUTE_MS, spanMs = MINUTE_MS } = {}) => {
  const measures = new VariantMeasures(windowMs);
  addTo(measures, windows);
  return measures.result(spanMs);
};

describe("TE-105 measurements of a rollout", () => {
  it("are rates over windows and over the span", () => {
    const { on: canary } = measureVariants([on(0), on(0), on(2, { exposureCount: 30 })], {
      spanMs: 10 * MINUTE_MS,
    });
    expect(canary?.total).toMatchObject({ exposureCount: 50, exposuresPerSecond: 50 / 600, errorRate: 3 / 27 });
    expect(
      canary?.points.map(({ at, exposureCount, exposuresPerSecond }) => [at, exposureCount, exposuresPerSecond]),
    ).toEqual([
      [iso(NOON), 20, 20 / 60],
      [iso(NOON + 2 * MINUTE_MS), 30, 0.5],
    ]);
  });

  it("leave out what nobody reported", () => {
    const silent = aCell({
      exposureCount: 3,
      outcomeCount: 0,
      errorCount: 0,
      unitErrorCount: 0,
      sketch: [],
      ladder: [],
    });
    const window = { startsAt: NOON, variant: "on", counts: silent };
    const { on: canary } = measureVariants([window]);
    expect(canary?.total).toMatchObject({ exposureCount: 3, errorRate: null, latencyMs: null, metrics: {} });
  });

  it("give quantiles within 1 % of the exact ones", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.1, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 300 }),
        (latencies) => {
          const counts = aCell({ sketch: latencies.map((latencyMs) => [binIndex(latencyMs), 1]) });
          const { on: canary } = measureVariants([{ startsAt: NOON, variant: "on", counts }]);
          const exact = latencies.toSorted((one, other) => one - other);
          for (const [name, quantile] of [
            ["p50", 0.5],
            ["p95", 0.95],
            ["p99", 0.99],
          ] as const) {
            const value = exact[Math.ceil(quantile * exact.length) - 1] ?? Number.NaN;
            expect(Math.abs((canary?.total.latencyMs?.[name] ?? 0) - value) / value).toBeLessThanOrEqual(0.010001);
          }
        },
      ),
    );
  });

  it("count custom metrics per user and by value", () => {
    const metric = { eventCount: 6, unitEventCount: 4, sum: 90, sumOfSquares: 1_400, groups: [] };
    const { on: canary } = measureVariants([on(0, { metrics: { basket: metric } })]);
    expect(canary?.points[0]?.metrics).toEqual({
      basket: { eventCount: 6, unitEventCount: 4, unitRate: 0.5, sum: 90, mean: 15 },
    });
  });
});

describe("TE-105 the ratio of error rates", () => {
  const arms = { canary: "on", control: OFF };
  const many = (errorCount: number) => ({ outcomeCount: 1_000, errorCount, unitErrorCount: errorCount, groups: [] });
  const ratios = (windows: CountWindow[], fromMs = NOON) => {
    const measured = new RateRatios(arms, { fromMs, errorBudget: 0.01 });
    addTo(measured, windows);
    return measured.points;
  };

  it("closes in on a regression", () => {
    const windows = Array.from({ length: 60 }, (_, minute) => [on(minute, many(30)), off(minute, many(10))]).flat();
    const points = ratios(windows);
    const last = points.at(-1);
    expect(points).toHaveLength(60);
    expect(last?.low ?? 0).toBeGreaterThan(2);
    expect(last?.high ?? Infinity).toBeLessThan(4);
    const [first] = points;
    expect((first?.high ?? Infinity) - (first?.low ?? 0)).toBeGreaterThan((last?.high ?? 0) - (last?.low ?? 0));
  });

  it("rests on everything before the span too", () => {
    const windows = Array.from({ length: 30 }, (_, minute) => [on(minute, many(20)), off(minute, many(10))]).flat();
    expect(ratios(windows, NOON + 29 * MINUTE_MS)).toEqual(ratios(windows).slice(29));
  });

  it("is silent until there is something to compare", () => {
    expect(ratios([on(0, many(5)), on(1, many(5))])).toEqual([]);
    expect(ratios([on(0, many(0)), off(0, many(0))])).toEqual([]);
  });
});

describe("TE-105 the span that is shown", () => {
  const PRESENT = { end: NOON + 1, now: NOON + 1, isEvidenceKept: true };
  const span = (query: Parameters<typeof chooseSpan>[0]) => {
    const chosen = chooseSpan(query, { ...PRESENT, begin: null });
    return chosen.ok
      ? [chosen.span.resolution, chosen.span.fromMs - NOON, chosen.span.toMs - NOON]
      : chosen.refusal.errors;
  };

  it.each([
    ["an hour in tens of seconds, if nothing is said", {}, ["10s", -HOUR_MS, 10_000]],
    ["a day of minutes", { resolution: "1m" as const }, ["1m", -24 * HOUR_MS, MINUTE_MS]],
    ["what is finest for the span", { from: iso(NOON - 2 * HOUR_MS), to: iso(NOON) }, ["1m", -2 * HOUR_MS, 0]],
    ["whole windows", { from: iso(NOON - 1), to: iso(NOON + 1) }, ["10s", -10_000, 10_000]],
    ["hours for weeks", { from: iso(NOON - 300 * HOUR_MS), to: iso(NOON) }, ["1h", -300 * HOUR_MS, 0]],
  ])("is %s", (_title, query, expected) => {
    expect(span(query)).toEqual(expected);
  });

  it.each([
    ["where nothing is said", {}, -MINUTE_MS, -MINUTE_MS],
    ["unless more is asked for", { from: iso(NOON - 2 * MINUTE_MS) }, -MINUTE_MS, -2 * MINUTE_MS],
    ["unless it began before what is kept", {}, -2 * HOUR_MS, -HOUR_MS],
    ["but not later than it ends, as after a clock was set back", {}, HOUR_MS, -HOUR_MS],
  ])("begins with the attempt %s", (_title, query, begin, expected) => {
    const chosen = chooseSpan(query, { ...PRESENT, begin: NOON + begin });
    expect(chosen.ok && chosen.span.fromMs - NOON).toBe(expected);
  });

  it("is refused where it is longer than its resolution is kept", () => {
    const paths = (query: Parameters<typeof chooseSpan>[0]) =>
      [span(query)].flat().map((error) => (error as { path?: string })?.path);
    expect(paths({ resolution: "10s", from: iso(NOON - 2 * HOUR_MS), to: iso(NOON) })).toEqual(["query.from"]);
    expect(paths({ from: iso(NOON - 91 * 24 * HOUR_MS), to: iso(NOON) })).toEqual(["query.from"]);
    expect(paths({ from: iso(NOON), to: iso(NOON) })).toEqual(["query.from"]);
  });
});
