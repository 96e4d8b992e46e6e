import { createHash } from "node:crypto";
import type { FlagKey, Operation, Ruleset, RulesetFlag, RulesetSegment, SegmentKey } from "@bunting/contracts";
import { checksumInput, rulesetChecksum } from "@bunting/engine";

/** A flag entry with defaults: on or off, everyone off. Keys are plain texts here; the checksum is that of the content. */
export function flagEntry(
  key: string,
  settings: Partial<Omit<RulesetFlag, "key" | "checksum">> | object = {},
): RulesetFlag {
  return withChecksum({
    key,
    type: "boolean",
    bucketing: 1,
    variants: { on: { value: true }, off: { value: false } },
    enabled: true,
    killed: false,
    offVariant: "off",
    salt: 2654435769,
    bucketBy: ["key"],
    pins: {},
    prerequisites: [],
    rules: [],
    fallthrough: { variant: "off" },
    metadata: {},
    ...settings,
  }) as unknown as RulesetFlag;
}

export function segmentEntry(key: string, when: RulesetSegment["when"]): RulesetSegment {
  return withChecksum({ key, when }) as unknown as RulesetSegment;
}

/** Serves `on` to the buckets below, `off` to the others. */
export function share(buckets: number): { readonly allocation: readonly (readonly [string, number, number])[] } {
  const ranges = [["on", 0, buckets] as const, ["off", buckets, 100_000] as const];
  return { allocation: ranges.filter(([, from, to]) => from !== to) };
}

export function rulesetWith(
  flags: readonly RulesetFlag[],
  segments: readonly RulesetSegment[] = [],
  revision = 1,
): Ruleset {
  const entries = {
    flags: Object.fromEntries(flags.map((flag) => [flag.key, flag])),
    segments: Object.fromEntries(segments.map((segment) => [segment.key, segment])),
  } as Pick<Ruleset, "flags" | "segments">;
  return { epoch: "e", revision, checksum: rulesetChecksum(entries), ...entries };
}

export function putFlag(value: RulesetFlag): Operation {
  return { op: "put", kind: "flag", key: value.key, value };
}

export function putSegment(value: RulesetSegment): Operation {
  return { op: "put", kind: "segment", key: value.key, value };
}

export function removeFlag(key: string): Operation {
  return { op: "remove", kind: "flag", key: key as FlagKey };
}

export function removeSegment(key: string): Operation {
  return { op: "remove", kind: "segment", key: key as SegmentKey };
}

function withChecksum<Content extends object>(content: Content): Content & { readonly checksum: string } {
  const checksum = createHash("sha256").update(checksumInput(content)).digest("hex").slice(0, 12);
  return { ...content, checksum };
}
