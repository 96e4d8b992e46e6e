import { createHash } from "node:crypto";
import { rulesetFlag, rulesetSegment, type VariantKey } from "@bunting/contracts";
import {
  allocate,
  bucketOf,
  checksumInput,
  compileRuleset,
  createHasher,
  hashBucketingKey,
  toSortedRanges,
} from "@bunting/engine";
import { describe, expect, it } from "vitest";
import { loadAllocationSequences, loadBucketingVectors, loadCaseFiles, rulesetOf, titleOf } from "./load.ts";

/** What the caller answers for a flag that the ruleset does not hold: there is no flag that could. */
const NOT_FOUND = {
  value: null,
  variant: null,
  reason: "ERROR",
  detail: "flag_not_found",
  errorCode: "FLAG_NOT_FOUND",
};

describe.each(loadCaseFiles())("$name ($clauses)", (file) => {
  const { flags } = compileRuleset(rulesetOf(file));

  it.each(file.cases.map((each) => [titleOf(each), each] as const))("%s", (_, { flag: key, context, expected }) => {
    const flag = flags.get(key);
    expect(flag === undefined ? NOT_FOUND : flag.describe(flag.decide(context))).toEqual(expected);
    expect(flag?.explain(context).decision).toBe(flag?.decide(context));
  });

  it("holds entries that the contract knows in full", () => {
    expect(file.flags.map((flag) => rulesetFlag.parse(flag))).toEqual(file.flags);
    expect(file.segments.map((segment) => rulesetSegment.parse(segment))).toEqual(file.segments);
  });

  it("EV-70 holds entries with the checksum of their content", () => {
    for (const entry of [...file.flags, ...file.segments]) {
      expect(createHash("sha256").update(checksumInput(entry)).digest("hex").slice(0, 12)).toBe(entry.checksum);
    }
  });
});

describe("EV-52 EV-53 the published hashes and buckets", () => {
  const hasher = createHasher();

  it.each(loadBucketingVectors())("put $key with salt $salt into bucket $bucket", ({ key, hash, salt, bucket }) => {
    expect(hashBucketingKey(key) >>> 0).toBe(hash);
    expect(hasher.hash(key) >>> 0).toBe(hash);
    expect(bucketOf(hash, salt)).toBe(bucket);
    expect(bucketOf(hash | 0, salt | 0)).toBe(bucket);
  });
});

describe("EV-60 EV-61 EV-62 EV-63 EV-64 EV-65 the published allocations", () => {
  it.each(loadAllocationSequences())("$name", ({ steps }) => {
    let allocation: ReturnType<typeof allocate> | null = null;
    for (const { weights, ranges } of steps) {
      allocation = allocate(
        allocation,
        weights.map(([variant, buckets]) => [variant as VariantKey, buckets]),
      );
      expect(toSortedRanges(allocation)).toEqual(ranges);
    }
  });
});
