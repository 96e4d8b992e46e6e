import type { ConditionTrace, EvaluationResult, TraceStep } from "@bunting/contracts";
import { BUCKET_COUNT } from "@bunting/contracts";
import type { Theme } from "./theme.ts";
import { formatCount, formatValue } from "./words.ts";

export type ExplainedFlag = EvaluationResult & { readonly trace: readonly TraceStep[] };

/** `checkout → v2 "blue"   SPLIT fallthrough`, and with a trace every step of the evaluation order below it. */
export function renderEvaluation(
  flag: string,
  result: ExplainedFlag,
  options: { readonly withTrace: boolean },
  theme: Theme,
): string {
  const served = result.variant === null ? theme.paint("bad", "no variant") : theme.paint("good", result.variant);
  const reason = [result.reason, result.detail, ...(result.errorCode ? [result.errorCode] : [])].join("  ");
  const headline = `${theme.paint("strong", flag)} → ${served}  ${formatValue(result.value)}  ${theme.paint("faint", reason)}`;
  if (!options.withTrace) return headline;
  return [headline, ...tree(result.trace, (step, isLast) => renderStep(step, isLast, theme), theme)].join("\n");
}

/** Lines of each child, hung under one another. */
function tree<Child>(
  children: readonly Child[],
  linesOf: (child: Child, isLast: boolean) => readonly string[],
  theme: Theme,
): string[] {
  return children.flatMap((child, index) => {
    const isLast = index === children.length - 1;
    const [first = "", ...rest] = linesOf(child, isLast);
    return [
      `${theme.paint("faint", isLast ? "└─" : "├─")} ${first}`,
      ...rest.map((line) => `${theme.paint("faint", isLast ? "  " : "│ ")} ${line}`),
    ];
  });
}

/** The last step is the one that decided. */
function renderStep(step: TraceStep, isLast: boolean, theme: Theme): string[] {
  const words = [STEP_WORDS[step.step], ...(step.name === undefined ? [] : [step.name]), ...bucketWords(step)].join(
    " ",
  );
  const outcome = step.variant === undefined ? "" : ` → ${step.variant}`;
  const text = `${words}${outcome}`;
  return [
    `${mark(step.matched, theme)} ${isLast ? theme.paint("strong", text) : text}`,
    ...tree(step.conditions ?? [], (condition) => [renderCondition(condition, theme)], theme),
  ];
}

const STEP_WORDS: Readonly<Record<TraceStep["step"], string>> = {
  killed: "killed?",
  disabled: "disabled?",
  prerequisite: "prerequisite",
  pin: "pinned?",
  rule: "rule",
  fallthrough: "fallthrough",
  error: "error",
};

function bucketWords({ bucket, bucketBy }: TraceStep): string[] {
  if (bucket === undefined) return [];
  return [
    `(bucket ${formatCount(bucket)} of ${formatCount(BUCKET_COUNT)}${bucketBy === undefined ? "" : `, by ${bucketBy}`})`,
  ];
}

function renderCondition({ condition, matched, problem }: ConditionTrace, theme: Theme): string {
  const why = problem === undefined ? "" : theme.paint("bad", `  cannot be judged: ${problem}`);
  return `${mark(matched, theme)} ${condition}${why}`;
}

function mark(matched: boolean, theme: Theme): string {
  return matched ? theme.paint("good", "✓") : theme.paint("faint", "✗");
}
