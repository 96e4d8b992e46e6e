import { z } from "zod";
import { conditionValue } from "./context.ts";
import { flagType, metadata } from "./flag.ts";
import { flagKey, json, segmentKey, variantKey } from "./key.ts";
import { LIMITS } from "./literals.ts";
import { metricKey } from "./rollout.ts";

/*
 * What an SDK needs to evaluate one environment: the server's documents compiled to entries without names of people, audit
 * fields or percentages (a split has become ranges). Entries are parsed tolerantly: an SDK may be older than its server, so
 * unknown fields are dropped, and an operator is any string (one the SDK does not know makes its rule fail closed).
 */

/** First 48 bits of a SHA-256, in hex. */
export const checksum = z.string().regex(/^[0-9a-f]{12}$/);

/** A random id of one history of revisions, replaced whenever history is rewritten. */
export const epoch = z.string().min(1).max(64);

/** Counts the committed transactions of one environment. */
export const revision = z.int().min(0);

/** Where a state stands in its environment's history. */
export const position = z.object({ epoch, revision }).meta({ id: "Position" });
export type Position = z.infer<typeof position>;

/** Buckets `from` (inclusive) to `to` (exclusive) serve the variant. Disjoint, sorted by `from`, together all buckets. */
export const bucketRange = z.tuple([variantKey, z.int(), z.int()]);
export type BucketRange = z.infer<typeof bucketRange>;

export const rulesetServe = z.union([
  z.object({ variant: variantKey }),
  z.object({ allocation: z.array(bucketRange).min(1) }),
]);
export type RulesetServe = z.infer<typeof rulesetServe>;

export const rulesetAttributeCondition = z.object({
  attribute: z.string(),
  op: z.string(),
  values: z.array(conditionValue),
});
export type RulesetAttributeCondition = z.infer<typeof rulesetAttributeCondition>;

export const rulesetCondition = z.union([rulesetAttributeCondition, z.object({ segment: segmentKey })]);
export type RulesetCondition = z.infer<typeof rulesetCondition>;

/**
 * The live rollout of a flag: asks SDKs for evidence on what its scope serves. Part of the entry, because evidence belongs to
 * exactly one state of it.
 */
export const rulesetRollout = z.object({
  id: z.string().min(1).max(64),
  attempt: z.int().min(1),
  stage: z.int().min(0),
  canary: variantKey,
  control: variantKey,
  /** The rule whose split is the scope; null: the fallthrough's. */
  rule: z.string().nullable(),
  /** Puts units into groups, apart from their assignment. */
  groupSalt: z.uint32(),
  /** Custom metrics that its guardrails judge. */
  metrics: z.array(metricKey).max(LIMITS.metricsPerRollout),
});
export type RulesetRollout = z.infer<typeof rulesetRollout>;

/** One flag, ready to be evaluated. */
export const rulesetFlag = z.object({
  key: flagKey,
  type: flagType,
  /** `BUCKETING_ALGORITHM` of the release that wrote this entry. */
  bucketing: z.int(),
  variants: z.record(variantKey, z.object({ value: json })),
  enabled: z.boolean(),
  killed: z.boolean(),
  offVariant: variantKey,
  salt: z.uint32(),
  bucketBy: z.array(z.string()).min(1),
  pins: z.record(variantKey, z.array(z.string())),
  prerequisites: z.array(z.object({ flag: flagKey, variants: z.array(variantKey) })),
  rules: z.array(z.object({ id: z.string(), when: z.array(rulesetCondition), serve: rulesetServe })),
  fallthrough: rulesetServe,
  metadata,
  rollout: rulesetRollout.optional(),
  checksum,
});
export type RulesetFlag = z.infer<typeof rulesetFlag>;

export const rulesetSegment = z.object({
  key: segmentKey,
  when: z.array(rulesetAttributeCondition),
  checksum,
});
export type RulesetSegment = z.infer<typeof rulesetSegment>;

/** The whole of one environment at one position. `checksum` is the sum of the entries' checksums modulo 2^48. */
export const ruleset = z.object({
  epoch,
  revision,
  checksum,
  flags: z.record(flagKey, rulesetFlag),
  segments: z.record(segmentKey, rulesetSegment),
});
export type Ruleset = z.infer<typeof ruleset>;

/** One step of a transaction, as the change log keeps it and a patch carries it. */
export const operation = z.union([
  z.object({ op: z.literal("put"), kind: z.literal("flag"), key: flagKey, value: rulesetFlag }),
  z.object({ op: z.literal("put"), kind: z.literal("segment"), key: segmentKey, value: rulesetSegment }),
  z.object({ op: z.literal("remove"), kind: z.literal("flag"), key: flagKey }),
  z.object({ op: z.literal("remove"), kind: z.literal("segment"), key: segmentKey }),
]);
export type Operation = z.infer<typeof operation>;
