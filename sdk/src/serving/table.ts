import type { CompiledFlag, CompiledRuleset, Decision } from "@bunting/engine";
import type { EvidenceBook } from "../evidence/book.ts";
import type { Scope } from "../evidence/live-rollout.ts";
import { booleanOf, decisionOf, type Override, type Overrides, overrideVariable } from "../overrides.ts";
import type { Slots } from "../telemetry/slots.ts";
import type { ActiveOverride, Json } from "../types.ts";

/**
 * One flag as evaluations look it up: an override that forces its decision is folded in beforehand, and a kill is in the
 * flag itself, which is stronger (LC-53); so an evaluation asks one question. Built aside, never changed: a new one replaces it.
 */
export class ServedFlag {
  readonly flag: CompiledFlag;
  /** Decided for everyone, or {@link NOT_FORCED}. */
  readonly forced: Decision;
  /** Exposures by variant. Those of an overridden flag are no evidence and go where nobody looks. */
  readonly counts: Int32Array;
  /** What its decisions are evidence of; null without a running rollout, and where an override decides. */
  readonly scope: Scope | null;
  /** Neither forced nor in a running rollout, as nearly every flag is: an evaluation asks this one question for both. */
  readonly isPlain: boolean;
  /** By variant: what `isEnabled` answers, the key, the value. */
  readonly truths: readonly boolean[];
  readonly variants: readonly string[];
  readonly values: readonly Json[];

  constructor(flag: CompiledFlag, forced: Decision, counts: Int32Array, scope: Scope | null) {
    this.flag = flag;
    this.forced = forced;
    this.counts = counts;
    this.scope = scope;
    this.isPlain = forced === NOT_FORCED && scope === null;
    this.truths = flag.variants.map(({ truth }) => truth);
    this.variants = flag.variants.map(({ key }) => key);
    this.values = flag.variants.map(({ value }) => frozen(value));
  }
}

/** Every caller gets the same object: whoever wrote into it would change the flag for all. */
function frozen(value: Json): Json {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}

/** No decision of the engine is negative. */
export const NOT_FORCED: Decision = -1;

/** Everything an evaluation reads, behind one reference. */
export interface ServingTable {
  readonly flags: ReadonlyMap<string, ServedFlag>;
  readonly revision: number | null;
  readonly overrides: readonly ActiveOverride[];
  readonly issues: readonly string[];
  /** By custom metric: the flags in running rollouts that look at it. */
  readonly trackedBy: ReadonlyMap<string, readonly ServedFlag[]>;
  /** Where there is no ruleset at all: what a boolean override says of a flag. */
  booleanOverride(flag: string): boolean | undefined;
}

export interface TableSources {
  readonly compiled: CompiledRuleset;
  readonly revision: number | null;
  readonly overrides: Overrides;
  readonly slots: Slots;
  readonly book: EvidenceBook;
}

export const EMPTY_TABLE: ServingTable = {
  flags: new Map(),
  revision: null,
  overrides: [],
  issues: [],
  trackedBy: new Map(),
  booleanOverride: () => undefined,
};

export function buildTable(before: ServingTable, sources: TableSources): ServingTable {
  const { compiled, revision, overrides, slots, book } = sources;
  const flags = new Map<string, ServedFlag>();
  const trackedBy = new Map<string, ServedFlag[]>();
  const active: ActiveOverride[] = [];
  const issues = [...overrides.issues];
  for (const [key, flag] of compiled.flags) {
    const override = overrides.of(key);
    const forced =
      override === undefined || flag.entry.killed ? NOT_FORCED : (decisionOf(override, flag) ?? NOT_FORCED);
    if (override !== undefined) {
      if (flag.entry.killed) issues.push(`override of "${key}" waits: the flag is killed`);
      else if (forced === NOT_FORCED) issues.push(unusable(key, flag, override));
      else active.push({ flag: key, value: override.text, from: override.from });
    }
    const served = serve(before.flags.get(key), flag, forced, sources);
    flags.set(key, served);
    for (const metric of served.scope?.metrics ?? []) {
      trackedBy.set(metric, [...(trackedBy.get(metric) ?? []), served]);
    }
  }
  slots.retain((flag) => flags.has(flag));
  book.retain((flag) => flags.get(flag)?.scope !== null && flags.has(flag));
  for (const issue of compiled.issues) issues.push(`${issue.flag}: ${issue.message}`);
  return {
    flags,
    revision,
    overrides: active,
    issues,
    trackedBy,
    booleanOverride: revision === null ? (flag) => booleanOf(overrides.of(flag)?.text ?? "") : () => undefined,
  };
}

/** Flags that may decide differently in `after`. Flags that did not change are the same objects. */
export function changedKeys(before: ServingTable, after: ServingTable): string[] {
  const changed: string[] = [];
  for (const [key, served] of after.flags) if (before.flags.get(key) !== served) changed.push(key);
  for (const key of before.flags.keys()) if (!after.flags.has(key)) changed.push(key);
  return changed;
}

function serve(
  before: ServedFlag | undefined,
  flag: CompiledFlag,
  forced: Decision,
  { slots, book }: TableSources,
): ServedFlag {
  if (before !== undefined && before.flag === flag && before.forced === forced) return before;
  const keys = flag.variants.map(({ key }) => key);
  if (forced !== NOT_FORCED) return new ServedFlag(flag, forced, new Int32Array(keys.length), null);
  return new ServedFlag(flag, forced, slots.of(flag.key, keys), book.scopeOf(flag));
}

function unusable(key: string, flag: CompiledFlag, { text, from }: Override): string {
  const where = from === "environment" ? overrideVariable(key) : from === "file" ? "the override file" : "overrideEnv";
  const known = flag.variants.map((variant) => variant.key).join(", ");
  return `override of "${key}" in ${where} is ignored: "${text.slice(0, 100)}" is none of ${known}`;
}
