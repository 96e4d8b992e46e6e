import { describe, expect, it } from "vitest";
import { PLAIN } from "../test-world.ts";
import { edgeOf, PICTURE_WIDTH, type RateRatio, ratioPicture, ratioScale } from "./ratio-picture.ts";

const picture = (low: number | null, estimate: number, high: number | null, edge = 4): string =>
  ratioPicture({ low, estimate, high }, { edge, style: "good" }, PLAIN);

describe("a confidence interval", () => {
  it("is drawn on a logarithmic scale around the middle, where both arms are alike", () => {
    expect(ratioScale(4)).toBe("÷4             =             ×4");
    expect(picture(0.5, 1, 2)).toBe("·······├───────●───────┤·······"); // A half and twice are equally far away.
  });

  it("shows at a glance whether it holds the middle", () => {
    expect(picture(0.6, 0.8, 1.5)).toContain("┼");
    expect(picture(1.5, 2, 3)).toMatch(/^·{15}┊/);
  });

  it("goes on with an arrow beyond the edge, and where nothing bounds it", () => {
    expect(picture(null, 1.2, 3)).toMatch(/^◄/);
    expect(picture(0.5, 2, null)).toMatch(/►$/);
    expect(picture(0, 0, 3)).toMatch(/^●/); // No error in the canary at all.
    expect(picture(6, 9, 20)).toMatch(/●$/);
  });

  it("is as wide as every other, whatever the figures", () => {
    const ratios = [null, 0, 1e-9, 0.3, 0.999, 1, 1.7, 4, 1e9];
    for (const low of ratios) {
      for (const high of ratios) {
        for (const estimate of ratios) expect(picture(low, estimate ?? 1, high)).toHaveLength(PICTURE_WIDTH);
      }
    }
  });
});

it("the scale is the narrowest that holds what is known", () => {
  const known = (low: number | null, estimate: number, high: number | null): RateRatio => ({ low, estimate, high });
  expect(edgeOf([])).toBe(2);
  expect(edgeOf([known(0.6, 1, 1.9)])).toBe(2);
  expect(edgeOf([known(0.6, 1, 1.9), known(0.3, 1, 2)])).toBe(4);
  expect(edgeOf([known(null, 0, null)])).toBe(2);
  expect(edgeOf([known(1, 50, 1e9)])).toBe(100);
});
