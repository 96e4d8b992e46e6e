import type { Flag, FlagKey, Json, Variant, VariantKey } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { canonicalJson } from "@bunting/engine";
import type { Command, Refusal } from "../ledger/command.ts";
import { type AuditDraft, type Decided, type Edit, NOTHING, refuse, type Situation } from "../ledger/decision.ts";
import type { State } from "../ledger/state.ts";
import { isLive } from "../rollouts/rollout.ts";
import { configurationObject, findProblem, foundConfiguration, settingsOf } from "./configuration.ts";
import { dependentsOf, keysOf, listed, livingEnvironments, usesOfVariant } from "./usage.ts";

type Create = Extract<Command, { type: "create_flag" }>;
type Patch = Extract<Command, { type: "patch_flag" }>;
type Archive = Extract<Command, { type: "archive_flag" }>;

export function createFlag({ draft }: Create, { state, now, newSalt }: Situation): Decided {
  const { key, environments: initial, variants = BOOLEAN_VARIANTS, ...described } = draft;
  if (state.flags.has(key)) return refuse("flag_exists", `The key ${key} is taken; keys are never reused.`);
  if (livingEnvironments(state).some(({ flags }) => flags.size >= LIMITS.flagsPerEnvironment)) {
    return refuse("limit_exceeded", `At most ${LIMITS.flagsPerEnvironment} living flags.`);
  }
  if (draft.type !== "boolean" && !draft.variants) {
    const message = `A flag of type ${draft.type} names its variants.`;
    return refuse("invalid_request", message, [{ path: "/variants", message }]);
  }
  for (const variant of keysOf(variants)) {
    const problem = problemOfValue(draft.type, variant, variants[variant]?.value);
    if (problem) return { ok: false, refusal: problem };
  }

  const flag: Flag = { key, ...described, variants, retiredVariants: {}, archivedAt: null, createdAt: now, version: 1 };
  const edits: Edit[] = [{ kind: "flag", key, after: flag }];
  const audit: AuditDraft[] = [
    { action: "create_flag", object: flagObject(key), before: null, after: flag, reason: null },
  ];
  for (const environment of keysOf(initial)) {
    if (state.environments.get(environment)?.archivedAt === null) continue;
    return refuse("environment_not_found", `There is no living environment ${environment}.`, [
      { path: `/environments/${environment}`, message: "No environment has this key." },
    ]);
  }
  for (const environment of livingEnvironments(state)) {
    const place = { state, environment, flag };
    const settings = initial[environment.key];
    const after = foundConfiguration(place, settings, { salt: newSalt(), now });
    const problem = findProblem(settingsOf(after.configuration), place);
    if (problem) return { ok: false, refusal: below(`/environments/${environment.key}`, problem) };

    edits.push({ kind: "configuration", environment: environment.key, flag: key, after });
    // What nobody asked for is the same everywhere and says nothing; and an entry of its own keeps the settings of one
    // environment from the readers of another.
    if (settings) {
      const object = configurationObject(environment.key, key);
      audit.push({ action: "create_flag", object, before: null, after: after.configuration, reason: null });
    }
  }
  return { ok: true, edits, audit };
}

export function patchFlag({ flag: key, patch, ifVersion }: Patch, { state }: Situation): Decided {
  const found = livingFlag(state, key);
  if (!found.ok) return found;
  const before = found.flag;
  if (ifVersion !== null && ifVersion !== before.version) return refuseVersion(before.version);

  const edited = editVariants(state, before, patch.variants ?? {});
  if (!edited.ok) return edited;
  const metadata = mergeMetadata(before.metadata, patch.metadata ?? {});
  if (Object.keys(metadata).length > LIMITS.metadataEntries) {
    const message = `At most ${LIMITS.metadataEntries} entries.`;
    return refuse("limit_exceeded", message, [{ path: "/metadata", message }]);
  }
  const { variants, retiredVariants } = edited;
  const described = {
    description: patch.description ?? before.description,
    owner: patch.owner ?? before.owner,
    tags: patch.tags ?? before.tags,
    lifecycle: patch.lifecycle ?? before.lifecycle,
  };
  const after: Flag = { ...before, ...described, metadata, variants, retiredVariants };
  if (canonicalJson(after) === canonicalJson(before)) return NOTHING;
  return change(before, after, "patch_flag");
}

export function archiveFlag({ flag: key, ifVersion }: Archive, { state, now }: Situation): Decided {
  const found = livingFlag(state, key);
  if (!found.ok) return found;
  if (ifVersion !== null && ifVersion !== found.flag.version) return refuseVersion(found.flag.version);
  const live = [...state.rollouts.values()].find((stored) => stored.rollout.flag === key && isLive(stored));
  if (live) return refuse("rollout_exists", `${live.rollout.id} of ${live.rollout.environment} is under way.`);
  const dependents = dependentsOf(state, key);
  if (dependents.length > 0) {
    return refuse("flag_in_use", `${key} is a prerequisite in ${listed(dependents)}.`);
  }
  return change(found.flag, { ...found.flag, archivedAt: now }, "archive_flag");
}

