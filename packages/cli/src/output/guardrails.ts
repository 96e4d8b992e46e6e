import type { Guardrail, GuardrailVerdict, RolloutPlan, Verdict } from "@bunting/contracts";
import { edgeOf, PICTURE_WIDTH, type RateRatio, ratioPicture, ratioScale } from "./ratio-picture.ts";
import type { Style, Theme } from "./theme.ts";
import { formatFigure, formatInstant, formatMs, formatRate } from "./words.ts";

const MARKS: Readonly<Record<Verdict, { readonly mark: string; readonly style: Style }>> = {
  pass: { mark: "✓", style: "good" },
  fail: { mark: "✗", style: "bad" },
  hold: { mark: "…", style: "caution" },
};

/**
 * Two lines for each guardrail, a third where it does not pass: canary against control as figures and as a picture, then the
 * limit and what a failure does. All pictures have one scale, so that they can be compared; where the screen is too narrow for
 * them, what they would show is said in figures.
 */
export function renderGuardrails(
  verdicts: readonly GuardrailVerdict[],
  plan: Pick<RolloutPlan, "guardrails" | "stages" | "autoRollback">,
  theme: Theme,
): string {
  const edge = edgeOf(verdicts.flatMap(({ rateRatio }) => rateRatio ?? []));
  const rows = verdicts.map((verdict) => ({ verdict, unit: unitOf(verdict.id, plan) }));
  const nameWidth = Math.max(9, ...rows.map(({ verdict }) => verdict.id.length));
  const figures = (side: "canary" | "control"): string[] =>
    rows.map(({ verdict, unit }) => figure(verdict[side], unit));
  const [canaryWidth, controlWidth] = [widthOf("CANARY", figures("canary")), widthOf("CONTROL", figures("control"))];
  const tableWidth = MARK_WIDTH + nameWidth + GAP + canaryWidth + GAP + controlWidth;
  const hasRoom = tableWidth + GAP + PICTURE_WIDTH + GAP + ESTIMATE_WIDTH <= theme.columns;
  const hasPictures = hasRoom && rows.some(({ verdict }) => verdict.rateRatio !== null);
  const head = [
    "  ",
    "GUARDRAIL".padEnd(nameWidth),
    "CANARY".padStart(canaryWidth),
    "CONTROL".padStart(controlWidth),
    ...(hasPictures ? [ratioScale(edge)] : []),
  ];
  return [
    theme.paint("faint", head.join("  ").slice(2)),
    ...rows.flatMap(({ verdict, unit }) => {
      const { mark, style } = MARKS[verdict.verdict];
      const ratio = verdict.rateRatio;
      const line = [
        `${theme.paint(style, mark)} ${theme.paint("strong", verdict.id.padEnd(nameWidth))}`,
        theme.paint(style, figure(verdict.canary, unit).padStart(canaryWidth)),
        figure(verdict.control, unit).padStart(controlWidth),
        ...(ratio && hasPictures ? [ratioPicture(ratio, { edge, style }, theme), times(ratio.estimate)] : []),
        ...(ratio && !hasPictures ? [ratioInWords(ratio)] : []),
      ].join("  ");
      return [
        line,
        theme.paint("faint", `  ${limitLine(verdict, plan)}`),
        ...(verdict.verdict === "pass" ? [] : [`  ${theme.paint(style, verdict.explanation)}`]),
      ];
    }),
  ].join("\n");
}

const MARK_WIDTH = 2;
const GAP = 2;
/** As of `0.0156x`. */
const ESTIMATE_WIDTH = 7;

const times = (ratio: number): string => `${formatFigure(ratio)}x`;

/** `1.05x, surely 0.61x to 1.72x`. */
function ratioInWords({ low, estimate, high }: RateRatio): string {
  if (low === null && high === null) return times(estimate);
  if (low === null || high === null) {
    return `${times(estimate)}, surely ${low === null ? `at most ${times(high ?? 0)}` : `at least ${times(low)}`}`;
  }
  return `${times(estimate)}, surely ${times(low)} to ${times(high)}`;
}

type Unit = "rate" | "ms" | "plain";

/** A guardrail without an id is called after its metric, or `prometheus-1`; a second one of a name has `-2` behind it. */
function unitOf(id: string, { guardrails, stages }: Pick<RolloutPlan, "guardrails" | "stages">): Unit {
  const all = [...guardrails, ...stages.flatMap((stage) => stage.guardrails ?? [])];
  const named = all.find((guardrail) => guardrail.id === id);
  const unnamed = (guardrail: Guardrail): boolean =>
    guardrail.id === undefined && "metric" in guardrail && guardrail.metric === id.replace(/-\d+$/, "");
  const guardrail = named ?? all.find(unnamed);
  if (guardrail === undefined || "source" in guardrail) return "plain";
  if ("kind" in guardrail) return guardrail.kind === "ratio" ? "rate" : "plain";
  return guardrail.metric === "error_rate" ? "rate" : "ms";
}

function figure(value: number | null, unit: Unit): string {
  if (value === null) return "–";
  if (unit === "rate") return formatRate(value);
  return unit === "ms" ? formatMs(value) : formatFigure(value);
}

function widthOf(title: string, cells: readonly string[]): number {
  return Math.max(title.length, ...cells.map((cell) => cell.length));
}

function limitLine(
  { limit, failingSince, ...guardrail }: GuardrailVerdict,
  plan: Pick<RolloutPlan, "autoRollback">,
): string {
  return [
    limit,
    consequenceOf(guardrail, plan),
    ...(failingSince === null ? [] : [`failing since ${formatInstant(failingSince)} UTC`]),
  ].join("; ");
}

/** What follows when it fails. Without `autoRollback` what would take the canary back is left to people. */
export function consequenceOf(
  { required, onFail }: Pick<GuardrailVerdict, "required" | "onFail">,
  { autoRollback }: Pick<RolloutPlan, "autoRollback">,
): string {
  if (!required) return "informational";
  const takesBack = onFail === "rollback" || onFail === "kill";
  return takesBack && !autoRollback ? "else people decide" : CONSEQUENCES[onFail];
}

const CONSEQUENCES: Readonly<Record<GuardrailVerdict["onFail"], string>> = {
  rollback: "else it rolls back",
  hold: "else it holds",
  alert: "else people are told",
  kill: "else the flag is killed",
};
