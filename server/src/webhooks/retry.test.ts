import { LIMITS } from "@bunting/contracts/literals";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LONGEST_DELAY_MS, retryDelayMs } from "./retry.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("NO-8 tries and their delays", () => {
  it("begin with five seconds and end after the twelfth", () => {
    expect(retryDelayMs(1, 0)).toBe(5_000);
    expect(retryDelayMs(2, 0)).toBe(12_500);
    expect(retryDelayMs(LIMITS.deliveryTries - 1, 0)).toBe(Math.round(LONGEST_DELAY_MS));
    expect(retryDelayMs(LIMITS.deliveryTries, 0)).toBeNull();
    expect(retryDelayMs(LIMITS.deliveryTries + 1, 0)).toBeNull();
  });

  it("fit into a day, all twelve with their own five seconds", () => {
    const draws = fc.array(unit, { minLength: LIMITS.deliveryTries - 1, maxLength: LIMITS.deliveryTries - 1 });
    fc.assert(
      fc.property(draws, (random) => {
        const delays = random.map((value, index) => retryDelayMs(index + 1, value) ?? Number.POSITIVE_INFINITY);
        const sum = delays.reduce((total, delay) => total + delay, LIMITS.deliveryTries * LIMITS.deliveryTimeoutMs);
        return sum <= DAY_MS && sum >= 0.7 * DAY_MS;
      }),
    );
  });

  it("grow whatever the jitter, which takes away a fifth at most", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: LIMITS.deliveryTries - 2 }), unit, unit, (tryCount, one, other) => {
        const delay = retryDelayMs(tryCount, one) ?? 0;
        const longest = retryDelayMs(tryCount, 0) ?? 0;
        return delay <= longest && delay >= 0.8 * longest - 1 && delay < (retryDelayMs(tryCount + 1, other) ?? 0);
      }),
    );
  });
});