function change(before: Flag, changed: Flag, action: string): Decided {
  const after = { ...changed, version: before.version + 1 };
  return {
    ok: true,
    edits: [{ kind: "flag", key: before.key, after }],
    audit: [{ action, object: flagObject(before.key), before, after, reason: null }],
  };
}

const BOOLEAN_VARIANTS = { on: { value: true }, off: { value: false } } as Record<VariantKey, Variant>;

type Variants = Flag["variants"];
type EditedVariants =
  | { readonly ok: true; readonly variants: Variants; readonly retiredVariants: Variants }
  | { readonly ok: false; readonly refusal: Refusal };

/** Adds, describes, retires and brings back. A value, once used under a key, is that key's value for ever. */
function editVariants(state: State, flag: Flag, patch: NonNullable<Patch["patch"]["variants"]>): EditedVariants {
  const variants = new Map(entriesOf(flag.variants));
  const retired = new Map(entriesOf(flag.retiredVariants));
  for (const [key, wanted] of entriesOf(patch)) {
    const path = `/variants/${key}`;
    if (wanted === null) {
      const present = variants.get(key);
      if (!present) continue;
      const uses = usesOfVariant(state, flag.key, key);
      if (uses.length > 0) return refuse("variant_in_use", `${key} is used in ${listed(uses)}.`, [used(path)]);
      variants.delete(key);
      retired.set(key, present);
      continue;
    }
    const known = variants.get(key) ?? retired.get(key);
    const value = wanted.value === undefined ? known?.value : wanted.value;
    if (value === undefined) {
      const message = "A new variant has a value.";
      return refuse("invalid_request", message, [{ path: `${path}/value`, message }]);
    }
    if (known && canonicalJson(known.value) !== canonicalJson(value)) {
      const message = `${key} means ${brief(known.value)}; a variant's value never changes.`;
      return refuse("variant_value_immutable", message, [{ path: `${path}/value`, message }]);
    }
    const problem = problemOfValue(flag.type, key, value);
    if (problem) return { ok: false, refusal: problem };
    const description = wanted.description ?? known?.description;
    variants.set(key, description === undefined ? { value } : { value, description });
    retired.delete(key);
  }
  if (variants.size === 0) return refuse("invalid_request", "A flag has at least one variant.");
  if (variants.size > LIMITS.variantsPerFlag || retired.size > RETIRED_VARIANTS) {
    return refuse(
      "limit_exceeded",
      `At most ${LIMITS.variantsPerFlag} variants, and ${RETIRED_VARIANTS} retired ones.`,
    );
  }
  return { ok: true, variants: recordOf(variants), retiredVariants: recordOf(retired) };
}

/** Retired variants are kept to hold their meaning, so they need a limit too. */
const RETIRED_VARIANTS = 10 * LIMITS.variantsPerFlag;

function problemOfValue(type: Flag["type"], variant: VariantKey, value: unknown): Refusal | null {
  const path = `/variants/${variant}/value`;
  if (type !== "json" && typeof value !== type) {
    const message = `The value of ${variant} is not of type ${type}.`;
    return { code: "variant_type_mismatch", detail: message, errors: [{ path, message }] };
  }
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes <= LIMITS.variantValueBytes) return null;
  const message = `The value of ${variant} has ${bytes} bytes as JSON; at most ${LIMITS.variantValueBytes}.`;
  return { code: "limit_exceeded", detail: message, errors: [{ path, message }] };
}

function mergeMetadata(before: Flag["metadata"], patch: Readonly<Record<string, unknown>>): Flag["metadata"] {
  const merged = new Map<string, unknown>(Object.entries(before));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, value);
  }
  return Object.fromEntries(merged) as Flag["metadata"];
}

/** A flag that takes changes, or why it does not. */
export function livingFlag(state: State, key: FlagKey) {
  const flag = state.flags.get(key);
  if (!flag) return refuse("flag_not_found", `There is no flag ${key}.`);
  if (flag.archivedAt !== null) return refuse("flag_archived", `${key} was archived at ${flag.archivedAt}.`);
  return { ok: true, flag } as const;
}

export function refuseVersion(current: number) {
  return refuse("version_mismatch", `The resource is at version ${current}.`);
}

const flagObject = (key: FlagKey) => ({ kind: "flag", key, environment: null }) as const;

const used = (path: string) => ({ path, message: "This variant is still used." });

function below(path: string, refusal: Refusal): Refusal {
  if (!refusal.errors) return refusal;
  return { ...refusal, errors: refusal.errors.map((error) => ({ ...error, path: path + error.path })) };
}

function brief(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function entriesOf<Key extends string, Value>(record: Readonly<Record<Key, Value>>): [Key, Value][] {
  return Object.entries(record) as [Key, Value][];
}

function recordOf<Key extends string, Value>(map: ReadonlyMap<Key, Value>): Record<Key, Value> {
  return Object.fromEntries(map) as Record<Key, Value>;
}
