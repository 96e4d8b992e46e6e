import type { Configuration, ConfigurationDraft, EnvironmentKey, FlagKey } from "@bunting/contracts";
import { canonicalJson } from "@bunting/engine";
import { livingEnvironment } from "../environments/commands.ts";
import type { Command } from "../ledger/command.ts";
import { type Decided, NOTHING, refuse, type Situation } from "../ledger/decision.ts";
import type { StoredConfiguration } from "../ledger/state.ts";
import { permitsEdit } from "../tokens/permission.ts";
import { livingFlag, refuseVersion } from "./commands.ts";
import {
  allocateSettings,
  configurationObject,
  findProblem,
  parseSettings,
  saltOfCohort,
  settingsOf,
} from "./configuration.ts";
import { isObject, mergePatch } from "./merge-patch.ts";

type Put = Extract<Command, { type: "put_configuration" }>;
type Patch = Extract<Command, { type: "patch_configuration" }>;
type Reshuffle = Extract<Command, { type: "reshuffle" }>;

export function putConfiguration(command: Put, situation: Situation): Decided {
  const place = findPlace(command, situation);
  if (!place.ok) return place;
  const { version } = place.stored.configuration;
  if (command.ifVersion !== null && command.ifVersion !== version) return refuseVersion(version);
  return edit(command, place, command.draft, situation);
}

export function patchConfiguration(command: Patch, situation: Situation): Decided {
  const place = findPlace(command, situation);
  if (!place.ok) return place;
  const { configuration } = place.stored;
  if (command.ifVersion !== null && command.ifVersion !== configuration.version) {
    return refuseVersion(configuration.version);
  }

  const touched = immutableTouched(configuration, command.patch);
  if (touched) return touched;
  const base = { ...settingsOf(configuration), fallthrough: serveBase(configuration.fallthrough, command.patch) };
  const parsed = parseSettings(mergePatch(base, withoutImmutable(command.patch)));
  return parsed.ok ? edit(command, place, parsed.draft, situation) : parsed;
}

/** Draws a new salt, or takes the cohort's. The ranges are laid out afresh too: everyone moves anyway. */
export function reshuffle(command: Reshuffle, situation: Situation): Decided {
  const place = findPlace(command, situation);
  if (!place.ok) return place;
  const { stored, flag, environment } = place;
  const { cohort } = command;
  const salt = (cohort === null ? null : saltOfCohort(environment, cohort)) ?? situation.newSalt();
  const settings = settingsOf(stored.configuration);
  const after: StoredConfiguration = {
    configuration: { ...stored.configuration, salt, cohort, version: stored.configuration.version + 1 },
    allocations: allocateSettings(settings, flag, null),
    updatedAt: situation.now,
  };
  return changeConfiguration(command, stored, after, command.reason);
}

type Found = Extract<ReturnType<typeof findPlace>, { ok: true }>;

function edit(command: Put | Patch, place: Found, draft: ConfigurationDraft, situation: Situation): Decided {
  const { stored, flag } = place;
  const before = stored.configuration;
  const touched = immutableTouched(before, draft);
  if (touched) return touched;
  const settings = settingsOf(draft);
  const problem = findProblem(settings, { state: situation.state, environment: place.environment, flag });
  if (problem) return { ok: false, refusal: problem };

  const { killed, salt, cohort, version } = before;
  const edited: Configuration = { ...settings, killed, salt, cohort, version };
  const forbidden = permitsEdit(situation.actor, before, edited);
  if (forbidden) return { ok: false, refusal: forbidden };
  if (canonicalJson(edited) === canonicalJson(before)) return NOTHING;
  const after: StoredConfiguration = {
    configuration: { ...edited, version: version + 1 },
    allocations: allocateSettings(settings, flag, stored.allocations),
    updatedAt: situation.now,
  };
  return changeConfiguration(command, stored, after, null);
}

interface Where {
  readonly type: string;
  readonly environment: EnvironmentKey;
  readonly flag: FlagKey;
}

/** One configuration changed, and the audit's word of it. */
export function changeConfiguration(
  { type, environment, flag }: Where,
  before: StoredConfiguration,
  after: StoredConfiguration,
  reason: string | null,
): Extract<Decided, { ok: true }> {
  const object = configurationObject(environment, flag);
  return {
    ok: true,
    edits: [{ kind: "configuration", environment, flag, after }],
    audit: [{ action: type, object, before: before.configuration, after: after.configuration, reason }],
  };
}

/** A living flag's configuration in a living environment. */
export function findPlace(where: Omit<Where, "type">, situation: Situation) {
  const environment = livingEnvironment(situation.state, where.environment);
  if (!environment.ok) return environment;
  const flag = livingFlag(situation.state, where.flag);
  return flag.ok ? placeOf(where, situation) : flag;
}

/** Archived or not: of a flag and an environment that are known to exist. */
export function placeOf({ environment: environmentKey, flag: flagKey }: Omit<Where, "type">, { state }: Situation) {
  const environment = state.environments.get(environmentKey);
  const flag = state.flags.get(flagKey);
  const stored = environment?.configurations.get(flagKey);
  if (!environment || !flag || !stored) throw new Error(`${flagKey} has no configuration in ${environmentKey}.`);
  return { ok: true, environment, flag, stored } as const;
}

const IMMUTABLE = ["killed", "salt", "cohort", "version"] as const;

/** Fields that commands change may come back as they were read, and not otherwise. */
function immutableTouched(before: Configuration, document: Readonly<Record<string, unknown>>) {
  const touched = IMMUTABLE.filter(
    (field) =>
      Object.hasOwn(document, field) &&
      document[field] !== undefined &&
      canonicalJson(document[field]) !== canonicalJson(before[field]),
  );
  if (touched.length === 0) return null;
  return refuse(
    "field_immutable",
    `${touched.join(" and ")} cannot be edited.`,
    touched.map((field) => ({ path: `/${field}`, message: "Changed by kill, restore or reshuffle only." })),
  );
}

function withoutImmutable(patch: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { killed: _killed, salt: _salt, cohort: _cohort, version: _version, ...rest } = patch;
  return rest;
}

/**
 * What a patch of `fallthrough` is merged into. RFC 7396 alone would turn `{ variant }` patched with `{ split }` into a document
 * with both, which means nothing; so a serve of the other kind replaces the old one as a whole.
 */
function serveBase(serve: Configuration["fallthrough"], patch: Readonly<Record<string, unknown>>): unknown {
  const wanted = patch["fallthrough"];
  if (!isObject(wanted)) return serve;
  const other = "variant" in serve ? "split" : "variant";
  return Object.hasOwn(wanted, other) ? {} : serve;
}
