import type { Hasher } from "./bucket.ts";
import {
  causeOf,
  type Decision,
  FIRST_RULE_CAUSE,
  pack,
  UNDECIDED,
  variantIndexOf,
  withUnsupported,
} from "./decision.ts";
import type { CompiledRule, CompiledServe, Program } from "./program.ts";
import { decideSplit } from "./split.ts";
import { type Subject, targetingKey } from "./subject.ts";

/** What deciding a flag needs. */
export interface Judged {
  readonly program: Program;
  readonly prerequisites: readonly LinkedPrerequisite[];
  readonly hasher: Hasher;
}

export interface LinkedPrerequisite {
  /** Null if nobody needs to be asked. */
  readonly flag: Judged | null;
  /** What is true where nobody is asked: no such flag, a cycle, a chain that is too long, or a flag that is forced here. */
  readonly isAlwaysMet: boolean;
  /** By the flag's variant index: whether serving it meets the prerequisite. */
  readonly accepts: readonly boolean[];
  /** Whether the flag has prerequisites itself, so that its decision may be asked for on several paths. */
  readonly isShared: boolean;
}

/** The decisions of one evaluation, so that a flag is decided once however many paths lead to it (EV-43). */
export type Memo = Map<Judged, Decision>;

/** Decides a flag in the order of EV-1. Throws only what the subject's own getters and proxies throw. */
export function judge(flag: Judged, subject: Subject, memo: Memo | null): Decision {
  const { program } = flag;
  if (program.fixed !== UNDECIDED) return program.fixed;
  if (flag.prerequisites.length > 0) {
    const unmet = firstUnmet(flag, subject, memo);
    if (unmet >= 0) return prerequisiteDecision(program, unmet);
  }
  if (program.pins !== null) {
    const pinned = pinnedDecision(program.pins, subject);
    if (pinned !== undefined) return pinned;
  }
  return judgeRules(flag, subject);
}

export function pinnedDecision(pins: ReadonlyMap<string, Decision>, subject: Subject): Decision | undefined {
  const key = targetingKey(subject);
  return key === undefined ? undefined : pins.get(key);
}

export function prerequisiteDecision(program: Program, index: number): Decision {
  return pack(program.off, FIRST_RULE_CAUSE + program.rules.length + index);
}

function serveDecision(serve: CompiledServe, subject: Subject, hasher: Hasher): Decision {
  return serve.split === null ? serve.decision : decideSplit(serve.split, subject, hasher);
}

/** Met, EV-40: decided without error, for one of the variants. */
export function isMet(prerequisite: LinkedPrerequisite, subject: Subject, memo: Memo | null): boolean {
  const { flag } = prerequisite;
  if (flag === null) return prerequisite.isAlwaysMet;
  const decision = prerequisite.isShared ? remembered(flag, subject, memo ?? new Map()) : judge(flag, subject, memo);
  const cause = flag.program.causes[causeOf(decision)];
  return cause?.errorCode === undefined && prerequisite.accepts[variantIndexOf(decision)] === true;
}

function judgeRules({ program, hasher }: Judged, subject: Subject): Decision {
  const { rules } = program;
  let unsupported = -1;
  for (let index = 0; index < rules.length; index += 1) {
    const rule = rules[index] as CompiledRule;
    if (!holds(rule, subject)) continue;
    if (rule.judged.length === rule.when.length) {
      return noting(unsupported, serveDecision(rule.serve, subject, hasher));
    }
    if (unsupported < 0) unsupported = index;
  }
  return noting(unsupported, serveDecision(program.fallthrough, subject, hasher));
}

function holds({ judged }: CompiledRule, subject: Subject): boolean {
  for (let index = 0; index < judged.length; index += 1) {
    if (!judged[index]?.matches(subject)) return false;
  }
  return true;
}

function noting(unsupported: number, decision: Decision): Decision {
  return unsupported < 0 ? decision : withUnsupported(decision, unsupported);
}

function firstUnmet({ prerequisites }: Judged, subject: Subject, memo: Memo | null): number {
  let shared = memo;
  for (let index = 0; index < prerequisites.length; index += 1) {
    const prerequisite = prerequisites[index] as LinkedPrerequisite;
    if (shared === null && prerequisite.isShared) shared = new Map();
    if (!isMet(prerequisite, subject, shared)) return index;
  }
  return -1;
}

function remembered(flag: Judged, subject: Subject, memo: Memo): Decision {
  const known = memo.get(flag);
  if (known !== undefined) return known;
  const decision = judge(flag, subject, memo);
  memo.set(flag, decision);
  return decision;
}
