import { type Split, split, type VariantKey } from "@bunting/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitAtPercent, splitOf } from "./split.ts";

const on = "on" as VariantKey;
const splitFrom = (weights: Record<string, number>): Split => split.parse(weights);

describe("GA-140 a stage gives the canary its percent, and the others the rest in their former proportion", () => {
  it.each([
    [{ off: 100 }, 1, { on: 1, off: 99 }],
    [{ on: 0, off: 100 }, 25, { on: 25, off: 75 }],
    [{ a: 60, b: 40 }, 50, { on: 50, a: 30, b: 20 }],
    [{ a: 60, b: 40 }, 100, { on: 100, a: 0, b: 0 }],
    [{ off: 100 }, 0.001, { on: 0.001, off: 99.999 }],
  ])("%o at %d %% is %o", (former, percent, expected) => {
    expect(splitAtPercent(splitFrom(former), on, percent)).toEqual(expected);
  });

  it("gives what rounding leaves to the largest remainders, of equal ones to the first", () => {
    expect(splitAtPercent(splitFrom({ a: 33.333, b: 33.333, c: 33.334 }), on, 0.001)).toEqual({
      on: 0.001,
      a: 33.333,
      b: 33.333,
      c: 33.333,
    });
    expect(splitAtPercent(splitFrom({ a: 50, b: 50 }), on, 0.001)).toEqual({ on: 0.001, a: 50, b: 49.999 });
  });

  it("property: is a split, keeps the canary's percent exactly, and every other within a thousandth", () => {
    const weights = fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(weights, fc.integer({ min: 1, max: 100_000 }), (parts, canarySteps) => {
        const total = parts.reduce((sum, part) => sum + part, 0);
        fc.pre(total > 0);
        const steps = parts.map((part) => Math.floor((part * 100_000) / total));
        steps[0] = (steps[0] ?? 0) + 100_000 - steps.reduce((sum, step) => sum + step, 0);
        const former = splitFrom(Object.fromEntries(steps.map((step, index) => [`v${index}`, step / 1000])));
        const percent = canarySteps / 1000;
        const result = splitAtPercent(former, on, percent);
        expect(split.safeParse(result).success).toBe(true);
        expect(result[on]).toBe(percent);
        for (const [variant, weight] of Object.entries(former)) {
          const exact = (weight * (100 - percent)) / 100;
          expect(Math.abs((result[variant as VariantKey] ?? Number.NaN) - exact)).toBeLessThanOrEqual(0.001 + 1e-9);
        }
      }),
    );
  });

  it("reads a single variant as all of it", () => {
    expect(splitOf({ variant: on })).toEqual({ on: 100 });
    expect(splitOf({ split: splitFrom({ on: 10, off: 90 }) })).toEqual({ on: 10, off: 90 });
  });
});
