import type { Decision, Rollout } from "@bunting/contracts";
import { NO_STAGE_COUNTS } from "./counts.ts";
import type { Transition } from "./machine.ts";

/** A decision before it is stored: ids, revisions and the engine are the store's to add. */
export type DecisionDraft = Omit<Decision, "id" | "revision" | "engine">;

/** What is to be done: the effects, the rollout as it is to be stored, and the decision that says so. */
export interface Ruling {
  readonly transition: Transition;
  readonly rollout: Rollout;
  readonly decision: DecisionDraft;
}

export const NO_COUNTS: Decision["counts"] = { canary: NO_STAGE_COUNTS, control: NO_STAGE_COUNTS };
