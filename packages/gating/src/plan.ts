import type { Guardrail, RolloutPlan, VariantKey } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { guardrailsOfStage, isGating, namedGuardrails } from "./guardrails.ts";
import type { Refusal } from "./refusal.ts";
import { type ScopedConfiguration, serveOfScope } from "./scope.ts";
import { splitOf } from "./split.ts";
import { nextOpening, windowProblem } from "./windows.ts";
import { limitText } from "./words.ts";

/**
 * The plan of somebody who names nothing but the variants: 1, 5, 25, 50 and 100 %, five minutes each; at most 1 % errors;
 * p99 at most 500 ms, and at most 25 % above the control's; a hundred outcomes in each arm before anything is said; a look a
 * minute; back to control by itself, forward by hand.
 */
export function defaultPlan(canary: VariantKey, control: VariantKey): RolloutPlan {
  const failure = { onFail: "rollback", forSeconds: 0, required: true, exclusive: false } as const;
  return {
    canary,
    control,
    scope: { fallthrough: true },
    stages: [1, 5, 25, 50, 100].map((percent) => ({ percent, bakeSeconds: 300 })),
    guardrails: [
      { metric: "error_rate", max: 0.01, ...failure },
      { metric: "latency_p99", maxMs: 500, maxIncreasePercent: 25, ...failure },
    ],
    minSamples: 100,
    analysisIntervalSeconds: 60,
    autoPromote: false,
    autoRollback: true,
    falseAlarmBudget: 0.01,
    falsePromotionBudget: 0.05,
    harmBudgetRate: 0.25,
    decideBy: "evidence",
    maxStageSeconds: 1800,
    onNoData: "hold",
    windows: [],
    freezes: [],
    notify: [],
    checklist: [],
    links: {},
  };
}

/** The canary's percent in a stage; 0 before the first. */
export function percentOfStage(plan: RolloutPlan, stage: number | null): number {
  return stage === null ? 0 : (plan.stages[stage]?.percent ?? 0);
}

/** The canary's percent in the stage after; null from the last. */
export function nextPercent(plan: RolloutPlan, stage: number): number | null {
  return plan.stages[stage + 1]?.percent ?? null;
}

/** Why a plan can never be carried out, whatever flag it is for. The schema has been satisfied already. */
export function planProblems(plan: RolloutPlan, now: number): readonly Refusal[] {
  return [...guardrailProblems(plan), ...calendarProblems(plan, now)];
}

/** Why a plan cannot begin on this flag as it is. */
export function startProblems(
  plan: RolloutPlan,
  variants: readonly string[],
  configuration: ScopedConfiguration,
): readonly Refusal[] {
  const unknown = (
    [
      ["canary", plan.canary],
      ["control", plan.control],
    ] as const
  )
    .filter(([, variant]) => !variants.includes(variant))
    .map(
      ([field, variant]): Refusal => ({
        code: "variant_unknown",
        detail: `The flag has no variant ${variant}.`,
        field,
      }),
    );
  if (unknown.length > 0) return unknown;

  const serve = serveOfScope(configuration, plan.scope);
  if (serve === null) {
    const rule = "rule" in plan.scope ? plan.scope.rule : "";
    return [{ code: "rollout_scope_unknown", detail: `The configuration has no rule ${rule}.`, field: "scope.rule" }];
  }
  const split = splitOf(serve);
  const canaryPercent = split[plan.canary] ?? 0;
  const controlPercent = split[plan.control] ?? 0;
  return [
    ...(canaryPercent === 0
      ? []
      : [
          {
            code: "rollout_canary_has_share",
            detail: `The scope serves ${plan.canary} to ${canaryPercent} % already.`,
            field: "canary",
          } as const,
        ]),
    ...(controlPercent > 0
      ? []
      : [
          {
            code: "rollout_control_has_no_share",
            detail: `The scope serves ${plan.control} to nobody.`,
            field: "control",
          } as const,
        ]),
  ];
}

function guardrailProblems(plan: RolloutPlan): readonly Refusal[] {
  const named = namedGuardrails(plan);
  const seen = new Set<string>();
  const twice = named.filter(({ id }) => seen.size === seen.add(id).size).map(({ id }) => id);
  const impossible = named.filter(({ guardrail }) => leavesNoValue(guardrail));
  const unjudged = plan.stages.findIndex((_, stage) => !guardrailsOfStage(plan, stage).some(isGating));
  const metrics = new Set(named.flatMap(({ guardrail }) => ("kind" in guardrail ? guardrail.metric : [])));
  return [
    ...twice.map((id) =>
      invalid("guardrails", `Two guardrails are called ${id}: decisions could not tell them apart.`),
    ),
    ...impossible.map(({ id, guardrail }) =>
      invalid("guardrails", `No value is within the limits of ${id}: ${limitText(guardrail)}.`),
    ),
    // Where nothing has to pass, time alone would promote.
    ...(plan.autoPromote && unjudged >= 0
      ? [
          invalid(
            "guardrails",
            `Nothing has to pass at ${percentOfStage(plan, unjudged)} %: name a required guardrail that does more than alert, such as error_rate, or promote by hand.`,
          ),
        ]
      : []),
    ...(metrics.size > LIMITS.metricsPerRollout
      ? [
          invalid(
            "guardrails",
            `A rollout judges at most ${LIMITS.metricsPerRollout} metrics; these are ${metrics.size}.`,
          ),
        ]
      : []),
  ];
}

/** Limits that contradict each other, or a share's own bounds: it would fail at its first look, whatever is measured. */
function leavesNoValue(guardrail: Guardrail): boolean {
  const [lowest, highest] = isShare(guardrail) ? [0, 1] : [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const min = ("min" in guardrail ? guardrail.min : undefined) ?? lowest;
  const max = ("max" in guardrail ? guardrail.max : undefined) ?? highest;
  return min > max || (guardrail.exclusive && min === max);
}

function isShare(guardrail: Guardrail): boolean {
  if ("source" in guardrail) return false;
  return "kind" in guardrail ? guardrail.kind === "ratio" : guardrail.metric === "error_rate";
}

function calendarProblems({ windows, freezes }: RolloutPlan, now: number): readonly Refusal[] {
  const problems = [
    ...windows.map((window, index) => ({ field: `windows.${index}`, problem: windowProblem(window) })),
    ...freezes.map((freeze, index) => ({ field: `freezes.${index}`, problem: windowProblem(freeze) })),
  ].flatMap(({ field, problem }) => (problem === null ? [] : [invalid(field, problem)]));
  if (problems.length > 0 || nextOpening({ windows, freezes }, now) !== null) return problems;
  return [invalid("freezes", "The freezes cover every window, so the rollout could never start.")];
}

function invalid(field: string, detail: string): Refusal {
  return { code: "rollout_plan_invalid", detail, field };
}
