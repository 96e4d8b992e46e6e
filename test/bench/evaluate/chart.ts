/** The middle of a sample; of an even number, the lower of the two. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

/** Columns under each other: the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  "),
    )
    .join("\n");
}

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly ours: boolean;
}

const WIDTH = 48;

/** A bar per value, from half of the smallest: libraries differ by hundreds, so the scale is logarithmic. */
export function bars(values: readonly Bar[]): string {
  const smallest = Math.min(...values.map(({ value }) => value)) / 2;
  const largest = Math.max(...values.map(({ value }) => value));
  const labelWidth = Math.max(...values.map(({ label }) => label.length));
  return values
    .map(({ label, value, ours }) => {
      const length = Math.max(1, Math.round((Math.log(value / smallest) / Math.log(largest / smallest)) * WIDTH));
      const figure = value >= 10 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
      return `  ${label.padEnd(labelWidth)} ${(ours ? "█" : "▒").repeat(length)} ${figure}`;
    })
    .join("\n");
}
