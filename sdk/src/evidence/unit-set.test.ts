import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FIRST, SEEN, UNCHECKED, UNIT_LIMIT, UnitSet } from "./unit-set.ts";

/** Apart from each other in every bit, like hashes. */
const unit = (index: number): number => Math.imul(index + 1, 0x9e3779b1) | 0;

describe("TE-33 units are told apart", () => {
  it("as a set of numbers would, in every order, also when the table grows", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 600 }), (units) => {
        const [set, model] = [new UnitSet(), new Set<number>()];
        for (const unit of [...units, ...units]) {
          const stored = unit === 0 ? 1 : unit;
          expect(set.has(unit)).toBe(model.has(stored));
          if (set.isAtHome(unit)) expect(model.has(stored)).toBe(true);
          expect(set.add(unit)).toBe(model.has(stored) ? SEEN : FIRST);
          model.add(stored);
        }
      }),
    );
  });

  it("at their first place, nearly all of them, and a unit that was never added is nowhere", () => {
    const set = new UnitSet();
    expect([0, 1, 32, -1].filter((each) => set.isAtHome(each))).toEqual([]);
    const units = Array.from({ length: 4_000 }, (_, index) => unit(index));
    for (const each of units) set.add(each);
    expect(units.filter((each) => set.isAtHome(each)).length).toBeGreaterThan(3_000);
    expect(units.filter((each) => set.isAtHome(each ^ 16)).length).toBe(0);
  });

  it("even if all of them fall on one place", () => {
    const set = new UnitSet();
    const alike = Array.from({ length: 500 }, (_, index) => (index + 1) << 20);
    expect(alike.map((each) => set.add(each))).toEqual(alike.map(() => FIRST));
    expect(alike.every((each) => set.has(each))).toBe(true);
  });

  it("up to 8,192, then those unknown count without a look, and those known are still known", () => {
    const set = new UnitSet();
    for (let index = 0; index < UNIT_LIMIT; index += 1) expect(set.add(unit(index))).toBe(FIRST);
    expect(set.add(unit(UNIT_LIMIT))).toBe(UNCHECKED);
    expect(set.add(unit(UNIT_LIMIT))).toBe(UNCHECKED);
    expect(set.add(unit(7))).toBe(SEEN);
    expect(set.has(unit(UNIT_LIMIT))).toBe(false);
    set.clear();
    expect(set.add(unit(7))).toBe(FIRST);
  });
});
