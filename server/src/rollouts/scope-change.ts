import type { Flag, Rollout, Serve, Split } from "@bunting/contracts";
import { type Effect, serveOfScope, splitAtPercent, splitOf, withServeOfScope } from "@bunting/gating";
import type { Allocation, Allocations, StoredConfiguration, StoredRollout } from "../ledger/state.ts";
import { allocateSplit } from "../ruleset/allocation.ts";

type Scope = Rollout["plan"]["scope"];

/** The ranges that a scope has now. */
export function allocationOf({ fallthrough, rules }: Allocations, scope: Scope): Allocation | null {
  if ("fallthrough" in scope) return fallthrough;
  return (Object.hasOwn(rules, scope.rule) ? rules[scope.rule] : undefined) ?? null;
}

export interface ScopeChange {
  readonly stored: StoredConfiguration;
  readonly flag: Flag;
  /** Before the effects. */
  readonly before: StoredRollout;
  /** After them. */
  readonly after: Rollout;
  readonly kill: StoredConfiguration["configuration"]["killed"];
  readonly now: string;
}

/**
 * What effects make of a configuration; the very same object if nothing. Only the scope's answer changes, and the kill mark if
 * a guardrail asks for it: nothing that a rollout does ever takes that mark off.
 */
export function changeScope(effects: readonly Effect[], change: ScopeChange): StoredConfiguration {
  const { stored, flag, before, after, kill, now } = change;
  const { scope, canary } = after.plan;
  let changed = stored;
  for (const effect of effects) {
    switch (effect.type) {
      case "set_percent": {
        const former = after.formerServe ?? serveOfScope(stored.configuration, scope);
        if (former === null) throw new Error(`The scope of rollout ${after.id} is not there any more.`);
        const split = splitAtPercent(splitOf(former), canary, effect.percent) as Split;
        const ranges = allocateSplit(allocationOf(changed.allocations, scope), flag, split);
        changed = withScope(changed, scope, { split }, ranges);
        break;
      }
      case "restore_control": {
        const { formerServe } = before.rollout;
        if (formerServe === null) throw new Error(`Rollout ${after.id} does not know what it replaced.`);
        // The ranges too, exactly as they were: laid out anew, the same percentages could be other people.
        changed = withScope(changed, scope, formerServe, before.formerAllocation);
        break;
      }
      case "kill_flag":
        changed = { ...changed, configuration: { ...changed.configuration, killed: kill } };
        break;
      case "begin_attempt":
      case "complete":
      case "ask_approval":
      case "record_signature":
      case "look_again":
      case "notify":
        break;
    }
  }
  if (changed === stored) return stored;
  const version = stored.configuration.version + 1;
  return { ...changed, configuration: { ...changed.configuration, version }, updatedAt: now };
}

function withScope(
  stored: StoredConfiguration,
  scope: Scope,
  serve: Serve,
  ranges: Allocation | null,
): StoredConfiguration {
  const { configuration, allocations } = stored;
  return {
    ...stored,
    configuration: { ...configuration, ...withServeOfScope(configuration, scope, serve) },
    allocations: withAllocation(allocations, scope, ranges),
  };
}

function withAllocation(allocations: Allocations, scope: Scope, ranges: Allocation | null): Allocations {
  if ("fallthrough" in scope) return { ...allocations, fallthrough: ranges };
  const { [scope.rule]: _replaced, ...others } = allocations.rules;
  return { ...allocations, rules: ranges === null ? others : { ...others, [scope.rule]: ranges } };
}
