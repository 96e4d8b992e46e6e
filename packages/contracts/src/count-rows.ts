import { z } from "zod";

/** Whole numbers from `least` to `most`. */
export interface Column {
  readonly name: string;
  readonly least: number;
  readonly most: number;
}

/**
 * Rows of whole numbers, at most `mostRows`: what `z.array(z.tuple(…))` says and is documented as. A cell of evidence has a
 * thousand such numbers, and judging each by a schema of its own was most of what a server spent on evidence; here one loop looks
 * through them, and names the first that is wrong.
 */
export function countRows<Row extends readonly number[]>(
  columns: { readonly [Index in keyof Row]: Column },
  mostRows: number,
): z.ZodType<Row[]> {
  const list = columns as readonly Column[];
  const names = `[${list.map(({ name }) => name).join(", ")}]`;
  return z
    .custom<Row[]>()
    .check((context) => {
      const { value, issues } = context;
      const flaw = (path: PropertyKey[], message: string): void => {
        issues.push({ code: "custom", path, message, input: value });
      };
      if (!Array.isArray(value)) return flaw([], `Expected a list of ${names}.`);
      if (value.length > mostRows) return flaw([], `Expected at most ${mostRows} entries.`);
      for (let index = 0; index < value.length; index += 1) {
        const row: unknown = value[index];
        if (!Array.isArray(row) || row.length !== list.length) return flaw([index], `Expected ${names}.`);
        for (let place = 0; place < list.length; place += 1) {
          const number: unknown = row[place];
          const { name, least, most } = list[place] as Column;
          if (!Number.isInteger(number) || (number as number) < least || (number as number) > most) {
            return flaw([index, place], `Expected ${name} to be a whole number from ${least} to ${most}.`);
          }
        }
      }
    })
    .meta({
      type: "array",
      maxItems: mostRows,
      items: {
        type: "array",
        prefixItems: list.map(({ least, most }) => ({ type: "integer", minimum: least, maximum: most })),
        items: false,
        minItems: list.length,
        maxItems: list.length,
      },
    });
}
