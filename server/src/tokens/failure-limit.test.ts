import { createFakeTime } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { FailureLimit } from "./failure-limit.ts";

describe("counting failures", () => {
  it("says how long to wait once the limit is reached, and forgets after a minute", () => {
    const time = createFakeTime();
    const limit = new FailureLimit(time.clock, 2);
    limit.record("a");
    expect(limit.waitMs("a")).toBe(0);
    time.advance(10_000);
    limit.record("a");
    expect(limit.waitMs("a")).toBe(50_000);
    expect(limit.waitMs("b")).toBe(0);
    time.advance(50_000);
    expect(limit.waitMs("a")).toBe(0);
  });

  it("R21 is not moved by the wall clock", () => {
    const time = createFakeTime();
    const limit = new FailureLimit(time.clock, 1);
    limit.record("a");
    time.jumpWallClock(3_600_000);
    expect(limit.waitMs("a")).toBe(60_000);
  });

  it("R18 remembers a bounded number of names, the latest", () => {
    const limit = new FailureLimit(createFakeTime().clock, 1);
    for (let index = 0; index <= 10_000; index++) limit.record(`address ${index}`);
    expect(limit.waitMs("address 0")).toBe(0);
    expect(limit.waitMs("address 1")).toBe(60_000);
    expect(limit.waitMs("address 10000")).toBe(60_000);
  });
});
