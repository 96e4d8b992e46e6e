/**
 * One flag decided: the variant's index, the cause, and the first rule that could not be judged, packed into one small
 * integer, so that deciding allocates nothing and a decision can index a counter. Only meaningful to the flag it came from.
 */
export type Decision = number;

/** No decision yet. Never leaves the engine. */
export const UNDECIDED = -1;

const VARIANT_BITS = 8;
const CAUSE_BITS = 10;
const UNSUPPORTED_SHIFT = VARIANT_BITS + CAUSE_BITS;

/** More variants, or more causes, cannot be told apart. Far above what a server accepts. */
export const MAXIMUM_VARIANTS: number = 2 ** VARIANT_BITS;
export const MAXIMUM_CAUSES: number = 2 ** CAUSE_BITS - 1;

/** Causes that every flag knows. A flag's rules follow from {@link FIRST_RULE_CAUSE}, its prerequisites after them. */
export const CAUSE = {
  killed: 0,
  disabled: 1,
  override: 2,
  pin: 3,
  fallthrough: 4,
  targetingKey: 5,
  bucketing: 6,
  context: 7,
  entry: 8,
} as const;
export const FIRST_RULE_CAUSE = 9;

export function pack(variant: number, cause: number): Decision {
  return (cause << VARIANT_BITS) | variant;
}

/** The same decision, remembering that the rule at this index could not be judged. */
export function withUnsupported(decision: Decision, ruleIndex: number): Decision {
  return decision | ((ruleIndex + 1) << UNSUPPORTED_SHIFT);
}

/** Index into the flag's `variants`. */
export function variantIndexOf(decision: Decision): number {
  return decision & (MAXIMUM_VARIANTS - 1);
}

export function causeOf(decision: Decision): number {
  return (decision >> VARIANT_BITS) & (2 ** CAUSE_BITS - 1);
}

/** Index of the first rule that could not be judged, or -1. */
export function unsupportedRuleOf(decision: Decision): number {
  return (decision >> UNSUPPORTED_SHIFT) - 1;
}
