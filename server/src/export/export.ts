import type { EnvironmentKey, Export } from "@bunting/contracts";
import type { State } from "../ledger/state.ts";
import { toInstant } from "../platform/instant.ts";

/** Living environments, living flags and all segments, each by key, so that two exports can be compared line by line. */
export function exportOf(state: State, visible: readonly EnvironmentKey[] | null, now: number): Export {
  const environments = [...state.environments.values()]
    .filter(({ key, archivedAt }) => archivedAt === null && (visible?.includes(key) ?? true))
    .sort(by(({ key }) => key));
  const flags = [...state.flags.values()].filter(({ archivedAt }) => archivedAt === null).sort(by(({ key }) => key));
  return {
    format: 1,
    exportedAt: toInstant(now),
    epoch: state.epoch,
    environments: environments.map(({ key, name, revision, checksum }) => ({ key, name, revision, checksum })),
    flags,
    segments: [...state.segments.values()]
      .sort(by(({ key }) => key))
      .map(({ key, description, when }) => ({ key, description, when })),
    configurations: environments.flatMap((environment) =>
      flags.flatMap((flag) => {
        const stored = environment.configurations.get(flag.key);
        return stored ? [{ flag: flag.key, environment: environment.key, ...stored.configuration }] : [];
      }),
    ),
    rollouts: [...state.rollouts.values()]
      .map(({ rollout }) => rollout)
      .filter(({ environment }) => environments.some(({ key }) => key === environment))
      .sort(by(({ id }) => id)),
  };
}

function by<Item>(keyOf: (item: Item) => string): (one: Item, other: Item) => number {
  return (one, other) => (keyOf(one) < keyOf(other) ? -1 : 1);
}
