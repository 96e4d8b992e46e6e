import type { Flag, Json, Rollout, Decision as RolloutDecision } from "@bunting/contracts";
import type { Ruling } from "@bunting/gating";
import type { Actor } from "../ledger/command.ts";
import type { AuditDraft, Decision, DecisionEntry } from "../ledger/decision.ts";
import type { EnvironmentState, StoredConfiguration, StoredRollout } from "../ledger/state.ts";
import { notificationsOf } from "../notifications/rollout-notifications.ts";
import { isLive } from "./rollout.ts";
import { allocationOf, changeScope } from "./scope-change.ts";

/** Looks that changed nothing and said nothing new: so many are kept of each attempt, counted back from the newest. */
const HOLDS_KEPT = 1_000;

export interface RulingPlace {
  readonly before: StoredRollout;
  readonly environment: EnvironmentState;
  readonly flag: Flag;
  readonly stored: StoredConfiguration;
}

export interface RulingFacts {
  readonly actor: Actor;
  /** RFC 3339. */
  readonly now: string;
  readonly newSalt: () => number;
  /** Of node. */
  readonly engine: string;
  /** What the ruling was decided from. */
  readonly inputs: unknown;
  /** Whether a look of the controller was this. */
  readonly isAnalysis: boolean;
}

/**
 * Everything a ruling comes to, as one change: the rollout, the flag, the log of decisions, the audit, and what webhooks are to
 * be told. Either all of it happens or none.
 */
export function carryOutRuling(ruling: Ruling, place: RulingPlace, facts: RulingFacts): Decision {
  const { before, environment, stored } = place;
  const { effects, state } = ruling.transition;
  const { actor, now, isAnalysis } = facts;
  const number = before.decisionCount + 1;
  const id = `${before.rollout.id}.${number}`;

  const kill = { by: actor.name, at: now, reason: ruling.decision.because };
  const configuration = changeScope(effects, { ...place, after: ruling.rollout, kill, now });
  const isChanged = configuration !== stored;
  const hasMoved = state.name !== before.rollout.state || effects.some(({ type }) => type !== "notify");
  const rollout: Rollout = {
    ...ruling.rollout,
    configurationVersion: isChanged ? configuration.configuration.version : before.rollout.configurationVersion,
    latestDecision: id,
    version: before.rollout.version + (hasMoved ? 1 : 0),
  };
  const decision: RolloutDecision = {
    ...ruling.decision,
    id,
    revision: isChanged || changesEntry(before, rollout) ? environment.revision + 1 : null,
    engine: facts.engine,
  };
  const begins = effects.some(({ type }) => type === "begin_attempt");
  const after: StoredRollout = {
    ...before,
    rollout,
    ...(begins && {
      formerAllocation: allocationOf(stored.allocations, rollout.plan.scope),
      groupSalt: facts.newSalt(),
    }),
    latestAnalysis: isAnalysis ? decision : before.latestAnalysis,
    latestDecision: decision,
    nextStep: decision.nextStep,
    decisionCount: number,
  };
  const entry: DecisionEntry = {
    number,
    changes: hasMoved || saysSomethingNew(decision, before),
    record: { ...decision, inputs: facts.inputs as Json },
  };
  const notices = effects.flatMap((effect) => (effect.type === "notify" ? effect.notice : []));
  const where = { environment: environment.key, flag: rollout.flag };
  return {
    ok: true,
    edits: [
      { kind: "rollout", id: rollout.id, after },
      ...(isChanged ? [{ kind: "configuration", ...where, after: configuration } as const] : []),
      { kind: "decision", entry, dropHoldsUpTo: number - HOLDS_KEPT },
    ],
    audit: hasMoved ? auditOf(decision, place, { after, configuration }) : [],
    announcements: notificationsOf({ notices, rollout, decision, by: decision.by, at: now }),
  };
}

/** Whether SDKs get another entry though the configuration is the same. */
function changesEntry(before: StoredRollout, after: Rollout): boolean {
  return isLive(before) !== isLive({ rollout: after }) || before.rollout.stage !== after.stage;
}

/** Another verdict or cause than the look before, or one that people are told of. */
function saysSomethingNew({ action, verdict, cause, attempt, stage }: RolloutDecision, before: StoredRollout): boolean {
  const last = before.latestAnalysis;
  return (
    action !== "none" ||
    last?.verdict !== verdict ||
    last.cause !== cause ||
    last.attempt !== attempt ||
    last.stage !== stage
  );
}

/** One entry for the rollout, and one for the flag if it was changed: whoever asks what became of a flag asks for that. */
function auditOf(
  { action, because }: RolloutDecision,
  { before, environment, flag, stored }: RulingPlace,
  { after, configuration }: { readonly after: StoredRollout; readonly configuration: StoredConfiguration },
): AuditDraft[] {
  const name = `rollout_${action}`;
  const { key } = environment;
  const ofRollout: AuditDraft = {
    action: name,
    object: { kind: "rollout", key: before.rollout.id, environment: key },
    before: withoutPlan(before),
    after: withoutPlan(after),
    reason: because,
  };
  if (configuration === stored) return [ofRollout];
  const ofFlag: AuditDraft = {
    action: name,
    object: { kind: "configuration", key: flag.key, environment: key },
    before: stored.configuration,
    after: configuration.configuration,
    reason: because,
  };
  return [ofRollout, ofFlag];
}

/** The plan never changes, and is in the entry of the creation. */
function withoutPlan({ rollout }: StoredRollout) {
  const { plan: _plan, ...rest } = rollout;
  return rest;
}
