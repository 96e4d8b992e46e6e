import type { Rollout, RolloutState, Serve, Signature } from "@bunting/contracts";
import { type ApprovalStatus, approvalStatus, maySign, signingRoles } from "./approval.ts";
import { instantText } from "./instant.ts";
import type { Gates, State, Transition } from "./machine.ts";
import { percentOfStage } from "./plan.ts";
import type { Refusal } from "./refusal.ts";
import { openingOf } from "./windows.ts";

/*
 * A stored rollout and the machine: what of the row is its state, what its gates are, and what a transition makes of it. The
 * configuration's version is left to whoever writes the flag, for only the write knows it.
 */

/** What a decision has to know of the flag. */
export interface FlagFacts {
  readonly killed: boolean;
  readonly configurationVersion: number;
}

/** A plan that is written down, and changes nothing before somebody starts it. */
export function pendingRollout({ id, environment, flag, plan, createdBy, createdAt }: PlannedRollout): Rollout {
  return {
    id,
    environment,
    flag,
    plan,
    state: "pending",
    attempt: 1,
    stage: null,
    percent: 0,
    configurationVersion: null,
    formerServe: null,
    startedAt: null,
    startedBy: null,
    stageStartedAt: null,
    askedAt: null,
    endedAt: null,
    because: `${createdBy} wrote the plan.`,
    signatures: [],
    checklist: [...new Set(plan.checklist)].map((item) => ({ item, by: null, at: null })),
    latestDecision: null,
    createdBy,
    createdAt,
    version: 1,
  };
}

type PlannedRollout = Pick<Rollout, "id" | "environment" | "flag" | "plan" | "createdBy" | "createdAt">;

export function stateOf({ state, attempt, stage }: Pick<Rollout, "state" | "attempt" | "stage">): State {
  switch (state) {
    case "pending":
      return { name: state, attempt, stage: null };
    case "aborted":
      return { name: state, attempt, stage };
    case "running":
    case "paused":
    case "awaiting_approval":
    case "completed":
    case "rolled_back":
      return { name: state, attempt, stage: stage ?? 0 };
  }
}

/** A person's newer word: the version is another than the one this rollout wrote. */
export function flagStatus(rollout: Rollout, flag: FlagFacts): Gates["flag"] {
  if (flag.killed) return "killed";
  const isOurs = rollout.configurationVersion === null || rollout.configurationVersion === flag.configurationVersion;
  return isOurs ? "ours" : "changed";
}

export interface GateInputs {
  readonly flag: FlagFacts;
  readonly now: number;
  readonly hasPass: boolean;
  /** The signature that is being given. */
  readonly signature?: Signature;
  readonly obstacles?: readonly Refusal[];
}

export function gatesOf(rollout: Rollout, { flag, now, hasPass, signature, obstacles = [] }: GateInputs): Gates {
  const { plan } = rollout;
  const approval = rollout.stage === null ? undefined : plan.stages[rollout.stage]?.approval;
  const foreign =
    approval !== undefined &&
    signature !== undefined &&
    !maySign(approval, { name: signature.by, roles: signature.roles });
  return {
    percents: plan.stages.map(({ percent }) => percent),
    opening: openingOf(plan, now),
    approval: approvalOf(signature ? { ...rollout, signatures: [...rollout.signatures, signature] } : rollout),
    rolesOfOthers: foreign ? signingRoles(approval) : [],
    uncheckedItems: rollout.checklist.filter(({ by }) => by === null).map(({ item }) => item),
    flag: flagStatus(rollout, flag),
    obstacles,
    autoPromote: plan.autoPromote,
    hasPass,
  };
}

/** Of the current stage. */
export function approvalOf({
  plan,
  stage,
  signatures,
  startedBy,
}: Pick<Rollout, "plan" | "stage" | "signatures" | "startedBy">): ApprovalStatus {
  if (stage === null) return { name: "not_needed" };
  return approvalStatus(plan.stages[stage]?.approval, stage, signatures, startedBy);
}

export interface TransitionFacts {
  readonly now: number;
  /** Whose command it was; null: the controller's. */
  readonly by: string | null;
  readonly because: string;
  readonly signature?: Signature;
  /** What the scope serves now; remembered when an attempt begins. */
  readonly serve?: Serve | null;
}

/** The rollout after a transition, but for `version`, `configurationVersion` and `latestDecision`: they are the store's. */
export function applyTransition(rollout: Rollout, { state, effects }: Transition, facts: TransitionFacts): Rollout {
  const at = instantText(facts.now);
  const { stage } = state;
  const begins = effects.some(({ type }) => type === "begin_attempt");
  const moves = effects.some(({ type }) => type === "set_percent");
  const asks = effects.some(({ type }) => type === "ask_approval");
  const signs = effects.some(({ type }) => type === "record_signature") && facts.signature !== undefined;
  const restores = effects.some(({ type }) => type === "restore_control");
  return {
    ...rollout,
    state: state.name,
    attempt: state.attempt,
    stage,
    percent: restores ? 0 : moves ? percentOfStage(rollout.plan, stage) : rollout.percent,
    ...(begins
      ? { startedAt: at, startedBy: facts.by, formerServe: facts.serve ?? null, signatures: [], endedAt: null }
      : {}),
    ...(moves ? { stageStartedAt: at } : {}),
    ...(signs && facts.signature ? { signatures: [...rollout.signatures, facts.signature] } : {}),
    askedAt: asks ? at : state.name === "awaiting_approval" ? rollout.askedAt : null,
    ...(hasEnded(state.name) && !hasEnded(rollout.state) ? { endedAt: at } : {}),
    because: facts.because,
  };
}

function hasEnded(state: RolloutState): boolean {
  return state === "completed" || state === "rolled_back" || state === "aborted";
}
