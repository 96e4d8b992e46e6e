import { describe, expect, it } from "vitest";
import { addOutcomes, BREAKER_MINIMUM, errorRate, isTripped, NO_OUTCOMES, type Outcomes } from "./breaker.ts";
import { decideCollection } from "./collection.ts";
import { ProcessTimes } from "./process-times.ts";
import {
  BEFORE_PROMOTION,
  decidePromotion,
  type Health,
  type PromotionPlan,
  type PromotionState,
} from "./promotion.ts";

const add = (outcomes: Outcomes, processed: number, failed: number, nowMs: number): Outcomes =>
  addOutcomes(outcomes, { processed, failed }, nowMs);

describe("the circuit breaker", () => {
  it("trips above 5 % errors and not at 5 %", () => {
    expect(isTripped(add(NO_OUTCOMES, 100, 5, 0), 0.05)).toBe(false);
    expect(isTripped(add(NO_OUTCOMES, 100, 6, 0), 0.05)).toBe(true);
    expect(isTripped(add(NO_OUTCOMES, 10_000, 15, 0), 0.05)).toBe(false);
  });

  it("says nothing of fewer than its minimum", () => {
    expect(isTripped(add(NO_OUTCOMES, BREAKER_MINIMUM - 1, BREAKER_MINIMUM - 1, 0), 0.05)).toBe(false);
    expect(isTripped(add(NO_OUTCOMES, BREAKER_MINIMUM, BREAKER_MINIMUM, 0), 0.05)).toBe(true);
  });

  it("looks at ten seconds, and adds up within one", () => {
    let outcomes = add(add(NO_OUTCOMES, 50, 50, 100), 50, 0, 900);
    expect(outcomes).toHaveLength(1);
    expect(errorRate(outcomes)).toBe(0.5);
    outcomes = add(outcomes, 100, 0, 9_999);
    expect(errorRate(outcomes)).toBe(0.25);
    outcomes = add(outcomes, 100, 0, 10_000);
    expect(errorRate(outcomes)).toBe(0);
  });
});

describe("collection", () => {
  const usage = { version: "v1", isServing: true, entityCount: 0, trafficPercent: 0, unusedSince: 0 };
  const other = { ...usage, version: "v2", entityCount: 100, trafficPercent: 100, unusedSince: null };
  it.each([
    ["after its threshold", {}, 10_000, ["v1"]],
    ["not before", {}, 9_999, []],
    ["not with an entity", { entityCount: 1 }, 60_000, []],
    ["not with a share", { trafficPercent: 1 }, 60_000, []],
    ["not when it is not loaded", { isServing: false }, 60_000, []],
    ["not when it has just become unused", { unusedSince: null }, 60_000, []],
  ])("takes an unused version %s", (_what, change, now, collected) => {
    expect(decideCollection([{ ...usage, ...change }, other], { thresholdMs: 10_000, now })).toEqual(collected);
  });

  it("leaves one for whoever comes next", () => {
    const both = [usage, { ...usage, version: "v2" }];
    expect(decideCollection(both, { thresholdMs: 10_000, now: 60_000 })).toEqual(["v1"]);
  });
});

describe("automatic promotion", () => {
  const plan: PromotionPlan = { canary: "v2", baseline: "v1", percentages: [10, 50, 100] };
  const well: Health = { isServing: true, processedCount: 1_000, errorRate: 0, meanMs: 1 };
  const look = (state: PromotionState, now: number, canary: Partial<Health> = {}) =>
    decidePromotion(plan, state, { canary: { ...well, ...canary }, baseline: well, maxErrorRate: 0.05, now });

  it("takes its first step at once, and the next after 30 s of passing gates", () => {
    const first = look(BEFORE_PROMOTION, 0);
    expect(first).toMatchObject({ kind: "promote", split: { v2: 10, v1: 90 } });
    const begun = look(first.state, 1_000);
    expect(begun).toMatchObject({ kind: "hold", state: { passingSince: 1_000 } });
    expect(look(begun.state, 30_999).kind).toBe("hold");
    expect(look(begun.state, 31_000)).toMatchObject({ kind: "promote", split: { v2: 50, v1: 50 } });
  });

  it("ends with everything, and asks for nothing then", () => {
    const last = look({ step: 1, passingSince: 0 }, 30_000);
    expect(last).toMatchObject({ kind: "promote", split: { v2: 100 } });
    expect(look({ step: 2, passingSince: 0 }, 90_000).kind).toBe("hold");
  });

  it.each([
    ["fails too often", { errorRate: 0.06 }],
    ["is half as fast", { meanMs: 2 }],
    ["has done nothing", { processedCount: 0 }],
    ["is out of service", { isServing: false }],
  ])("begins to wait again when the canary %s", (_what, canary) => {
    expect(look({ step: 0, passingSince: 0 }, 60_000, canary)).toEqual({
      kind: "hold",
      state: { step: 0, passingSince: null },
    });
  });
});

describe("process times", () => {
  it("are the mean of all, and the nearest rank of the newest 1,024", () => {
    const times = new ProcessTimes();
    expect([times.meanMs, times.p99Ms]).toEqual([0, 0]);
    for (let ms = 1; ms <= 100; ms += 1) times.add(ms);
    expect([times.meanMs, times.p99Ms]).toEqual([50.5, 99]);
    for (let count = 0; count < 1_024; count += 1) times.add(7);
    expect(times.p99Ms).toBe(7);
  });
});
