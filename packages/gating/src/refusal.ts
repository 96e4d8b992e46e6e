import type { ErrorCode } from "@bunting/contracts";
import type { OpeningTime } from "./windows.ts";

/** Refusals that rollouts give; the catalogue says what each means. */
export type RolloutErrorCode = Extract<
  ErrorCode,
  | "rollout_plan_invalid"
  | "rollout_scope_unknown"
  | "rollout_canary_has_share"
  | "rollout_control_has_no_share"
  | "variant_unknown"
  | "rollout_not_live"
  | "rollout_at_last_stage"
  | "transition_not_allowed"
  | "rollout_flag_killed"
  | "rollout_flag_changed"
  | "checklist_incomplete"
  | "outside_release_window"
  | "approval_missing"
  | "approval_not_asked"
  | "approval_role_missing"
  | "comment_required"
>;

export interface Refusal {
  readonly code: RolloutErrorCode;
  /** One sentence about this case. */
  readonly detail: string;
  /** Path within the plan, as in `guardrails.0.id`; only of refusals of a plan. */
  readonly field?: string;
  /** Only of `outside_release_window`: when it opens; null if never. */
  readonly next?: OpeningTime | null;
}
