import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeCursor, encodeCursor, pageByKey } from "./cursor.ts";

const identity = (key: string): string => key;

/** Reads to the end. Between two pages, `meanwhile` may change what there is. */
function readAll(
  items: Set<string>,
  limit: number,
  meanwhile: (items: Set<string>, page: number) => void = () => {},
): string[] {
  const seen: string[] = [];
  let cursor: string | undefined;
  for (let page = 1; ; page++) {
    const paged = pageByKey(items, identity, { cursor, limit });
    if (!paged.ok) throw new Error(paged.refusal.detail);
    seen.push(...paged.page.items);
    if (paged.page.nextCursor === null) return seen;
    if (page > 200) throw new Error("It never ends.");
    cursor = paged.page.nextCursor;
    meanwhile(items, page);
  }
}

const keys = fc.uniqueArray(fc.string({ unit: "grapheme", maxLength: 8 }), { maxLength: 40 });

describe("paging by key", () => {
  it("shows everything once and in order, whatever the page size", () => {
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 10 }), (all, limit) => {
        const shuffled = new Set(all);
        expect(readAll(shuffled, limit)).toEqual([...all].sort((one, other) => (one < other ? -1 : 1)));
      }),
    );
  });

  it("shows what stays all the time exactly once, whatever comes and goes meanwhile", () => {
    fc.assert(
      fc.property(keys, keys, keys, fc.integer({ min: 1, max: 5 }), (staying, leaving, coming, limit) => {
        const stays = staying.filter((key) => !leaving.includes(key) && !coming.includes(key));
        const seen = readAll(new Set([...stays, ...leaving]), limit, (items, page) => {
          const [gone, come] = [leaving[page], coming[page]];
          if (gone !== undefined) items.delete(gone);
          if (come !== undefined) items.add(come);
        });
        expect(seen.filter((key) => stays.includes(key))).toEqual(
          [...stays].sort((one, other) => (one < other ? -1 : 1)),
        );
        expect(new Set(seen).size).toBe(seen.length);
      }),
    );
  });

  it("ends with the last item, not with an empty page", () => {
    const paged = pageByKey(["a", "b"], identity, { limit: 2 });
    expect(paged).toEqual({ ok: true, page: { items: ["a", "b"], nextCursor: null } });
  });

  it("reads back what it wrote, and refuses what it did not", () => {
    fc.assert(fc.property(fc.string({ unit: "grapheme" }), (key) => decodeCursor(encodeCursor(key)) === key));
    for (const cursor of ["", "abc", "MQ==", "!!", encodeCursor("a").slice(1)])
      expect(decodeCursor(cursor)).toBeUndefined();
    expect(pageByKey(["a"], identity, { cursor: "abc", limit: 1 })).toMatchObject({
      ok: false,
      refusal: { code: "invalid_request", errors: [{ path: "query.cursor" }] },
    });
  });
});
