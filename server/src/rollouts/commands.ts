import type { Flag, Rollout } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import {
  decideCommand,
  nextStepOf,
  pendingRollout,
  planProblems,
  type Refusal as RolloutRefusal,
  startProblems,
} from "@bunting/gating";
import { refuseVersion } from "../flags/commands.ts";
import { findPlace, placeOf } from "../flags/configuration-commands.ts";
import { keysOf } from "../flags/usage.ts";
import type { Command } from "../ledger/command.ts";
import { type AuditDraft, type Decided, NOTHING, refuse, type Situation } from "../ledger/decision.ts";
import type { StoredRollout } from "../ledger/state.ts";
import { notificationsOf } from "../notifications/rollout-notifications.ts";
import { fromInstant } from "../platform/instant.ts";
import { carryOutRuling, type RulingPlace } from "./record.ts";
import { findUnendedRollout } from "./rollout.ts";

type Create = Extract<Command, { type: "create_rollout" }>;
type Ordered = Extract<Command, { type: "rollout_command" }>;
type Tick = Extract<Command, { type: "tick_checklist" }>;
type Step = Extract<Command, { type: "rollout_step" }>;

/** Writes a plan down. Whether the flag is as the plan needs it is asked at the start, for until then people may change it. */
export function createRollout(command: Create, situation: Situation): Decided {
  const place = findPlace(command, situation);
  if (!place.ok) return place;
  const { plan } = command;
  const { state, now, actor } = situation;
  const other = findUnendedRollout(state.rollouts, command);
  if (other) return refuseExisting(other);
  if (state.rollouts.size >= LIMITS.rollouts) {
    return refuse("limit_exceeded", `At most ${LIMITS.rollouts} rollouts, ended ones included.`);
  }
  const problems = [
    ...planProblems(plan, fromInstant(now)),
    ...startProblems(plan, variantsOf(place.flag), place.stored.configuration).filter(({ code }) => isLasting(code)),
  ];
  const [problem] = problems;
  if (problem) return refuseRuling(problem, problems);
  const untold = refuseUntold(command, state);
  if (untold) return untold;

  const { environment, flag } = command;
  const id = newId(situation);
  const rollout = pendingRollout({ id, environment, flag, plan, createdBy: actor.name, createdAt: now });
  const after: StoredRollout = {
    rollout,
    formerAllocation: null,
    groupSalt: 0,
    latestAnalysis: null,
    latestDecision: null,
    nextStep: nextStepOf(rollout, null, fromInstant(now)),
    decisionCount: 0,
  };
  return {
    ok: true,
    edits: [{ kind: "rollout", id: rollout.id, after }],
    audit: [auditOf("create_rollout", null, rollout)],
    announcements: notificationsOf({ notices: ["announced"], rollout, decision: null, by: actor.name, at: now }),
  };
}

/** What a person asks of a rollout; and, of all that, the controller may ask for a pause alone. */
export function commandRollout(command: Ordered, situation: Situation): Decided {
  const found = findRollout(command, situation, { mayBeArchived: command.command === "abort" });
  if (!found.ok) return found;
  const { before, flag, stored } = found.place;
  const { actor, state, now } = situation;
  if (actor.kind === "system" && command.command !== "pause") {
    return refuse("forbidden", `Only a person may ${command.command} a rollout.`);
  }
  if (command.command === "start" || command.command === "retry") {
    const other = findUnendedRollout(state.rollouts, before.rollout, before.rollout.id);
    if (other) return refuseExisting(other);
  }
  const inputs = {
    kind: "command",
    rollout: before.rollout,
    command: {
      type: command.command,
      by: { name: actor.name, token: actor.token, roles: actor.roles },
      comment: command.comment,
    },
    variants: variantsOf(flag),
    configuration: {
      rules: stored.configuration.rules,
      fallthrough: stored.configuration.fallthrough,
      killed: stored.configuration.killed,
      version: stored.configuration.version,
    },
    latest: before.latestAnalysis,
    now: fromInstant(now),
  } as const;
  const ruling = decideCommand(inputs);
  if ("refusal" in ruling) return refuseRuling(ruling.refusal, []);
  const { newSalt, engine } = situation;
  return carryOutRuling(ruling, found.place, { actor, now, newSalt, engine, inputs, isAnalysis: false });
}

