import type { Decision, Guardrail, RolloutPlan } from "@bunting/contracts";
import type { History, NamedGuardrail } from "@bunting/gating";
import type { ShareChange } from "./output/timeline.ts";

/*
 * What a log of decisions says of the course of one attempt, and of the values from outside that it was decided on.
 */

type Step = Pick<Decision, "at" | "action" | "stage">;

/** The canary's share after each decision that changed it. Oldest first, as the decisions must be. */
export function courseOf(
  decisions: readonly Step[],
  plan: Pick<RolloutPlan, "stages">,
  startedAt: string,
): ShareChange[] {
  const percentAt = (stage: number): number => plan.stages[stage]?.percent ?? 100;
  const course: ShareChange[] = [{ atSeconds: 0, percent: percentAt(0) }];
  for (const { at, action, stage } of decisions) {
    const atSeconds = (Date.parse(at) - Date.parse(startedAt)) / 1000;
    const current = percentAt(stage ?? 0);
    if (action === "promote") course.push({ atSeconds, percent: percentAt((stage ?? 0) + 1) });
    else if (action === "complete") course.push({ atSeconds, percent: current, end: "completed" });
    else if (action === "rollback") course.push({ atSeconds, percent: 0, end: "rolled_back" });
    else if (action === "kill") course.push({ atSeconds, percent: 0, end: "killed" });
    else if (action === "abort") course.push({ atSeconds, percent: 0, end: "aborted" });
  }
  return course;
}

/**
 * Values of gauges and queries as the decisions saw them, under the names that another plan has for the same metric or query.
 * Values that nobody looked at then are not known now.
 */
export function outsideSamples(
  decisions: readonly Pick<Decision, "at" | "guardrails">[],
  former: readonly NamedGuardrail[],
  other: readonly NamedGuardrail[],
): History["samples"] {
  const sources = new Map(former.flatMap(({ id, guardrail }) => sourceOf(guardrail).map((source) => [id, source])));
  return decisions.flatMap(({ at, guardrails }) =>
    guardrails.flatMap(({ id, canary, cause, explanation }) => {
      const source = sources.get(id);
      if (source === undefined) return [];
      const when = Date.parse(at);
      const sample = cause === "measurement_error" ? { at: when, error: explanation } : { at: when, value: canary };
      return other
        .filter(({ guardrail }) => sourceOf(guardrail).includes(source))
        .map((named) => ({ id: named.id, sample }));
    }),
  );
}

/** None for what SDKs count. */
function sourceOf(guardrail: Guardrail): string[] {
  if ("source" in guardrail) return [`query ${guardrail.query}`];
  return "kind" in guardrail && guardrail.kind === "gauge" ? [`gauge ${guardrail.metric}`] : [];
}
