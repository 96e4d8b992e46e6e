import type { Decision, RolloutPlan } from "@bunting/contracts";
import type { ShareChange } from "./output/timeline.ts";

/*
 * What a log of decisions says of the course of one attempt.
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
