import type { EnvironmentKey, FlagKey, Operation, RulesetFlag, RulesetSegment, SegmentKey } from "@bunting/contracts";
import { addChecksums, EMPTY_CHECKSUM, subtractChecksums } from "@bunting/engine";
import { findLiveRollout } from "../rollouts/rollout.ts";
import { compileFlag, compileSegment, entryBytes } from "../ruleset/entry.ts";
import type { Decision, Edit } from "./decision.ts";
import { SharedMap } from "./shared-map.ts";
import type { Commit, EnvironmentState, State, StoredConfiguration, StoredRollout } from "./state.ts";

/** A commit that is decided but not yet durable. */
export type PendingCommit = Omit<Commit, "committedAt">;

export interface Applied {
  readonly state: State;
  /** One per environment whose ruleset changes, in the order of the environments. */
  readonly commits: readonly PendingCommit[];
}

/** The state after a decision: pure. What the decision does not touch is shared with the state before. */
export function applyDecision(state: State, decision: Pick<Decision, "edits" | "kill">): Applied {
  const edits = sortEdits(decision.edits);
  const documents = {
    flags: SharedMap.from(state.flags).with(edits.flags),
    segments: SharedMap.from(state.segments).with(edits.segments),
    tokens: SharedMap.from(state.tokens).with(edits.tokens),
    rollouts: SharedMap.from(state.rollouts).with(edits.rollouts),
    webhooks: SharedMap.from(state.webhooks).with(edits.webhooks),
  };
  const environments = new Map(state.environments);
  for (const { key, after } of edits.environments) {
    const before = environments.get(key) ?? { ...NO_RULESET, key, revision: 0, checksum: EMPTY_CHECKSUM };
    environments.set(key, { ...before, ...after, ...(after.archivedAt !== null && NO_ENTRIES) });
  }

  const commits: PendingCommit[] = [];
  for (const before of environments.values()) {
    if (before.archivedAt !== null) continue;
    const { after, operations } = applyToEnvironment(before, edits, documents);
    if (after === before) continue;
    environments.set(before.key, after);
    if (operations.length === 0) continue;
    const kill = decision.kill?.environment === before.key ? decision.kill.flags : null;
    commits.push({
      environment: before.key,
      epoch: state.epoch,
      previous: before.revision,
      revision: after.revision,
      operations,
      checksum: after.checksum,
      kill: kill && kill.map((key) => killOf(key, after)),
    });
  }
  return { state: { ...state, ...documents, environments }, commits };
}

/** The edits of a decision by the map they go into. */
interface SortedEdits {
  readonly flags: Map<FlagKey, Extract<Edit, { kind: "flag" }>["after"]>;
  readonly segments: Map<SegmentKey, NonNullable<Extract<Edit, { kind: "segment" }>["after"]> | undefined>;
  readonly tokens: Map<string, Extract<Edit, { kind: "token" }>["after"]>;
  readonly configurations: Map<EnvironmentKey, Map<FlagKey, StoredConfiguration>>;
  readonly rollouts: Map<string, StoredRollout>;
  readonly webhooks: Map<string, NonNullable<Extract<Edit, { kind: "webhook" }>["after"]> | undefined>;
  readonly environments: Extract<Edit, { kind: "environment" }>[];
}

function sortEdits(edits: readonly Edit[]): SortedEdits {
  const sorted: SortedEdits = {
    flags: new Map(),
    segments: new Map(),
    tokens: new Map(),
    configurations: new Map(),
    rollouts: new Map(),
    webhooks: new Map(),
    environments: [],
  };
  for (const edit of edits) {
    switch (edit.kind) {
      case "flag":
        sorted.flags.set(edit.key, edit.after);
        break;
      case "segment":
        sorted.segments.set(edit.key, edit.after ?? undefined);
        break;
      case "token":
        sorted.tokens.set(edit.id, edit.after);
        break;
      case "environment":
        sorted.environments.push(edit);
        break;
      case "webhook":
        sorted.webhooks.set(edit.id, edit.after ?? undefined);
        break;
      case "rollout":
        sorted.rollouts.set(edit.id, edit.after);
        break;
      // Kept by the store alone.
      case "decision":
      case "delivery":
        break;
      case "configuration": {
        const ofEnvironment = sorted.configurations.get(edit.environment) ?? new Map<FlagKey, StoredConfiguration>();
        sorted.configurations.set(edit.environment, ofEnvironment.set(edit.flag, edit.after));
        break;
      }
    }
  }
  return sorted;
}

