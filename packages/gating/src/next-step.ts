import type { NextStep, Rollout } from "@bunting/contracts";
import { instantText, inWords } from "./instant.ts";
import { isLive } from "./machine.ts";
import { nextPercent } from "./plan.ts";
import { approvalOf, stateOf } from "./rollout.ts";
import { nextOpening, openingOf } from "./windows.ts";

/** What the evidence of the current stage still lacks. */
export interface EvidenceProgress {
  readonly bakedSeconds: number;
  /** In words, most important first; empty with a pass. */
  readonly waitsFor: readonly string[];
}

/**
 * What comes next and what it waits for, so that nobody has to guess why a rollout does not move.
 *
 * @param progress null where the evidence has not been looked at, as right after a stage began
 */
export function nextStepOf(rollout: Rollout, progress: EvidenceProgress | null, now: number): NextStep {
  const { plan, stage } = rollout;
  const state = stateOf(rollout);
  if (state.name === "pending") return { step: "none", notBefore: null, waitsFor: waitsBeforeStart(rollout, now) };
  if (!isLive(state) || stage === null) return { step: "none", notBefore: null, waitsFor: [] };

  const isLast = nextPercent(plan, stage) === null;
  const bakeSeconds = plan.stages[stage]?.bakeSeconds ?? 0;
  const bakedAt = now + Math.max(0, bakeSeconds - (progress?.bakedSeconds ?? 0)) * 1000;
  // Completing gives nobody the canary: no window and nobody's word but an approval's stands before it.
  const opening = isLast ? { at: bakedAt } : nextOpening(plan, bakedAt);
  return {
    step: isLast ? "complete" : "promote",
    notBefore: opening !== null && opening.at > now ? instantText(opening.at) : null,
    waitsFor: [
      ...(state.name === "paused" ? ["a person to resume it"] : []),
      ...(progress?.waitsFor ?? [`${inWords(bakeSeconds)} of evidence`]),
      ...(isLast ? [] : waitsForWindow(rollout, now)),
      ...waitsForApproval(rollout),
      ...(isLast || plan.autoPromote ? [] : ["a person to promote it"]),
    ],
  };
}

function waitsBeforeStart(rollout: Rollout, now: number): string[] {
  return [
    ...rollout.checklist.filter(({ by }) => by === null).map(({ item }) => `the checklist: ${item}`),
    ...waitsForWindow(rollout, now),
    "a person to start it",
  ];
}

function waitsForWindow({ plan }: Rollout, now: number): readonly string[] {
  const opening = openingOf(plan, now);
  if (opening.open) return [];
  return [
    opening.next === null ? "a release window, of which none opens" : `the release window of ${opening.next.label}`,
  ];
}

function waitsForApproval(rollout: Rollout): readonly string[] {
  const approval = approvalOf(rollout);
  switch (approval.name) {
    case "not_needed":
    case "given":
      return [];
    case "missing":
      return approval.waitsFor;
    case "rejected":
      return [`${approval.by} to take the NO-GO back`];
  }
}
