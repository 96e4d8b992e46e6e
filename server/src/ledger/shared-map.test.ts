import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SharedMap } from "./shared-map.ts";

const sorted = (map: Iterable<readonly [string, number]>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

describe("a shared map", () => {
  it("is what a Map would be after any changes, and leaves its predecessors as they were", () => {
    const change = fc.tuple(fc.string({ maxLength: 3 }), fc.option(fc.integer(), { nil: undefined }));
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 5 }), { maxLength: 20 }), (steps) => {
        const model = new Map<string, number>();
        const history: { map: SharedMap<string, number>; entries: (readonly [string, number])[] }[] = [];
        let map = SharedMap.from<string, number>([]);
        for (const step of steps) {
          history.push({ map, entries: sorted(map) });
          for (const [key, value] of step) {
            if (value === undefined) model.delete(key);
            else model.set(key, value);
          }
          map = map.with(step);
          expect(map.size).toBe(model.size);
          expect(sorted(map)).toEqual(sorted(model));
          expect([...map.keys()].every((key) => map.has(key) && map.get(key) === model.get(key))).toBe(true);
        }
        for (const { map: old, entries } of history) expect(sorted(old)).toEqual(entries);
      }),
    );
  });

  it("is itself when nothing changes", () => {
    const map = SharedMap.from([["a", 1]]);
    expect(map.with([])).toBe(map);
    expect(SharedMap.from(map)).toBe(map);
  });
});
