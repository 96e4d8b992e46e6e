import {
  type Configuration,
  type ConfigurationDraft,
  configurationDraft,
  type EnvironmentKey,
  type Flag,
  type FlagKey,
  type InitialConfiguration,
  type Serve,
  type Split,
  type VariantKey,
} from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { type ConditionProblem, prerequisiteProblem, validateCondition } from "@bunting/engine";
import { fieldErrors, readDocument } from "../field-errors.ts";
import { jsonPointer } from "../json-pointer.ts";
import type { Refusal } from "../ledger/command.ts";
import { refuse } from "../ledger/decision.ts";
import type { Allocations, EnvironmentState, State, StoredConfiguration } from "../ledger/state.ts";
import { allocateSplit } from "../ruleset/allocation.ts";
import { keysOf, namedVariants } from "./usage.ts";

/** The part of a configuration that editing changes. */
export type Settings = Omit<Configuration, "killed" | "salt" | "cohort" | "version">;

/** How a new flag starts: enabled, with everyone on the off variant. */
function initialSettings(flag: Flag, draft: InitialConfiguration = {}): Settings {
  const offVariant = draft.offVariant ?? defaultOffVariant(flag);
  return {
    enabled: draft.enabled ?? true,
    offVariant,
    bucketBy: draft.bucketBy ?? ["key"],
    pins: draft.pins ?? {},
    prerequisites: draft.prerequisites ?? [],
    rules: draft.rules ?? [],
    fallthrough: draft.fallthrough ?? everyoneOff(flag, offVariant),
  };
}

/** A two-way boolean starts as a split, so that its first ramp is one number to change. */
function everyoneOff(flag: Flag, offVariant: VariantKey): Serve {
  const variants = keysOf(flag.variants);
  if (flag.type !== "boolean" || variants.length !== 2) return { variant: offVariant };
  return { split: Object.fromEntries(variants.map((key) => [key, key === offVariant ? 100 : 0])) as Split };
}

function defaultOffVariant(flag: Flag): VariantKey {
  const variants = keysOf(flag.variants);
  const off =
    variants.find((key) => flag.type === "boolean" && flag.variants[key]?.value === false) ??
    variants.find((key) => key === "off") ??
    variants[0];
  if (off === undefined) throw new Error(`Flag ${flag.key} has no variants.`);
  return off;
}

type Parsed =
  | { readonly ok: true; readonly draft: ConfigurationDraft }
  | { readonly ok: false; readonly refusal: Refusal };

/** Reads what a merge patch made of a configuration. */
export function parseSettings(document: unknown): Parsed {
  const parsed = readDocument(configurationDraft, document, JSON.stringify(document).length);
  if (parsed.success) return { ok: true, draft: parsed.data };
  return refuse(
    "invalid_request",
    "The configuration would not fit the schema.",
    parsed.error.issues
      .flatMap((issue) => fieldErrors(issue))
      .map(({ path, message }) => ({ path: jsonPointer(path), message })),
  );
}

export function settingsOf(document: ConfigurationDraft | Configuration): Settings {
  const { enabled, offVariant, bucketBy, pins, prerequisites, rules, fallthrough } = document;
  return { enabled, offVariant, bucketBy, pins, prerequisites, rules, fallthrough };
}

/** Where a configuration will stand. `environment` is undefined while it is being created. */
export interface Place {
  readonly state: State;
  readonly environment: EnvironmentState | undefined;
  readonly flag: Flag;
}

/** Whether the settings make sense where they will stand: null, or what is wrong and where. */
export function findProblem(settings: Settings, place: Place): Refusal | null {
  return (
    findUnknownVariant(settings, place.flag) ??
    findBadCondition(settings, place.state) ??
    findBadPrerequisite(settings, place) ??
    findPrerequisiteCycle(settings, place)
  );
}

function findUnknownVariant(settings: Settings, flag: Flag): Refusal | null {
  const unknown = namedVariants(settings).filter(({ variant }) => !Object.hasOwn(flag.variants, variant));
  if (unknown.length === 0) return null;
  return {
    code: "variant_unknown",
    detail: `${flag.key} has the variants ${keysOf(flag.variants).join(", ")}.`,
    errors: unknown.map(({ variant, path }) => ({ path, message: `${flag.key} has no variant ${variant}.` })),
  };
}

function findBadCondition({ rules }: Settings, state: State): Refusal | null {
  for (const [ruleIndex, { when }] of rules.entries()) {
    for (const [index, condition] of when.entries()) {
      const path = `/rules/${ruleIndex}/when/${index}`;
      if ("segment" in condition) {
        if (state.segments.has(condition.segment)) continue;
        return {
          code: "segment_unknown",
          detail: `There is no segment ${condition.segment}.`,
          errors: [{ path: `${path}/segment`, message: "No segment has this key." }],
        };
      }
      const problem = validateCondition(condition);
      if (problem !== null) return conditionInvalid(path, problem);
    }
  }
  return null;
}

