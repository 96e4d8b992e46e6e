import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { countRows } from "./count-rows.ts";

const rows = countRows<[number, number]>(
  [
    { name: "group", least: 0, most: 31 },
    { name: "count", least: 0, most: 1_000 },
  ],
  3,
);
const tuples = z.array(z.tuple([z.int().min(0).max(31), z.int().min(0).max(1_000)])).max(3);

describe("rows of whole numbers", () => {
  it("property: are what a list of tuples is", () => {
    const number = fc.oneof(
      fc.integer({ min: -2, max: 40 }),
      fc.integer({ min: 990, max: 1_010 }),
      fc.constantFrom<unknown>(0.5, Number.NaN, Infinity, 2 ** 60, "1", null, undefined, true, [], {}),
    );
    const row = fc.oneof(
      { weight: 9, arbitrary: fc.tuple(fc.integer({ min: 0, max: 31 }), fc.integer({ min: 0, max: 1_000 })) },
      { weight: 1, arbitrary: fc.array(number, { maxLength: 3 }) },
      { weight: 1, arbitrary: number },
    );
    const document = fc.oneof(
      { weight: 9, arbitrary: fc.array(row, { maxLength: 4 }) },
      { weight: 1, arbitrary: number },
    );
    fc.assert(
      fc.property(document, (value) => {
        const [read, expected] = [rows.safeParse(value), tuples.safeParse(value)];
        expect(read.success).toBe(expected.success);
        if (read.success) expect(read.data).toEqual(expected.data);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["no list", 7, [], "Expected a list of [group, count]."],
    [
      "too many",
      [
        [1, 1],
        [2, 1],
        [3, 1],
        [4, 1],
      ],
      [],
      "Expected at most 3 entries.",
    ],
    ["a row of another length", [[1, 1], [2]], [1], "Expected [group, count]."],
    [
      "a number beyond its bounds",
      [
        [1, 1],
        [32, 1],
      ],
      [1, 0],
      "Expected group to be a whole number from 0 to 31.",
    ],
    ["no whole number", [[1, 0.5]], [0, 1], "Expected count to be a whole number from 0 to 1000."],
  ])("name the first flaw: %s", (_title, value, path, message) => {
    expect(rows.safeParse(value).error?.issues).toMatchObject([{ path, message }]);
  });

  it("are missed where they are missing", () => {
    expect(z.object({ groups: rows }).safeParse({}).success).toBe(false);
  });

  it("are documented as such a list", () => {
    const schemaOf = (schema: z.ZodType) => z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
    expect(schemaOf(rows)).toEqual(schemaOf(tuples));
  });
});