export function tickChecklist(command: Tick, situation: Situation): Decided {
  const found = findRollout(command, situation);
  if (!found.ok) return found;
  const { before } = found.place;
  const { rollout } = before;
  const { actor, now } = situation;
  const item = rollout.checklist.find((each) => each.item === command.item);
  if (!item) {
    const items = rollout.checklist.map((each) => each.item).join("; ");
    const message = items === "" ? "The plan has no checklist." : `The items are: ${items}.`;
    return refuse("invalid_request", "The checklist has no such item.", [{ path: "/item", message }]);
  }
  if (rollout.state !== "pending") {
    return refuse("transition_not_allowed", "The checklist is ticked before the first start, and is closed with it.");
  }
  if ((item.by !== null) === command.ticked) return NOTHING;
  const signed = { item: item.item, by: command.ticked ? actor.name : null, at: command.ticked ? now : null };
  const after: Rollout = {
    ...rollout,
    checklist: rollout.checklist.map((each) => (each === item ? signed : each)),
    version: rollout.version + 1,
  };
  const nextStep = nextStepOf(after, null, fromInstant(now));
  return {
    ok: true,
    edits: [{ kind: "rollout", id: rollout.id, after: { ...before, rollout: after, nextStep } }],
    audit: [auditOf("tick_checklist", rollout, after)],
  };
}

/**
 * What the controller decided, if the world is still the one it looked at. Whoever was faster wins: a person's change of the
 * flag or the rollout, be it a microsecond old, is the newer word.
 */
export function stepRollout(command: Step, situation: Situation): Decided {
  const found = findRollout({ ...command, ifVersion: command.basedOn.rollout }, situation);
  if (!found.ok) return found;
  const { stored, before } = found.place;
  const { version, killed } = stored.configuration;
  if (version !== command.basedOn.configuration) {
    return refuse("version_mismatch", `The configuration is at version ${version}.`);
  }
  if (killed !== null && command.ruling.transition.effects.some(({ type }) => type === "set_percent")) {
    return refuse("rollout_flag_killed", `${before.rollout.flag} is killed.`);
  }
  const { actor, now, newSalt, engine } = situation;
  const { ruling, inputs } = command;
  return carryOutRuling(ruling, found.place, { actor, now, newSalt, engine, inputs, isAnalysis: true });
}

interface Address {
  readonly environment: Rollout["environment"];
  readonly rollout: string;
  readonly ifVersion: number | null;
}

type Found = Extract<Decided, { ok: false }> | { readonly ok: true; readonly place: RulingPlace };

/**
 * By environment and id: one of another environment is not there, whoever guesses its id. A plan whose flag or environment was
 * archived before it began can only be ended.
 */
function findRollout(
  { environment, rollout: id, ifVersion }: Address,
  situation: Situation,
  { mayBeArchived } = { mayBeArchived: false },
): Found {
  const before = situation.state.rollouts.get(id);
  if (!before || before.rollout.environment !== environment)
    return refuse("rollout_not_found", `There is no rollout ${id}.`);
  const { flag, version } = before.rollout;
  const place = (mayBeArchived ? placeOf : findPlace)({ environment, flag }, situation);
  if (!place.ok) return place;
  if (ifVersion !== null && ifVersion !== version) return refuseVersion(version);
  return { ok: true, place: { before, environment: place.environment, flag: place.flag, stored: place.stored } };
}

/** Problems that no change of percentages would mend. */
function isLasting(code: RolloutRefusal["code"]): boolean {
  return code === "variant_unknown" || code === "rollout_scope_unknown";
}

function refuseRuling({ code, detail }: RolloutRefusal, all: readonly RolloutRefusal[]) {
  const errors = all.flatMap(({ field, detail: message }) =>
    field === undefined ? [] : [{ path: `/${field.replaceAll(".", "/")}`, message }],
  );
  return refuse(code, detail, errors.length > 0 ? errors : undefined);
}

/** Whoever waits for word of a rollout must not find out at three in the morning that a name was misspelled. */
function refuseUntold({ plan, environment }: Create, { webhooks }: Situation["state"]) {
  const told = [...webhooks.values()].filter(({ environments }) => environments?.includes(environment) ?? true);
  const names = told.map(({ name }) => name).sort();
  const known = names.length === 0 ? "There is none yet." : `There are: ${names.join(", ")}.`;
  const errors = plan.notify.flatMap((name, index) =>
    names.includes(name)
      ? []
      : [{ path: `/notify/${index}`, message: `No webhook ${name} is told of ${environment}. ${known}` }],
  );
  const [first] = errors;
  return first ? refuse("webhook_unknown", first.message, errors) : null;
}

function refuseExisting({ rollout }: StoredRollout) {
  return refuse("rollout_exists", `${rollout.id} of ${rollout.flag} is ${rollout.state.replaceAll("_", " ")}.`);
}

function auditOf(action: string, before: Rollout | null, after: Rollout): AuditDraft {
  const object = { kind: "rollout", key: after.id, environment: after.environment } as const;
  return { action, object, before, after, reason: null };
}

/** Random, so that no id ever names two rollouts, not even after a backup was put back: evidence is kept by id. */
function newId({ state, newSalt }: Situation): string {
  for (;;) {
    const id = `ro-${[newSalt(), newSalt()]
      .map((part) => part.toString(16).padStart(8, "0"))
      .join("")
      .slice(0, 12)}`;
    if (!state.rollouts.has(id)) return id;
  }
}

const variantsOf = (flag: Flag): string[] => keysOf(flag.variants);
