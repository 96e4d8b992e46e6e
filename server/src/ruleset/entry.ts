import { hash } from "node:crypto";
import type {
  Flag,
  RulesetFlag,
  RulesetRollout,
  RulesetSegment,
  RulesetServe,
  Segment,
  Serve,
} from "@bunting/contracts";
import { BUCKETING_ALGORITHM } from "@bunting/contracts/literals";
import { checksumInput, toSortedRanges } from "@bunting/engine";
import type { Allocation, StoredConfiguration, StoredRollout } from "../ledger/state.ts";

/**
 * Grows whenever {@link compileFlag} or {@link compileSegment} writes another entry for the same documents. A store whose
 * rulesets were compiled by another format gets them compiled anew at start, as one more revision: otherwise the checksums
 * that guard against damage would take an upgrade for damage.
 */
export const ENTRY_FORMAT = 1;

/**
 * What SDKs receive for one flag: the definition and one environment's configuration, without people and percentages.
 *
 * @param rollout the live one, if there is one: SDKs report evidence on what its scope serves
 */
export function compileFlag(flag: Flag, stored: StoredConfiguration, rollout?: StoredRollout): RulesetFlag {
  const { configuration, allocations } = stored;
  return seal<RulesetFlag>({
    key: flag.key,
    type: flag.type,
    bucketing: BUCKETING_ALGORITHM,
    variants: mapValues(flag.variants, ({ value }) => ({ value })),
    enabled: configuration.enabled,
    killed: configuration.killed !== null,
    offVariant: configuration.offVariant,
    salt: configuration.salt,
    bucketBy: configuration.bucketBy,
    pins: configuration.pins,
    prerequisites: configuration.prerequisites,
    rules: configuration.rules.map(({ id, when, serve }) => ({
      id,
      when,
      serve: compileServe(serve, allocations.rules[id] ?? null),
    })),
    fallthrough: compileServe(configuration.fallthrough, allocations.fallthrough),
    metadata: flag.metadata,
    ...(rollout && { rollout: compileRollout(rollout) }),
  });
}

function compileRollout({ rollout, groupSalt }: StoredRollout): RulesetRollout {
  const { id, attempt, stage, plan } = rollout;
  const guardrails = [...plan.guardrails, ...plan.stages.flatMap((each) => each.guardrails ?? [])];
  // Gauges are of the whole system and belong to no variant, so nobody has to know of them here.
  const metrics = guardrails.flatMap((each) => ("kind" in each && each.kind === "ratio" ? each.metric : []));
  return {
    id,
    attempt,
    stage: stage ?? 0,
    canary: plan.canary,
    control: plan.control,
    rule: "rule" in plan.scope ? plan.scope.rule : null,
    groupSalt,
    metrics: [...new Set(metrics)].sort(),
  };
}

export function compileSegment(segment: Segment): RulesetSegment {
  return seal<RulesetSegment>({ key: segment.key, when: segment.when });
}

/** Bytes of an entry as the wire carries it. */
export function entryBytes(entry: RulesetFlag | RulesetSegment): number {
  return Buffer.byteLength(JSON.stringify(entry));
}

function compileServe(serve: Serve, allocation: Allocation | null): RulesetServe {
  if ("variant" in serve) return { variant: serve.variant };
  if (!allocation) throw new Error("A split without a stored allocation cannot be compiled.");
  return { allocation: toSortedRanges(allocation) };
}

/** Adds the checksum: the first 48 bits of SHA-256 over the entry as canonical JSON (EV-70). */
function seal<Entry extends { readonly checksum: string }>(entry: Omit<Entry, "checksum">): Entry {
  return { ...entry, checksum: hash("sha256", checksumInput(entry), "hex").slice(0, 12) } as unknown as Entry;
}

function mapValues<Key extends string, From, To>(record: Readonly<Record<Key, From>>, map: (value: From) => To) {
  return Object.fromEntries(Object.entries<From>(record).map(([key, value]) => [key, map(value)])) as Record<Key, To>;
}
