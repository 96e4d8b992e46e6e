import type { DecisionRecord, Flag, Json, RolloutNotice } from "@bunting/contracts";
import type { Ruling } from "@bunting/gating";
import type { Actor } from "../ledger/command.ts";
import type { Announcement, AuditDraft, Decision, Edit } from "../ledger/decision.ts";
import type { EnvironmentState, StoredConfiguration, StoredRollout } from "../ledger/state.ts";
import { isLive } from "./rollout.ts";
import { allocationOf, changeScope } from "./scope-change.ts";

/** Looks that changed nothing and said nothing new: so many are kept of each attempt, counted back from the newest. */
export const HOLDS_KEPT = 1_000;

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
  const number = before.decisionCount + 1;
  const id = `${before.rollout.id}.${number}`;
  const { actor, now, isAnalysis } = facts;

  const kill = { by: actor.name, at: now, reason: ruling.decision.because };
  const configuration = changeScope(effects, { ...place, after: ruling.rollout, kill, now });
  const hasMoved = state.name !== before.rollout.state || effects.some(({ type }) => type !== "notify");
  const begins = effects.some(({ type }) => type === "begin_attempt");
  const { scope } = before.rollout.plan;
  const record: DecisionRecord = {
    ...ruling.decision,
    id,
    revision: null,
    engine: facts.engine,
    inputs: facts.inputs as Json,
  };
  const after: StoredRollout = {
    ...before,
    rollout: {
      ...ruling.rollout,
      configurationVersion:
        configuration === stored ? before.rollout.configurationVersion : configuration.configuration.version,
      latestDecision: id,
      version: before.rollout.version + (hasMoved ? 1 : 0),
    },
    ...(begins && { formerAllocation: allocationOf(stored.allocations, scope), groupSalt: facts.newSalt() }),
    latestAnalysis: isAnalysis ? withoutInputs(record) : before.latestAnalysis,
    nextStep: record.nextStep,
    decisionCount: number,
  };
  const changesEntry =
    configuration !== stored || isLive(before) !== isLive(after) || before.rollout.stage !== after.rollout.stage;
  const decided = { ...record, revision: changesEntry ? environment.revision + 1 : null };
  const latestAnalysis = isAnalysis ? withoutInputs(decided) : before.latestAnalysis;

  const where = { environment: environment.key, flag: before.rollout.flag };
  return {
    ok: true,
    edits: [
      { kind: "rollout", id: before.rollout.id, after: { ...after, latestAnalysis } },
      ...(configuration === stored ? [] : [{ kind: "configuration", ...where, after: configuration } as const]),
      {
        kind: "decision",
        entry: { number, changes: hasMoved || saysSomethingNew(decided, before), record: decided },
        dropHoldsUpTo: number - HOLDS_KEPT,
      },
      ...announcements(ruling, { id, now, before }),
    ],
    audit: hasMoved ? auditOf({ action: decided.action, because: decided.because, place, after, configuration }) : [],
  };
}

function withoutInputs({ inputs: _inputs, ...decision }: DecisionRecord) {
  return decision;
}

/** Another verdict or cause than the look before, or one that people are told of. */
function saysSomethingNew({ action, verdict, cause, attempt, stage }: DecisionRecord, before: StoredRollout): boolean {
  const last = before.latestAnalysis;
  return (
    action !== "none" ||
    last?.verdict !== verdict ||
    last.cause !== cause ||
    last.attempt !== attempt ||
    last.stage !== stage
  );
}

function announcements(
  { transition }: Ruling,
  { id, now, before }: { readonly id: string; readonly now: string; readonly before: StoredRollout },
): Edit[] {
  const { rollout } = before;
  const notices = transition.effects.flatMap((effect) => (effect.type === "notify" ? effect.notice : []));
  const tell = (notice: RolloutNotice, webhook: string): Edit => {
    const { environment, flag } = rollout;
    const announcement: Announcement = {
      webhook,
      notice,
      rollout: rollout.id,
      environment,
      flag,
      decision: id,
      at: now,
    };
    return { kind: "announcement", key: `${id}/${notice}/${webhook}`, announcement };
  };
  const webhooks = [...new Set(rollout.plan.notify)];
  return [...new Set(notices)].flatMap((notice) => webhooks.map((webhook) => tell(notice, webhook)));
}

interface Audited {
  readonly action: string;
  readonly because: string;
  readonly place: RulingPlace;
  readonly after: StoredRollout;
  readonly configuration: StoredConfiguration;
}

/** One entry for the rollout, and one for the flag if it was changed: whoever asks what became of a flag asks for that. */
function auditOf({ action, because, place, after, configuration }: Audited): AuditDraft[] {
  const { before, environment, flag, stored } = place;
  const name = `rollout_${action}`;
  const { key } = environment;
  return [
    {
      action: name,
      object: { kind: "rollout", key: before.rollout.id, environment: key },
      before: withoutPlan(before),
      after: withoutPlan(after),
      reason: because,
    },
    ...(configuration === stored
      ? []
      : [
          {
            action: name,
            object: { kind: "configuration", key: flag.key, environment: key } as const,
            before: stored.configuration,
            after: configuration.configuration,
            reason: because,
          },
        ]),
  ];
}

/** The plan never changes, and is in the entry of the creation. */
function withoutPlan({ rollout }: StoredRollout) {
  const { plan: _plan, ...rest } = rollout;
  return rest;
}