type Documents = Pick<State, "flags" | "segments" | "rollouts">;

function applyToEnvironment(before: EnvironmentState, edits: SortedEdits, documents: Documents) {
  const edited = edits.configurations.get(before.key) ?? new Map<FlagKey, StoredConfiguration>();
  const configurations = SharedMap.from(before.configurations).with(edited);
  const rolledOut = [...edits.rollouts.values()]
    .filter(({ rollout }) => rollout.environment === before.key)
    .map(({ rollout }) => rollout.flag);
  const changedFlags = new Set([
    ...edited.keys(),
    ...[...edits.flags.keys(), ...rolledOut].filter((key) => configurations.has(key)),
  ]);
  const isNew = before.revision === 0 && before.segments.size === 0;
  const changedSegments = new Set(isNew ? documents.segments.keys() : edits.segments.keys());
  if (changedFlags.size === 0 && changedSegments.size === 0) return { after: before, operations: [] };

  const tally = new Tally(before);
  // Segments first: a flag never refers to one that a reader of the operations has not met yet.
  const segments = new Map<SegmentKey, RulesetSegment | undefined>();
  for (const key of [...changedSegments].sort()) {
    const segment = documents.segments.get(key);
    const entry = segment && compileSegment(segment);
    if (tally.replace("segment", key, before.segments.get(key), entry)) segments.set(key, entry);
  }
  const flags = new Map<FlagKey, RulesetFlag | undefined>();
  for (const key of [...changedFlags].sort()) {
    const flag = documents.flags.get(key);
    const stored = configurations.get(key);
    const rollout = findLiveRollout(documents.rollouts, before.key, key);
    const entry = flag && stored && flag.archivedAt === null ? compileFlag(flag, stored, rollout) : undefined;
    if (tally.replace("flag", key, before.flags.get(key), entry)) flags.set(key, entry);
  }

  const { operations, checksum, bytes } = tally;
  if (operations.length === 0) return { after: { ...before, configurations }, operations };
  const after: EnvironmentState = {
    ...before,
    configurations,
    revision: before.revision + 1,
    checksum,
    bytes,
    flags: SharedMap.from(before.flags).with(flags),
    segments: SharedMap.from(before.segments).with(segments),
  };
  return { after, operations };
}

/** What a transaction does to one ruleset, counted up entry by entry. */
class Tally {
  readonly operations: Operation[] = [];
  checksum: string;
  bytes: number;

  constructor({ checksum, bytes }: EnvironmentState) {
    this.checksum = checksum;
    this.bytes = bytes;
  }

  /** False if nothing changes for SDKs. */
  replace<Entry extends RulesetFlag | RulesetSegment>(
    kind: "flag" | "segment",
    key: string,
    before: Entry | undefined,
    after: Entry | undefined,
  ): boolean {
    if (before?.checksum === after?.checksum) return false;
    if (before) {
      this.checksum = subtractChecksums(this.checksum, before.checksum);
      this.bytes -= entryBytes(before);
    }
    if (after) {
      this.checksum = addChecksums(this.checksum, after.checksum);
      this.bytes += entryBytes(after);
    }
    this.operations.push((after ? { op: "put", kind, key, value: after } : { op: "remove", kind, key }) as Operation);
    return true;
  }
}

/** An archived environment keeps its configurations, to be read, and serves nothing. */
export const NO_ENTRIES = { flags: new Map<never, never>(), segments: new Map<never, never>(), bytes: 0 } as const;

const NO_RULESET = { ...NO_ENTRIES, configurations: new Map<never, never>() } as const;

function killOf(key: FlagKey, { flags }: EnvironmentState): { key: FlagKey; checksum: string } {
  const entry = flags.get(key);
  if (!entry) throw new Error(`A kill names ${key}, which the ruleset does not have.`);
  return { key, checksum: entry.checksum };
}
