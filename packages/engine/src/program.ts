import type { EvaluationErrorCode, Reason, RulesetFlag, RulesetServe } from "@bunting/contracts";
import { BUCKETING_ALGORITHM } from "@bunting/contracts/literals";
import {
  CAUSE,
  type Decision,
  FIRST_RULE_CAUSE,
  MAXIMUM_CAUSES,
  MAXIMUM_VARIANTS,
  pack,
  UNDECIDED,
} from "./decision.ts";
import { type CompiledCondition, compileAttributeCondition } from "./match/condition.ts";
import type { CompiledSegment } from "./segment.ts";
import { allocationProblem, type CompiledSplit, compileSplit } from "./split.ts";
import { attributeNamed } from "./subject.ts";

/** A JSON value, as a variant carries it. */
export type Json = RulesetFlag["variants"][keyof RulesetFlag["variants"]]["value"];

export interface CompiledVariant {
  readonly key: string;
  readonly value: Json;
  readonly isOff: boolean;
  /** What `isEnabled` answers when it is served (EV-9). */
  readonly truth: boolean;
}

/** Something in a ruleset that could not be compiled as it was meant (EV-75). Evaluation goes on, as EV-6, 33 and 55 say. */
export interface CompileIssue {
  readonly flag: string;
  /** The rule it concerns; absent if it concerns the whole flag. */
  readonly rule?: string;
  readonly message: string;
}

/** Why a flag was decided as it was. */
export interface Cause {
  readonly reason: Reason;
  readonly detail: string;
  readonly errorCode?: EvaluationErrorCode;
}

/** What serves once it is reached: a decision, or a split that makes one. */
export interface CompiledServe {
  readonly decision: Decision;
  /** Null exactly if `decision` is made. */
  readonly split: CompiledSplit | null;
}

export interface CompiledRule {
  readonly id: string;
  /** The conditions that can be judged. */
  readonly judged: readonly CompiledCondition[];
  /** All of them, in their order, for explanations. */
  readonly when: readonly CompiledCondition[];
  readonly serve: CompiledServe;
}

/** One entry, taken apart and checked. Knows nothing of other flags, so it lasts as long as its entry and its segments. */
export interface Program {
  readonly entry: RulesetFlag;
  readonly variants: readonly CompiledVariant[];
  readonly off: number;
  /** What is decided whoever asks, or {@link UNDECIDED}. */
  readonly fixed: Decision;
  readonly pins: ReadonlyMap<string, Decision> | null;
  readonly rules: readonly CompiledRule[];
  readonly fallthrough: CompiledServe;
  /** By the cause of a decision. */
  readonly causes: readonly Cause[];
  /** The segments that were looked up, found or not. */
  readonly segments: ReadonlyMap<string, CompiledSegment | undefined>;
  readonly issues: readonly CompileIssue[];
}

/** Compiles an entry, or says why it is of no use at all: there is no off variant to serve, or too much of everything. */
export function compileEntry(
  entry: RulesetFlag,
  segments: ReadonlyMap<string, CompiledSegment>,
): Program | { readonly unusable: CompileIssue } {
  const indexes = new Map(Object.keys(entry.variants).map((key, index) => [key, index]));
  const off = indexes.get(entry.offVariant);
  const causeCount = FIRST_RULE_CAUSE + entry.rules.length + entry.prerequisites.length;
  if (off === undefined) return unusable(entry, `The off variant ${entry.offVariant} is not defined.`);
  if (indexes.size > MAXIMUM_VARIANTS || causeCount > MAXIMUM_CAUSES) {
    return unusable(entry, "It has more variants, rules or prerequisites than can be told apart.");
  }
  const issues: CompileIssue[] = [];
  const contradiction = contradictionIn(entry, indexes);
  if (contradiction !== null) issues.push({ flag: entry.key, message: contradiction });

  const serves = (serve: RulesetServe, cause: number): CompiledServe =>
    contradiction === null ? compileServe(entry, indexes, off, serve, cause) : decided(pack(off, CAUSE.entry));
  const used = new Map<string, CompiledSegment | undefined>();
  const rules = entry.rules.map((rule, index) => {
    const when = rule.when.map((condition) => compileCondition(condition, segments, used));
    const problem = when.find((condition) => condition.problem !== null)?.problem;
    if (problem) issues.push({ flag: entry.key, rule: rule.id, message: problem.message });
    const judged = when.filter((condition) => condition.problem === null);
    return { id: rule.id, when, judged, serve: serves(rule.serve, FIRST_RULE_CAUSE + index) };
  });
  const pins = compilePins(entry, indexes);
  const fallthrough = serves(entry.fallthrough, CAUSE.fallthrough);
  if (entry.bucketing !== BUCKETING_ALGORITHM && [...entry.rules, { serve: entry.fallthrough }].some(splits)) {
    issues.push({
      flag: entry.key,
      message: `It is bucketed by algorithm ${entry.bucketing}, which this release does not know.`,
    });
  }
  return {
    entry,
    variants: Object.entries(entry.variants).map(([key, { value }]) => variantOf(entry, key, value)),
    off,
    fixed: fixedDecision(entry, off, contradiction !== null, pins, fallthrough),
    pins,
    rules,
    fallthrough,
    causes: causesOf(entry, pins !== null || rules.length > 0),
    segments: used.size === 0 ? NO_SEGMENTS : used,
    issues,
  };
}

function unusable(entry: RulesetFlag, message: string): { readonly unusable: CompileIssue } {
  return { unusable: { flag: entry.key, message } };
}

function variantOf(entry: RulesetFlag, key: string, value: Json): CompiledVariant {
  const isOff = key === entry.offVariant;
  return { key, value, isOff, truth: entry.type === "boolean" ? value === true : !isOff };
}

