import Table from "cli-table3";
import type { Theme } from "./theme.ts";

export interface Column<Row> {
  readonly title: string;
  readonly align?: "left" | "right";
  /** What stands in the cell; may hold colours. */
  cell(row: Row): string;
}

/** Columns without frames: easy to read, easy to cut. `whenEmpty` says what it means that there is nothing. */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  theme: Theme,
  whenEmpty: string,
): string {
  if (rows.length === 0) return theme.paint("faint", whenEmpty);
  const drawn = new Table({
    chars: NO_FRAME,
    style: { "padding-left": 0, "padding-right": 2, head: [], border: [], compact: true },
    colAligns: columns.map(({ align }) => align ?? "left"),
    head: columns.map(({ title }) => theme.paint("faint", title.toUpperCase())),
  });
  drawn.push(...rows.map((row) => columns.map((column) => column.cell(row))));
  return withoutTrailingSpace(drawn.toString());
}

/** Names on the left, values on the right. Entries without a value are left out. */
export function facts(entries: readonly (readonly [name: string, value: string | undefined])[], theme: Theme): string {
  const present = entries.filter(([, value]) => value !== undefined && value !== "");
  const width = Math.max(...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${theme.paint("faint", name.padEnd(width))}  ${value}`).join("\n");
}

const NO_FRAME = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "",
};

function withoutTrailingSpace(text: string): string {
  return text.replace(/[ \t]+$/gm, "");
}
