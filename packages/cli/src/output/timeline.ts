import type { Theme } from "./theme.ts";
import { formatPercent, formatSpan } from "./words.ts";

/** The canary's share from some moment on. */
export interface ShareChange {
  /** Seconds after the start of the attempt. */
  readonly atSeconds: number;
  readonly percent: number;
  /** What ended it, where something did. */
  readonly end?: "completed" | "rolled_back" | "killed" | "aborted";
}

const TALLEST = 8;
const STEPS = " ▁▂▃▄▅▆▇█";

/**
 * A line for one course of shares over time, as high as the share: 1 % is low and 100 % is full, on a logarithmic scale, so
 * that the first stages can be told apart.
 */
export function timelineBar(
  changes: readonly ShareChange[],
  { lengthSeconds, width }: { readonly lengthSeconds: number; readonly width: number },
  theme: Theme,
): string {
  const last = changes.at(-1);
  const cells = Array.from({ length: width }, (_, cell) => {
    const at = ((cell + 1) / width) * lengthSeconds;
    const current = changes.findLast(({ atSeconds }) => atSeconds < at) ?? changes[0];
    return current ? cellOf(current, theme) : " ";
  });
  const mark =
    last?.end === undefined ? "" : last.end === "completed" ? theme.paint("good", " ✓") : theme.paint("bad", " ✗");
  return cells.join("") + mark;
}

function cellOf({ percent, end }: ShareChange, theme: Theme): string {
  if (end !== undefined && end !== "completed") return theme.paint("faint", "·");
  if (percent <= 0) return theme.paint("faint", "·");
  const height = 1 + Math.round((Math.log(Math.max(1, percent)) / Math.log(100)) * (TALLEST - 1));
  return theme.paint(end === "completed" ? "faint" : "good", STEPS[height] ?? "█");
}

/** `at 5 min to 25 %`, `at 12 min 30 s rolled back`. */
export function changeInWords({ atSeconds, percent, end }: ShareChange): string {
  const what = end === undefined ? `to ${formatPercent(percent)}` : end.replaceAll("_", " ");
  return `after ${formatSpan(atSeconds)} ${what}`;
}
