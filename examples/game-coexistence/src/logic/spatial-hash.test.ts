import { describe, expect, it } from "vitest";
import { isTouching, type Point } from "./body.ts";
import { countContacts } from "./spatial-hash.ts";

/** An even scatter without chance: multiples of the golden ratio, on both sides of zero. */
function scatter(count: number, width: number): Point[] {
  return Array.from({ length: count }, (_, index) => ({
    x: (((index * 0.618034) % 1) - 0.5) * width,
    y: (((index * 0.754878) % 1) - 0.5) * width,
    vx: 0,
    vy: 0,
  }));
}

describe("the spatial hash", () => {
  it.each([
    [0, 100],
    [1, 100],
    [200, 100],
    [800, 1_500],
  ])("finds the contacts that comparing all of %i with all finds, over %i", (count, width) => {
    const bodies = scatter(count, width);
    const expected = bodies.map((body) => bodies.filter((other) => other !== body && isTouching(body, other)).length);
    expect([...countContacts(bodies)]).toEqual(expected);
    if (count > 1) expect(Math.max(...expected)).toBeGreaterThan(0);
  });
});
