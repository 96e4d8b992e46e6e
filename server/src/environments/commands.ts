import type { EnvironmentKey } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { foundConfiguration } from "../flags/configuration.ts";
import type { Command } from "../ledger/command.ts";
import { type Decided, type Edit, refuse, type Situation } from "../ledger/decision.ts";
import type { State } from "../ledger/state.ts";
import { liveRolloutsOf } from "../rollouts/rollout.ts";

type Create = Extract<Command, { type: "create_environment" }>;
type Archive = Extract<Command, { type: "archive_environment" }>;

/** A new environment has every living flag, each with everyone on its off variant. */
export function createEnvironment({ key, name }: Create, { state, now, newSalt }: Situation): Decided {
  if (state.environments.has(key))
    return refuse("environment_exists", `The key ${key} is taken; keys are never reused.`);
  if (state.environments.size >= LIMITS.environments) {
    return refuse("limit_exceeded", `At most ${LIMITS.environments} environments, archived ones included.`);
  }
  const facts = { name, createdAt: now, archivedAt: null };
  const edits: Edit[] = [{ kind: "environment", key, after: facts }];
  for (const flag of state.flags.values()) {
    if (flag.archivedAt !== null) continue;
    const after = foundConfiguration({ state, environment: undefined, flag }, undefined, { salt: newSalt(), now });
    edits.push({ kind: "configuration", environment: key, flag: flag.key, after });
  }
  const object = environmentObject(key);
  return {
    ok: true,
    edits,
    audit: [{ action: "create_environment", object, before: null, after: { key, ...facts }, reason: null }],
  };
}

/** Ends every stream of the environment. What it held stays readable, and its key stays taken. */
export function archiveEnvironment({ environment: key }: Archive, { state, now }: Situation): Decided {
  const found = livingEnvironment(state, key);
  if (!found.ok) return found;
  const [live] = liveRolloutsOf(state.rollouts, key).values();
  if (live) return refuse("rollout_exists", `${live.rollout.id} of ${live.rollout.flag} is under way.`);
  const { name, createdAt } = found.environment;
  const before = { name, createdAt, archivedAt: null };
  const after = { ...before, archivedAt: now };
  return {
    ok: true,
    edits: [{ kind: "environment", key, after }],
    audit: [
      {
        action: "archive_environment",
        object: environmentObject(key),
        before: { key, ...before },
        after: { key, ...after },
        reason: null,
      },
    ],
    closing: { type: "environment_archived", environment: key },
  };
}

/** An environment that takes changes, or why it does not. */
export function livingEnvironment(state: State, key: EnvironmentKey) {
  const environment = state.environments.get(key);
  if (!environment) return refuse("environment_not_found", `There is no environment ${key}.`);
  if (environment.archivedAt !== null) {
    return refuse("environment_archived", `${key} was archived at ${environment.archivedAt}.`);
  }
  return { ok: true, environment } as const;
}

const environmentObject = (key: EnvironmentKey) => ({ kind: "environment", key, environment: key }) as const;
