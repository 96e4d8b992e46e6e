import type {
  BucketRange,
  Configuration,
  EnvironmentKey,
  Flag,
  FlagKey,
  NextStep,
  Operation,
  Rollout,
  Decision as RolloutDecision,
  RulesetFlag,
  RulesetSegment,
  Segment,
  SegmentKey,
  Token,
} from "@bunting/contracts";
import type { StoredWebhook } from "../webhooks/stored-webhook.ts";

/*
 * What the server knows, as immutable data. A commit makes a new State; whoever holds the old one keeps a consistent picture.
 */

/**
 * The stored ranges of one split, exactly as the engine's `allocate` returned them: their order and direction (`from` above
 * `to`: acquired downwards) say what a variant gives back first. `toSortedRanges` makes of them what SDKs get.
 */
export type Allocation = readonly BucketRange[];

/**
 * Kept also while the serve names one variant, if there was a split before: when the split comes back, so do its users.
 */
export interface Allocations {
  /** `null`: the fallthrough was never a split. */
  readonly fallthrough: Allocation | null;
  /** By rule id; only rules that split, or did. */
  readonly rules: Readonly<Record<string, Allocation>>;
}

export interface StoredConfiguration {
  readonly configuration: Configuration;
  readonly allocations: Allocations;
  readonly updatedAt: string;
}

export interface StoredToken extends Token {
  /** SHA-256 (or HMAC-SHA-256 with the pepper) of the whole token. */
  readonly digest: Uint8Array;
}

/** A rollout, with what only the server needs of it. */
export interface StoredRollout {
  readonly rollout: Rollout;
  /** The scope's ranges as they were before this attempt: a rollback puts back exactly these. `null`: it was never a split. */
  readonly formerAllocation: Allocation | null;
  /** Puts this attempt's units into groups, apart from their assignment. */
  readonly groupSalt: number;
  /** The controller's latest look, of whatever attempt. */
  readonly latestAnalysis: RolloutDecision | null;
  /** The latest entry of its log, whoever took it. */
  readonly latestDecision: RolloutDecision | null;
  /** Of the latest decision, or of the plan before there is one. */
  readonly nextStep: NextStep | null;
  /** Decisions are numbered 1, 2, 3 … */
  readonly decisionCount: number;
}

export interface EnvironmentState {
  readonly key: EnvironmentKey;
  readonly name: string;
  readonly createdAt: string;
  readonly archivedAt: string | null;
  readonly revision: number;
  /** Sum of the entries' checksums modulo 2^48: the ruleset's checksum at `revision`. */
  readonly checksum: string;
  readonly configurations: ReadonlyMap<FlagKey, StoredConfiguration>;
  /** What SDKs receive. */
  readonly flags: ReadonlyMap<FlagKey, RulesetFlag>;
  readonly segments: ReadonlyMap<SegmentKey, RulesetSegment>;
  /** Sum of the entries' sizes on the wire. */
  readonly bytes: number;
}

export interface State {
  readonly epoch: string;
  readonly environments: ReadonlyMap<EnvironmentKey, EnvironmentState>;
  readonly flags: ReadonlyMap<FlagKey, Flag>;
  readonly segments: ReadonlyMap<SegmentKey, Segment>;
  /** By token id. */
  readonly tokens: ReadonlyMap<string, StoredToken>;
  /** By id, ended ones too. */
  readonly rollouts: ReadonlyMap<string, StoredRollout>;
  /** By id. */
  readonly webhooks: ReadonlyMap<string, StoredWebhook>;
}

/** One transaction as one environment saw it: exactly what its change row holds and its patch carries. */
export interface Commit {
  readonly environment: EnvironmentKey;
  readonly epoch: string;
  readonly previous: number;
  /** `previous + 1`. */
  readonly revision: number;
  readonly operations: readonly Operation[];
  /** The ruleset's checksum after it. */
  readonly checksum: string;
  /** If the transaction was a kill and nothing else: all flags it killed, with their new checksums. */
  readonly kill: readonly { readonly key: FlagKey; readonly checksum: string }[] | null;
  /** Unix ms, wall clock, taken right after COMMIT returned. */
  readonly committedAt: number;
}