function contradictionIn(entry: RulesetFlag, indexes: ReadonlyMap<string, number>): string | null {
  const served = Object.keys(entry.pins);
  for (const serve of [entry.fallthrough, ...entry.rules.map((rule) => rule.serve)]) {
    if ("variant" in serve) {
      served.push(serve.variant);
      continue;
    }
    const problem = allocationProblem(serve.allocation);
    if (problem !== null) return problem;
    served.push(...serve.allocation.map(([variant]) => variant));
  }
  const unknown = served.find((variant) => !indexes.has(variant));
  return unknown === undefined ? null : `The variant ${unknown} is served but not defined.`;
}

function compileServe(
  entry: RulesetFlag,
  indexes: ReadonlyMap<string, number>,
  off: number,
  serve: RulesetServe,
  cause: number,
): CompiledServe {
  const decisionOf = (variant: string) => pack(indexes.get(variant) ?? off, cause);
  if ("variant" in serve) return decided(decisionOf(serve.variant));
  if (entry.bucketing !== BUCKETING_ALGORITHM) return decided(pack(off, CAUSE.bucketing));
  const split = compileSplit({
    bucketBy: entry.bucketBy.map(attributeNamed),
    salt: entry.salt,
    ranges: serve.allocation.map(([variant, , to]) => ({ to, decision: decisionOf(variant) })),
    missing: pack(off, CAUSE.targetingKey),
  });
  return { decision: UNDECIDED, split };
}

function decided(decision: Decision): CompiledServe {
  return { decision, split: null };
}

function splits({ serve }: { readonly serve: RulesetServe }): boolean {
  return "allocation" in serve;
}

function compileCondition(
  condition: RulesetFlag["rules"][number]["when"][number],
  segments: ReadonlyMap<string, CompiledSegment>,
  used: Map<string, CompiledSegment | undefined>,
): CompiledCondition {
  if (!("segment" in condition)) return compileAttributeCondition(condition);
  const segment = segments.get(condition.segment);
  used.set(condition.segment, segment);
  if (segment === undefined) {
    const message = `The segment ${condition.segment} does not exist.`;
    return { condition, matches: () => false, problem: { path: "/segment", message } };
  }
  return { condition, matches: segment.matches, problem: segment.problem };
}

function compilePins(entry: RulesetFlag, indexes: ReadonlyMap<string, number>): ReadonlyMap<string, Decision> | null {
  const pins = new Map<string, Decision>();
  for (const [variant, keys] of Object.entries(entry.pins)) {
    const index = indexes.get(variant);
    if (index === undefined) continue;
    for (const key of keys) if (!pins.has(key)) pins.set(key, pack(index, CAUSE.pin));
  }
  return pins.size === 0 ? null : pins;
}

function fixedDecision(
  entry: RulesetFlag,
  off: number,
  contradicts: boolean,
  pins: ReadonlyMap<string, Decision> | null,
  fallthrough: CompiledServe,
): Decision {
  if (entry.killed) return pack(off, CAUSE.killed);
  if (!entry.enabled) return pack(off, CAUSE.disabled);
  if (contradicts) return pack(off, CAUSE.entry);
  const looksAtNothing = entry.prerequisites.length === 0 && pins === null && entry.rules.length === 0;
  return looksAtNothing ? fallthrough.decision : UNDECIDED;
}

function causesOf(entry: RulesetFlag, hasTargeting: boolean): readonly Cause[] {
  const causes: Cause[] = [...COMMON_CAUSES];
  if (!splits({ serve: entry.fallthrough })) causes[CAUSE.fallthrough] = hasTargeting ? DEFAULT_VARIANT : ONLY_VARIANT;
  for (const rule of entry.rules) {
    causes.push({ reason: splits(rule) ? "SPLIT" : "TARGETING_MATCH", detail: `rule:${rule.id}` });
  }
  for (const prerequisite of entry.prerequisites) {
    causes.push({ reason: "DEFAULT", detail: `prerequisite:${prerequisite.flag}` });
  }
  return causes;
}

/** One set for all flags: there are thousands of them. */
const COMMON_CAUSES = commonCauses();

function commonCauses(): readonly Cause[] {
  const causes: Cause[] = [];
  causes[CAUSE.killed] = { reason: "DISABLED", detail: "killed" };
  causes[CAUSE.disabled] = { reason: "DISABLED", detail: "disabled" };
  causes[CAUSE.override] = { reason: "STATIC", detail: "override" };
  causes[CAUSE.pin] = { reason: "TARGETING_MATCH", detail: "pin" };
  causes[CAUSE.fallthrough] = { reason: "SPLIT", detail: "fallthrough" };
  causes[CAUSE.targetingKey] = { reason: "ERROR", detail: "targeting_key", errorCode: "TARGETING_KEY_MISSING" };
  causes[CAUSE.bucketing] = { reason: "ERROR", detail: "bucketing", errorCode: "GENERAL" };
  causes[CAUSE.context] = { reason: "ERROR", detail: "context", errorCode: "INVALID_CONTEXT" };
  causes[CAUSE.entry] = { reason: "ERROR", detail: "entry", errorCode: "PARSE_ERROR" };
  return causes;
}

/** A fallthrough that serves one variant: where pins or rules could have led elsewhere, and where nothing could. */
const DEFAULT_VARIANT: Cause = { reason: "DEFAULT", detail: "fallthrough" };
const ONLY_VARIANT: Cause = { reason: "STATIC", detail: "fallthrough" };

const NO_SEGMENTS: ReadonlyMap<string, CompiledSegment | undefined> = new Map();
