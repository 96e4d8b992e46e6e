import type { RolloutPlan } from "@bunting/contracts";
import type { NamedGuardrail } from "./judgement.ts";

/**
 * All guardrails of a plan with their ids, in the order of the plan, those of stages after those of the whole. A guardrail
 * without an id is called after its metric, or `prometheus-1`, `prometheus-2` …; a name that is taken gets `-2`, `-3` …
 */
export function namedGuardrails(plan: RolloutPlan): readonly NamedGuardrail[] {
  const bound = [
    ...plan.guardrails.map((guardrail) => ({ guardrail, stage: null })),
    ...plan.stages.flatMap((stage, index) =>
      (stage.guardrails ?? []).map((guardrail) => ({ guardrail, stage: index })),
    ),
  ];
  const taken = new Set(bound.flatMap(({ guardrail }) => guardrail.id ?? []));
  let queryCount = 0;
  return bound.map(({ guardrail, stage }) => {
    if (guardrail.id !== undefined) return { id: guardrail.id, guardrail, stage };
    if ("source" in guardrail) queryCount += 1;
    const id = freeName("source" in guardrail ? `prometheus-${queryCount}` : guardrail.metric, taken);
    taken.add(id);
    return { id, guardrail, stage };
  });
}

/** Those that bind a stage: the plan's and its own. */
export function guardrailsOfStage(plan: RolloutPlan, stage: number): readonly NamedGuardrail[] {
  return namedGuardrails(plan).filter((named) => named.stage === null || named.stage === stage);
}

/** Whether its failure or its silence concerns the rollout: of one that informs or alerts, people are told and nothing else. */
export const isGating = ({ guardrail }: NamedGuardrail): boolean => guardrail.required && guardrail.onFail !== "alert";

function freeName(name: string, taken: ReadonlySet<string>): string {
  for (let attempt = 1; ; attempt += 1) {
    const candidate = attempt === 1 ? name : `${name}-${attempt}`;
    if (!taken.has(candidate)) return candidate;
  }
}
