import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { EvaluationResult, Ruleset, RulesetFlag, RulesetSegment } from "@bunting/contracts";
import { rulesetChecksum } from "@bunting/engine";

/** A file of `cases/`: a ruleset, and what its flags are for some contexts. The format is in README.md. */
export interface CaseFile {
  /** The file's name without `.json`. */
  readonly name: string;
  readonly description: string;
  /** The clauses of docs/spec/evaluation.md that it shows. */
  readonly clauses: readonly string[];
  readonly flags: readonly RulesetFlag[];
  readonly segments: readonly RulesetSegment[];
  readonly cases: readonly Case[];
}

export interface Case {
  readonly flag: string;
  readonly context: Readonly<Record<string, unknown>>;
  /** A flag that is not in the ruleset is expected with the value and the variant null. */
  readonly expected: EvaluationResult;
  readonly note?: string;
}

/** `vectors/bucketing.json`: numbers are uint32. */
export interface BucketingVector {
  readonly key: string;
  readonly hash: number;
  readonly salt: number;
  readonly bucket: number;
}

/** `vectors/allocation.json`: each step starts from the one before, the first from nothing. Weights are in buckets. */
export interface AllocationSequence {
  readonly name: string;
  readonly steps: readonly {
    readonly weights: readonly (readonly [variant: string, buckets: number])[];
    readonly ranges: readonly (readonly [variant: string, from: number, to: number])[];
  }[];
}

export function loadCaseFiles(): readonly CaseFile[] {
  return readdirSync(path.join(import.meta.dirname, "cases"))
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => ({ name: path.basename(file, ".json"), ...readJson<Omit<CaseFile, "name">>("cases", file) }));
}

export function loadBucketingVectors(): readonly BucketingVector[] {
  return readJson<{ vectors: readonly BucketingVector[] }>("vectors", "bucketing.json").vectors;
}

export function loadAllocationSequences(): readonly AllocationSequence[] {
  return readJson<{ sequences: readonly AllocationSequence[] }>("vectors", "allocation.json").sequences;
}

/** The ruleset that a file describes, as a server would announce it. */
export function rulesetOf({ flags, segments }: CaseFile, position = { epoch: "conformance", revision: 1 }): Ruleset {
  const entries = {
    flags: Object.fromEntries(flags.map((flag) => [flag.key, flag])),
    segments: Object.fromEntries(segments.map((segment) => [segment.key, segment])),
  } as Pick<Ruleset, "flags" | "segments">;
  return { ...position, checksum: rulesetChecksum(entries), ...entries };
}

/** A case in one line, for the title of its test. */
export function titleOf({ flag, context, note }: Case): string {
  const shown = JSON.stringify(context);
  const short = shown.length > 100 ? `${shown.slice(0, 100)}…` : shown;
  return `${flag} for ${short}${note === undefined ? "" : ` (${note})`}`;
}

function readJson<T>(...file: readonly string[]): T {
  return JSON.parse(readFileSync(path.join(import.meta.dirname, ...file), "utf8")) as T;
}
