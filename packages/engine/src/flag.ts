import type { EvaluationErrorCode, FlagType, Reason, RulesetFlag, TraceStep } from "@bunting/contracts";
import type { Hasher } from "./bucket.ts";
import {
  CAUSE,
  causeOf,
  type Decision,
  FIRST_RULE_CAUSE,
  pack,
  UNDECIDED,
  unsupportedRuleOf,
  variantIndexOf,
} from "./decision.ts";
import { type Judged, judge } from "./evaluate.ts";
import { explain } from "./explain.ts";
import type { CompiledVariant, Json, Program } from "./program.ts";
import { type CompiledSplit, decideHash } from "./split.ts";
import { type Subject, shortKey } from "./subject.ts";

/** A decision in words. */
export interface Described {
  readonly variant: string;
  readonly value: Json;
  readonly reason: Reason;
  readonly detail: string;
  readonly errorCode?: EvaluationErrorCode;
}

/** One flag of one ruleset, ready to be decided. Immutable. */
export interface CompiledFlag {
  readonly key: string;
  readonly type: FlagType;
  readonly entry: RulesetFlag;
  readonly variants: readonly CompiledVariant[];
  /**
   * Never throws, and allocates nothing unless the flag's prerequisites have prerequisites of their own, a condition
   * parses an attribute (instants, versions, addresses, patterns), or the bucketing key is a number.
   */
  decide(subject: Subject): Decision;
  /** In words, a decision that this flag made. */
  describe(decision: Decision): Described;
  /** The decision of {@link decide}, and how it came about. */
  explain(subject: Subject): { readonly decision: Decision; readonly trace: TraceStep[] };
  /** What a kill serves that has overtaken the ruleset. */
  readonly killedDecision: Decision;
  /** What an override to this variant serves; undefined if there is no such variant. */
  decisionFor(variant: string): Decision | undefined;
  /** The cause of what the split of a rule (null: of the fallthrough) decides; -1 if that is no split. */
  splitCause(rule: string | null): number;
  /** Hash of the bucketing key, if the last thing that was decided with this ruleset was decided by a split. */
  readonly lastHash: number;
}

/** A program linked to its prerequisites. A class, so that all flags share one shape and one compiled `decide`. */
export class LinkedFlag implements CompiledFlag, Judged {
  readonly program: Program;
  readonly prerequisites: Judged["prerequisites"];
  readonly hasher: Hasher;
  readonly key: string;
  readonly type: FlagType;
  readonly entry: RulesetFlag;
  readonly variants: readonly CompiledVariant[];
  readonly killedDecision: Decision;
  private readonly fixed: Decision;
  private readonly invalidContext: Decision;
  /** The fallthrough's split, if nothing can come before it and it buckets by the targeting key, as with nearly every flag. */
  private readonly direct: CompiledSplit | null;

  constructor(program: Program, prerequisites: Judged["prerequisites"], hasher: Hasher) {
    this.program = program;
    this.prerequisites = prerequisites;
    this.hasher = hasher;
    this.key = program.entry.key;
    this.type = program.entry.type;
    this.entry = program.entry;
    this.variants = program.variants;
    this.killedDecision = pack(program.off, CAUSE.killed);
    this.fixed = program.fixed;
    this.invalidContext = pack(program.off, CAUSE.context);
    const isAlone = prerequisites.length === 0 && program.pins === null && program.rules.length === 0;
    const { split } = program.fallthrough;
    this.direct = this.fixed === UNDECIDED && isAlone && split?.isByKey === true ? split : null;
  }

  decide(subject: Subject): Decision {
    if (this.direct !== null) {
      const key = shortKey(subject);
      if (key !== undefined) return decideHash(this.direct, this.hasher.hash(key));
    }
    return this.fixed === UNDECIDED ? this.guarded(subject) : this.fixed;
  }

  /** Apart from {@link decide}: within a `try` the compiler keeps more alive, at a thirtieth of a whole evaluation. */
  private guarded(subject: Subject): Decision {
    try {
      return judge(this, subject, null);
    } catch {
      return this.invalidContext;
    }
  }

  describe(decision: Decision): Described {
    const { causes, rules } = this.program;
    const variant = this.variants[variantIndexOf(decision)];
    const cause = causes[causeOf(decision)];
    if (variant === undefined || cause === undefined)
      throw new RangeError(`${decision} is no decision of ${this.key}.`);
    const unsupported = rules[unsupportedRuleOf(decision)];
    const { key, value } = variant;
    const { reason, detail, errorCode } = cause;
    if (errorCode !== undefined) return { variant: key, value, reason, detail, errorCode };
    return { variant: key, value, reason, detail: unsupported ? `unsupported:${unsupported.id}` : detail };
  }

  explain(subject: Subject): { readonly decision: Decision; readonly trace: TraceStep[] } {
    return explain(this, subject);
  }

  decisionFor(variant: string): Decision | undefined {
    const index = this.variants.findIndex(({ key }) => key === variant);
    return index < 0 ? undefined : pack(index, CAUSE.override);
  }

  splitCause(rule: string | null): number {
    const { rules, fallthrough } = this.program;
    const index = rule === null ? -1 : rules.findIndex(({ id }) => id === rule);
    const serve = rule === null ? fallthrough : rules[index]?.serve;
    if (!serve?.split) return -1;
    return rule === null ? CAUSE.fallthrough : FIRST_RULE_CAUSE + index;
  }

  get lastHash(): number {
    return this.hasher.lastHash;
  }
}
