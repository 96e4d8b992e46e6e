import { createFakeTime } from "@bunting/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IntervalIndex, intervalOf } from "./interval-index.ts";

const NOON = Date.UTC(2026, 0, 1, 12);

describe("TE-101 the index of the interval now", () => {
  it("is the wall clock's", () => {
    const time = createFakeTime(NOON);
    const index = new IntervalIndex(time.clock, 0);
    expect(index.now()).toBe(NOON / 10_000);
    time.advance(9_999);
    expect(index.now()).toBe(NOON / 10_000);
    time.advance(1);
    expect(index.now()).toBe(NOON / 10_000 + 1);
  });

  it("goes on at half speed while the clock is behind, and is the clock's again once that has caught up", () => {
    const time = createFakeTime(NOON);
    const index = new IntervalIndex(time.clock, 0);
    const before = index.now();
    time.jumpWallClock(-60_000);
    time.advance(40_000);
    expect(index.now()).toBe(before + 2);
    time.advance(80_000);
    expect(index.now()).toBe(intervalOf(time.clock.now()));
  });

  it("never goes back, whatever the clock does", () => {
    const steps = fc.array(fc.record({ jump: fc.integer({ min: -1e6, max: 1e6 }), advance: fc.nat(60_000) }));
    fc.assert(
      fc.property(steps, fc.nat(400_000_000), (all, atLeast) => {
        const time = createFakeTime(NOON);
        const index = new IntervalIndex(time.clock, atLeast);
        let last = atLeast;
        for (const { jump, advance } of all) {
          time.jumpWallClock(jump);
          time.advance(advance);
          const now = index.now();
          expect(now).toBeGreaterThanOrEqual(last);
          last = now;
        }
      }),
    );
  });
});
