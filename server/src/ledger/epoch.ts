import type { EnvironmentKey } from "@bunting/contracts";
import type { ChainHead } from "../audit/chain.ts";
import type { Head } from "./head.ts";
import type { Commit, EnvironmentState, State } from "./state.ts";

/** Why a new history begins. */
export interface Rewrite {
  readonly reason: string;
  /** The greatest revision anybody may have seen, where it is above the database's. */
  readonly seen: ReadonlyMap<EnvironmentKey, number>;
}

/** What the database holds when it is opened. */
export interface Found {
  readonly state: State;
  readonly changes: ReadonlyMap<EnvironmentKey, readonly Commit[]>;
  readonly chain: ChainHead;
}

/**
 * Whether the database is not the one whose head was written down: an older copy, another one, or one that went another way
 * from the same point. Then SDKs may hold revisions it never had, or different contents under the same number, and only a new
 * epoch makes every one of them take a snapshot. Pure.
 */
export function findRewrite(head: Head | "unreadable" | null, found: Found): Rewrite | null {
  if (head === null) return null;
  if (head === "unreadable")
    return { reason: "the note of how far the history had come is unreadable", seen: new Map() };
  const { state, changes } = found;
  const seen = new Map<EnvironmentKey, number>();
  const reasons: string[] = [];
  if (head.epoch !== state.epoch) reasons.push("the database belongs to another epoch");
  if (head.audit.count > found.chain.count) reasons.push("the audit is shorter than it was");
  if (head.audit.count === found.chain.count && head.audit.hash !== found.chain.hash) {
    reasons.push("the audit ends in another entry");
  }
  for (const [key, { revision, checksum }] of Object.entries(head.environments)) {
    const environment = state.environments.get(key as EnvironmentKey);
    if (!environment) {
      reasons.push(`${key} is missing`);
      continue;
    }
    if (revision > environment.revision) {
      reasons.push(`${key} was at revision ${revision} and is at ${environment.revision}`);
      seen.set(environment.key, revision);
    }
    const then = checksumAt(revision, environment, changes.get(environment.key) ?? []);
    if (then !== null && then !== checksum) reasons.push(`${key} differs at revision ${revision}`);
  }
  return reasons.length === 0 ? null : { reason: reasons.join("; "), seen };
}

/** The ruleset's checksum at a revision, or null where it is not known any more. */
function checksumAt(revision: number, environment: EnvironmentState, changes: readonly Commit[]): string | null {
  if (revision === environment.revision) return environment.checksum;
  return changes.find((commit) => commit.revision === revision)?.checksum ?? null;
}

/**
 * The environments of the new history. Revisions go on above every number ever seen, so that no two contents of one
 * environment have ever had the same revision, whatever the epoch.
 */
export function environmentsAfter({ seen }: Rewrite, state: State): readonly EnvironmentState[] {
  return [...state.environments.values()].map((environment) => ({
    ...environment,
    revision: Math.max(environment.revision, seen.get(environment.key) ?? 0) + 1,
  }));
}
