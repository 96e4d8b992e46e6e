import { describe, expect, it } from "vitest";
import { createLagMeter } from "./lag-meter.ts";

/** A loop that turns when it is told to. */
function setUp() {
  let now = 0;
  let tick = (): void => {};
  const meter = createLagMeter(
    { now: () => now, monotonic: () => now },
    { after: () => () => {}, soon: () => {}, every: (_intervalMs, task) => ((tick = task), () => {}) },
  );
  return { meter, passTime: (ms: number) => (now += ms), turn: () => tick() };
}

describe("ST-6 the server sheds load before it is slow", () => {
  it("measures nothing while the loop keeps up", () => {
    const { meter, passTime, turn } = setUp();
    for (let count = 0; count < 10; count++) {
      passTime(100);
      turn();
    }
    expect(meter.lagMs).toBe(0);
  });

  it("notices that the timer is overdue while it still is", () => {
    const { meter, passTime } = setUp();
    passTime(400);
    expect(meter.lagMs).toBe(300);
  });

  it("remembers a late turn until the next one was in time", () => {
    const { meter, passTime, turn } = setUp();
    passTime(400);
    turn();
    expect(meter.lagMs).toBe(300);
    passTime(100);
    turn();
    expect(meter.lagMs).toBe(0);
  });
});
