import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checksumOf } from "./checksum.ts";

const anything = fc.anything({ withDate: true, withMap: true, withSet: true, withTypedArray: true, withBigInt: true });

describe("the checksum of a state", () => {
  it("is that of its clone in another thread", () => {
    fc.assert(
      fc.property(anything, (value) => {
        expect(checksumOf(structuredClone(value))).toBe(checksumOf(value));
      }),
    );
  });

  it("does not depend on the order of keys", () => {
    expect(checksumOf({ x: 1, y: [2, 3] })).toBe(checksumOf({ y: [2, 3], x: 1 }));
    expect(checksumOf(new Set([1, 2]))).toBe(checksumOf(new Set([2, 1])));
  });

  it.each([
    [{ x: 1 }, { x: 2 }],
    [
      { x: 1, y: 2 },
      { x: 2, y: 1 },
    ],
    [
      [1, 2],
      [2, 1],
    ],
    [0, Number.NaN],
    ["1", 1],
    [null, undefined],
    [new Float64Array([1, 2]), new Float64Array([1, 3])],
    [new Map([["a", 1]]), new Map([["a", 2]])],
  ])("tells %j from %j", (one, other) => {
    expect(checksumOf(one)).not.toBe(checksumOf(other));
  });

  it("ends on a circle", () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    expect(checksumOf(circle)).toBe(checksumOf(structuredClone(circle)));
  });
});
