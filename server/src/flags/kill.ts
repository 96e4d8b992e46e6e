import type { FlagKey } from "@bunting/contracts";
import { livingEnvironment } from "../environments/commands.ts";
import type { Command } from "../ledger/command.ts";
import { type AuditDraft, type Decided, type Edit, NOTHING, refuse, type Situation } from "../ledger/decision.ts";
import type { StoredConfiguration } from "../ledger/state.ts";
import { flagAnnouncement } from "../notifications/flag-notifications.ts";
import { changeConfiguration, findPlace } from "./configuration-commands.ts";
import { listed } from "./usage.ts";

type Kill = Extract<Command, { type: "kill" }>;
type Restore = Extract<Command, { type: "restore" }>;

/**
 * Kills all flags named, or all with a tag, in one transaction. Of several, those that are killed already or archived are left
 * alone; a key that never existed refuses the whole, for whoever mistyped it at 3 a.m. must not believe it killed.
 */
export function kill(command: Kill, { state, actor, now }: Situation): Decided {
  const found = livingEnvironment(state, command.environment);
  if (!found.ok) return found;
  const { environment } = found;
  const { target } = command;

  const named = "flags" in target ? [...new Set(target.flags)] : taggedFlags(state.flags, target.tag);
  const unknown = named.filter((key) => !state.flags.has(key));
  if (unknown.length > 0) {
    return refuse(
      "flag_not_found",
      `There is no flag ${listed(unknown)}. Nothing was killed.`,
      unknown.map((key) => ({ path: `/flags/${named.indexOf(key)}`, message: `There is no flag ${key}.` })),
    );
  }
  const living = named.filter((key) => environment.flags.has(key));
  if (living.length === 0) {
    const [only] = named;
    if (named.length === 1 && only !== undefined) return refuse("flag_archived", `${only} is archived.`);
    const what = "tag" in target ? `has the tag ${target.tag}` : "is among those named";
    return refuse("kill_matches_nothing", `No living flag ${what}.`);
  }

  const edits: Edit[] = [];
  const audit: AuditDraft[] = [];
  const killed: FlagKey[] = [];
  for (const key of living.sort()) {
    const stored = environment.configurations.get(key);
    if (!stored || stored.configuration.killed) continue;
    const mark = { by: actor.name, at: now, reason: command.reason };
    const where = { type: "kill", environment: environment.key, flag: key };
    const change = changeConfiguration(where, stored, withKill(stored, mark, now), command.reason);
    edits.push(...change.edits);
    audit.push(...change.audit);
    killed.push(key);
  }
  const [only] = named;
  if (killed.length === 0 && named.length === 1 && only !== undefined && "flags" in target) {
    return refuse("flag_killed", `${only} is killed already.`);
  }
  if (killed.length === 0) return NOTHING;
  const { reason } = command;
  const told = { environment: environment.key, flags: killed, by: actor.name, at: now, reason };
  return {
    ok: true,
    edits,
    audit,
    kill: { environment: environment.key, flags: killed },
    announcements: [flagAnnouncement({ kind: "flag.killed", ...told })],
  };
}

export function restore(command: Restore, situation: Situation): Decided {
  const place = findPlace(command, situation);
  if (!place.ok) return place;
  if (!place.stored.configuration.killed) return refuse("flag_not_killed", `${command.flag} is not killed.`);
  const { actor, now } = situation;
  const { environment, flag, reason } = command;
  const told = { environment, flags: [flag], by: actor.name, at: now, reason };
  return {
    ...changeConfiguration(command, place.stored, withKill(place.stored, null, now), reason),
    announcements: [flagAnnouncement({ kind: "flag.restored", ...told })],
  };
}

function withKill(
  stored: StoredConfiguration,
  killed: StoredConfiguration["configuration"]["killed"],
  now: string,
): StoredConfiguration {
  const { configuration } = stored;
  return { ...stored, configuration: { ...configuration, killed, version: configuration.version + 1 }, updatedAt: now };
}

function taggedFlags(flags: Situation["state"]["flags"], tag: string): FlagKey[] {
  return [...flags.values()]
    .filter(({ archivedAt, tags }) => archivedAt === null && tags.includes(tag))
    .map(({ key }) => key);
}
