import { describe, expect, it } from "vitest";
import { inPages, ROWS_AT_ONCE } from "./in-pages.ts";

describe("GA-178 evidence is read in turns of eight rows at most, with everything else in between", () => {
  const rows = Array.from({ length: 2 * ROWS_AT_ONCE + 3 }, (_, index) => index);
  const after = (last: number | null, limit: number) => {
    const from = last === null ? 0 : last + 1;
    return rows.slice(from, from + limit);
  };

  it("every row once, and nothing is read before others had their turn", async () => {
    const turns: (() => void)[] = [];
    const told: string[] = [];
    const pages = inPages(
      (last: number | null, limit) => {
        told.push(`read after ${last}`);
        return after(last, limit);
      },
      {
        soon: (task) => {
          turns.push(task);
          told.push("a turn of the others");
          queueMicrotask(() => turns.shift()?.());
        },
      },
    );
    const all: number[] = [];
    for await (const page of pages) all.push(...(page ?? []));
    expect(all).toEqual(rows);
    expect(told).toEqual([
      "read after null",
      "a turn of the others",
      "read after 7",
      "a turn of the others",
      "read after 15",
    ]);
  });

  it("ends with null where something cannot be read", async () => {
    let count = 0;
    const read = (last: number | null, limit: number) => (count++ === 1 ? null : after(last, limit));
    const pages: unknown[] = [];
    for await (const page of inPages(read, { soon: setImmediate })) pages.push(page);
    expect(pages).toEqual([rows.slice(0, ROWS_AT_ONCE), null]);
  });
});
