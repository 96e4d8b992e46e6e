import { describe, expect, it } from "vitest";
import { bar, count, duration, percent } from "./format.ts";

describe("a bar", () => {
  it("shows what is observed against what is configured", () => {
    expect(bar({ observed: 0.3, configured: 0.5 }, 10)).toBe("███··│····");
    expect(bar({ observed: 0.7, configured: 0.5 }, 10)).toBe("█████▓█···");
  });

  it("has room for the extremes", () => {
    expect(bar({ observed: 0, configured: 0 }, 4)).toBe("│···");
    expect(bar({ observed: 1, configured: 1 }, 4)).toBe("███▓");
    expect(bar({ observed: Number.NaN, configured: 0 }, 4)).toBe("│···");
  });
});

it("writes figures for people", () => {
  expect([percent(0.4981), percent(1), count(12_480)]).toEqual(["49.8 %", "100.0 %", "12,480"]);
  expect([duration(3.14159), duration(31.4), duration(1234)]).toEqual(["3.1 ms", "31 ms", "1.2 s"]);
});