export function conditionInvalid(path: string, problem: ConditionProblem): Refusal {
  const { message } = problem;
  return { code: "condition_invalid", detail: message, errors: [{ path: path + problem.path, message }] };
}

function findBadPrerequisite({ prerequisites }: Settings, { state, flag }: Place): Refusal | null {
  for (const [index, required] of prerequisites.entries()) {
    const problem = problemOfPrerequisite(required, flag.key, state);
    if (problem === null) continue;
    const path = `/prerequisites/${index}`;
    return { code: "prerequisite_invalid", detail: problem, errors: [{ path, message: problem }] };
  }
  return null;
}

function problemOfPrerequisite(
  required: Settings["prerequisites"][number],
  flag: FlagKey,
  state: State,
): string | null {
  if (required.flag === flag) return "A flag cannot be its own prerequisite.";
  const other = state.flags.get(required.flag);
  if (!other) return `There is no flag ${required.flag}.`;
  if (other.archivedAt !== null) return `${required.flag} is archived.`;
  const missing = required.variants.find((variant) => !Object.hasOwn(other.variants, variant));
  return missing === undefined ? null : `${required.flag} has no variant ${missing}.`;
}

function findPrerequisiteCycle({ prerequisites }: Settings, { environment, flag }: Place): Refusal | null {
  if (prerequisites.length === 0 || !environment) return null;
  const graph = new Map<string, readonly string[]>();
  for (const [key, entry] of environment.flags) graph.set(key, namesOf(entry.prerequisites));
  graph.set(flag.key, namesOf(prerequisites));
  const problem = prerequisiteProblem(flag.key, graph);
  if (problem === null) return null;
  const chain = problem.chain.join(" -> ");
  const detail =
    problem.kind === "cycle"
      ? `The prerequisites form a circle: ${chain}.`
      : `The chain of prerequisites is longer than ${LIMITS.prerequisiteDepth}: ${chain}.`;
  return { code: "prerequisite_cycle", detail, errors: [{ path: "/prerequisites", message: detail }] };
}

const namesOf = (prerequisites: Settings["prerequisites"]): readonly FlagKey[] => prerequisites.map(({ flag }) => flag);

/** The ranges of the settings' splits, moved as little as possible from those that were stored before. */
export function allocateSettings(settings: Settings, flag: Flag, previous: Allocations | null): Allocations {
  const allocate = (serve: Serve, before: Allocations["fallthrough"]) => allocateServe(serve, flag, before);
  const rules: Record<string, NonNullable<Allocations["fallthrough"]>> = {};
  for (const { id, serve } of settings.rules) {
    const ranges = allocate(serve, (previous && Object.hasOwn(previous.rules, id) ? previous.rules[id] : null) ?? null);
    if (ranges) rules[id] = ranges;
  }
  return { fallthrough: allocate(settings.fallthrough, previous?.fallthrough ?? null), rules };
}

/**
 * One variant for everyone counts as a split of 100 where there was a split before: so 25 % -> `on` -> 25 % ends with the users
 * it began with.
 */
function allocateServe(serve: Serve, flag: Flag, before: Allocations["fallthrough"]): Allocations["fallthrough"] {
  if ("split" in serve) return allocateSplit(before, flag, serve.split);
  return before && allocateSplit(before, flag, { [serve.variant]: 100 } as Split);
}

/** The salt of a cohort, if another flag of the environment has founded it. */
export function saltOfCohort(environment: EnvironmentState | undefined, cohort: string): number | null {
  for (const { configuration } of environment?.configurations.values() ?? []) {
    if (configuration.cohort === cohort) return configuration.salt;
  }
  return null;
}

/** A flag's configuration as it is founded in one environment. */
export function foundConfiguration(
  place: Place,
  draft: InitialConfiguration | undefined,
  fresh: { readonly salt: number; readonly now: string },
): StoredConfiguration {
  const settings = initialSettings(place.flag, draft);
  const cohort = draft?.cohort ?? null;
  return {
    configuration: {
      ...settings,
      killed: null,
      salt: (cohort === null ? null : saltOfCohort(place.environment, cohort)) ?? fresh.salt,
      cohort,
      version: 1,
    },
    allocations: allocateSettings(settings, place.flag, null),
    updatedAt: fresh.now,
  };
}

/** What the audit calls a configuration. */
export function configurationObject(environment: EnvironmentKey, flag: FlagKey) {
  return { kind: "configuration", key: flag, environment } as const;
}
