import type { Operation } from "@bunting/contracts";
import { addChecksums, EMPTY_CHECKSUM } from "@bunting/engine";
import type { Applied, PendingCommit } from "./apply.ts";
import type { EnvironmentState, State } from "./state.ts";

/** One revision per living environment in which every entry is put again, as this code compiles it. Pure. */
export function recompile(state: State): Applied {
  const environments = new Map(state.environments);
  const commits: PendingCommit[] = [];
  for (const environment of state.environments.values()) {
    const operations = putAll(environment);
    if (environment.archivedAt !== null || operations.length === 0) continue;
    const { key, revision: previous, flags, segments } = environment;
    const revision = previous + 1;
    let checksum = EMPTY_CHECKSUM;
    for (const entry of [...flags.values(), ...segments.values()]) checksum = addChecksums(checksum, entry.checksum);
    environments.set(key, { ...environment, revision, checksum });
    commits.push({ environment: key, epoch: state.epoch, previous, revision, operations, checksum, kill: null });
  }
  return { state: { ...state, environments }, commits };
}

function putAll({ flags, segments }: EnvironmentState): Operation[] {
  return [
    ...[...segments].map(([key, value]): Operation => ({ op: "put", kind: "segment", key, value })),
    ...[...flags].map(([key, value]): Operation => ({ op: "put", kind: "flag", key, value })),
  ];
}
