import type { Configuration, EnvironmentKey, TokenKind } from "@bunting/contracts";
import { canonicalJson } from "@bunting/engine";
import type { Actor, Command, Refusal } from "../ledger/command.ts";

/*
 * Who may do what. Pure, and asked where a change is committed, not where it arrives: a second way in (a schedule, a copy, an
 * import) meets the same check. Whatever the table does not name is refused.
 */

/** What a request does: a command, or a way of reading. */
export type Action =
  | Command["type"]
  /** Flags, configurations, segments, environments, receipts, instances, audit, evaluation with a trace. */
  | "read"
  /** The caller's own token. */
  | "read_self"
  | "read_tokens"
  | "read_metrics"
  | "post_gauge"
  /** Webhooks and what became of their deliveries. */
  | "read_webhooks"
  | "export"
  | "download_backup"
  | "verify_audit"
  /** Stream, polled ruleset, telemetry. */
  | "subscribe";

/** Where: one environment, everything at once, or a place the rest of the check decides. */
export type Scope = EnvironmentKey | "all" | "any";

type Kind = Actor["kind"];

const ADMIN: readonly Kind[] = ["admin", "system"];
const PEOPLE: readonly Kind[] = ["admin", "operator", "viewer", "system"];

const KINDS: Readonly<Record<Action, readonly Kind[]>> = {
  create_environment: ADMIN,
  archive_environment: ADMIN,
  create_flag: ADMIN,
  patch_flag: ADMIN,
  archive_flag: ADMIN,
  // An operator may change percentages: {@link changesOnlyPercentages} decides once the new document is known.
  put_configuration: ["admin", "operator"],
  patch_configuration: ["admin", "operator"],
  kill: ["admin", "operator"],
  // A machine never re-enables what somebody killed: `system` is not in this list, nor in the two above.
  restore: ["admin", "operator"],
  reshuffle: ["admin"],
  // A rollout changes percentages, which is an operator's to do. Roles for approvals are asked for where they are signed.
  create_rollout: ["admin", "operator"],
  // `system` only to pause what it cannot judge: the command itself sees to that.
  rollout_command: ["admin", "operator", "system"],
  tick_checklist: ["admin", "operator"],
  rollout_step: ["system"],
  put_segment: ADMIN,
  delete_segment: ADMIN,
  create_token: ADMIN,
  revoke_token: ADMIN,
  create_webhook: ["admin"],
  rotate_webhook: ["admin"],
  patch_webhook: ["admin"],
  test_webhook: ["admin"],
  redeliver: ["admin"],
  delete_webhook: ["admin"],
  back_up: ["admin"],
  read: PEOPLE,
  read_self: ["admin", "operator", "viewer", "server", "client"],
  read_tokens: ["admin"],
  read_webhooks: ["admin"],
  read_metrics: PEOPLE,
  post_gauge: ["admin", "operator"],
  export: ["admin"],
  download_backup: ["admin"],
  verify_audit: PEOPLE,
  subscribe: ["server"],
};

/**
 * Null if the actor may, else why not. An environment outside the token's scope is not there at all for it
 * (`environment_not_found`), so a token cannot find out which environments exist.
 */
export function permits(actor: Actor, action: Action, scope: Scope): Refusal | null {
  const kinds = KINDS[action];
  if (!kinds.includes(actor.kind)) {
    const allowed = kinds.filter((kind): kind is TokenKind => kind !== "system");
    return {
      code: "forbidden",
      detail: `A token of kind ${actor.kind} may not ${inWords(action)}; ${allowed.join(" or ")} may.`,
    };
  }
  if (scope === "any" || actor.environments === null) return null;
  if (scope === "all") {
    return {
      code: "forbidden",
      detail: `This token is limited to ${actor.environments.join(", ")}, and ${inWords(action)} touches every environment.`,
    };
  }
  if (actor.environments.includes(scope)) return null;
  return { code: "environment_not_found", detail: `There is no environment ${scope}.` };
}

/** Every other action is named by a verb and what it is done to. */
function inWords(action: Action): string {
  return action === "rollout_command" ? "command rollouts" : action.replaceAll("_", " ");
}

/** Where a command takes effect. */
export function scopeOf(command: Command): Scope {
  switch (command.type) {
    case "archive_environment":
    case "put_configuration":
    case "patch_configuration":
    case "kill":
    case "restore":
    case "reshuffle":
    case "create_rollout":
    case "rollout_command":
    case "tick_checklist":
    case "rollout_step":
      return command.environment;
    case "create_environment":
    case "create_flag":
    case "patch_flag":
    case "archive_flag":
    case "put_segment":
    case "delete_segment":
    case "back_up":
      return "all";
    // Tokens and webhooks have environments of their own, which their commands compare with the actor's.
    case "create_token":
    case "revoke_token":
    case "create_webhook":
    case "rotate_webhook":
    case "patch_webhook":
    case "test_webhook":
    case "redeliver":
    case "delete_webhook":
      return "any";
  }
}

/** Whether an actor may turn one configuration into another. */
export function permitsEdit(actor: Actor, before: Configuration, after: Configuration): Refusal | null {
  if (actor.kind !== "operator" || changesOnlyPercentages(before, after)) return null;
  return {
    code: "forbidden",
    detail:
      "A token of kind operator may change percentages only: the fallthrough and what rules serve. admin may do the rest.",
  };
}

/** Whether nothing differs but what the fallthrough and the rules serve. */
function changesOnlyPercentages(before: Configuration, after: Configuration): boolean {
  return canonicalJson(withoutServes(before)) === canonicalJson(withoutServes(after));
}

function withoutServes(configuration: Configuration) {
  const { fallthrough: _fallthrough, version: _version, rules, ...rest } = configuration;
  return { ...rest, rules: rules.map(({ id, when }) => ({ id, when })) };
}

/** Whether a token with `theirs` covers no more than one with `mine`. */
export function within(mine: readonly EnvironmentKey[] | null, theirs: readonly EnvironmentKey[] | null): boolean {
  return mine === null || (theirs !== null && theirs.every((key) => mine.includes(key)));
}
