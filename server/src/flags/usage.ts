import type { Configuration, FlagKey, SegmentKey, Serve, VariantKey } from "@bunting/contracts";
import type { EnvironmentState, State } from "../ledger/state.ts";

/*
 * Who still needs something that is about to go. Archived flags and environments need nothing.
 */

export function livingEnvironments(state: State): readonly EnvironmentState[] {
  return [...state.environments.values()].filter(({ archivedAt }) => archivedAt === null);
}

/** `environment/flag` of every living configuration for which `uses` holds. */
function configurationsThat(state: State, uses: (configuration: Configuration, flag: FlagKey) => boolean): string[] {
  const found: string[] = [];
  for (const environment of livingEnvironments(state)) {
    for (const flag of environment.flags.keys()) {
      const stored = environment.configurations.get(flag);
      if (stored && uses(stored.configuration, flag)) found.push(`${environment.key}/${flag}`);
    }
  }
  return found;
}

/** Configurations with this flag as a prerequisite. */
export function dependentsOf(state: State, flag: FlagKey): string[] {
  return configurationsThat(state, ({ prerequisites }) => prerequisites.some((required) => required.flag === flag));
}

/** Configurations that serve, pin or require this variant of the flag. */
export function usesOfVariant(state: State, flag: FlagKey, variant: VariantKey): string[] {
  return configurationsThat(state, (configuration, key) =>
    key === flag
      ? servedVariants(configuration).has(variant)
      : configuration.prerequisites.some((required) => required.flag === flag && required.variants.includes(variant)),
  );
}

/** Configurations with a rule on this segment. */
export function usesOfSegment(state: State, segment: SegmentKey): string[] {
  return configurationsThat(state, ({ rules }) =>
    rules.some(({ when }) => when.some((condition) => "segment" in condition && condition.segment === segment)),
  );
}

/** Each variant a configuration names, with the JSON pointer to where. */
export function namedVariants(configuration: Omit<Configuration, "killed" | "salt" | "cohort" | "version">) {
  const named: { readonly variant: VariantKey; readonly path: string }[] = [];
  const add = (serve: Serve, path: string): void => {
    if ("variant" in serve) named.push({ variant: serve.variant, path: `${path}/variant` });
    else for (const variant of keysOf(serve.split)) named.push({ variant, path: `${path}/split/${variant}` });
  };
  named.push({ variant: configuration.offVariant, path: "/offVariant" });
  for (const variant of keysOf(configuration.pins)) named.push({ variant, path: `/pins/${variant}` });
  for (const [index, { serve }] of configuration.rules.entries()) add(serve, `/rules/${index}/serve`);
  add(configuration.fallthrough, "/fallthrough");
  return named;
}

function servedVariants(configuration: Configuration): ReadonlySet<VariantKey> {
  return new Set(namedVariants(configuration).map(({ variant }) => variant));
}

/** At most `limit` of them, for a sentence. */
export function listed(names: readonly string[], limit = 5): string {
  const shown = names.slice(0, limit).join(", ");
  return names.length > limit ? `${shown} and ${names.length - limit} more` : shown;
}

/** Own keys with the type the record gives them. */
export function keysOf<Key extends string>(record: Readonly<Record<Key, unknown>>): Key[] {
  return Object.keys(record) as Key[];
}
