import type { RolloutPlan, RolloutState, Signature } from "@bunting/contracts";
import { cellsOf } from "./bar.ts";
import type { Style, Theme } from "./theme.ts";
import { formatPercent } from "./words.ts";

/** Where a rollout stands on its way. */
export interface Progress {
  readonly plan: Pick<RolloutPlan, "stages">;
  readonly state: RolloutState;
  readonly stage: number | null;
  readonly bakedSeconds: number;
  readonly signatures: readonly Signature[];
}

const WIDEST_CELL = 12;
const NARROWEST_CELL = 9;

/**
 * ```
 * ●━━━━━━━━●━━━━━━━━◉━━━━────○───┤├───○
 * 1 %      5 %      25 %     50 %     100 %
 * ```
 * How far the line beyond a stage is drawn is how much of its bake is over; `┤├` is a gate that takes an approval.
 */
export function stageBar(progress: Progress, theme: Theme): string {
  const { stages } = progress.plan;
  const width = Math.max(NARROWEST_CELL, Math.min(WIDEST_CELL, Math.floor(theme.columns / stages.length)));
  const perRow = Math.max(1, Math.floor(theme.columns / width));
  const rows: string[] = [];
  for (let first = 0; first < stages.length; first += perRow) {
    const indexes = stages.slice(first, first + perRow).map((_, offset) => first + offset);
    rows.push(
      indexes.map((index) => stageCell(progress, index, width, theme)).join(""),
      indexes
        .map((index) => label(progress, index, width, theme))
        .join("")
        .trimEnd(),
    );
  }
  return rows.join("\n");
}

type Place = "behind" | "here" | "ahead";

function placeOf({ stage, state }: Progress, index: number): Place {
  if (stage === null || index > stage) return "ahead";
  return index < stage || state === "completed" ? "behind" : "here";
}

const HERE: Readonly<Record<RolloutState, { readonly mark: string; readonly style: Style }>> = {
  pending: { mark: "○", style: "faint" },
  running: { mark: "◉", style: "good" },
  paused: { mark: "◉", style: "caution" },
  awaiting_approval: { mark: "◉", style: "caution" },
  completed: { mark: "●", style: "good" },
  rolled_back: { mark: "✗", style: "bad" },
  aborted: { mark: "✗", style: "caution" },
};

function stageCell(progress: Progress, index: number, width: number, theme: Theme): string {
  const place = placeOf(progress, index);
  const here = HERE[progress.state];
  const mark =
    place === "here"
      ? theme.paint(here.style, here.mark)
      : place === "behind"
        ? theme.paint("good", "●")
        : theme.paint("faint", "○");
  return mark + connector(progress, index, place, width - 1, theme);
}

/** From one stage to the next. After the last one there is none, but for the gate of one that completes with an approval. */
function connector(progress: Progress, index: number, place: Place, width: number, theme: Theme): string {
  const { stages } = progress.plan;
  const stage = stages[index];
  const isGated = stage?.approval !== undefined;
  if (index === stages.length - 1) return isGated ? gate(progress, index, place, theme) : "";
  const length = isGated ? width - GATE.length : width;
  const [drawn = 0, open = 0] = cellsOf(progressPercents(progress, stage?.bakeSeconds ?? 0, place), length);
  const line = theme.paint("good", "━".repeat(drawn)) + theme.paint("faint", "─".repeat(open));
  return isGated ? line + gate(progress, index, place, theme) : line;
}

const GATE = "┤├";

function gate({ signatures }: Progress, index: number, place: Place, theme: Theme): string {
  const isRejected = signatures.some(({ stage, decision }) => stage === index && decision === "reject");
  const style = place === "behind" ? "good" : place === "ahead" ? "faint" : isRejected ? "bad" : "caution";
  return theme.paint(style, GATE);
}

function progressPercents({ bakedSeconds, state }: Progress, bakeSeconds: number, place: Place): [number, number] {
  if (place === "behind") return [100, 0];
  if (place === "ahead" || state === "rolled_back" || state === "aborted") return [0, 100];
  const baked = bakeSeconds === 0 ? 100 : Math.min(100, (100 * bakedSeconds) / bakeSeconds);
  return [baked, 100 - baked];
}

function label(progress: Progress, index: number, width: number, theme: Theme): string {
  const text = formatPercent(progress.plan.stages[index]?.percent ?? 0).padEnd(width);
  return theme.paint(placeOf(progress, index) === "here" ? "strong" : "faint", text);
}
