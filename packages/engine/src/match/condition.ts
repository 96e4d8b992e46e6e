import type { RulesetAttributeCondition, RulesetCondition } from "@bunting/contracts";
import { LIMITS, type OPERATORS } from "@bunting/contracts/literals";
import { attributeNamed, readAttribute, type Scalar, type Subject, scalarAt } from "../subject.ts";
import { equality } from "./equality.ts";
import { after, before } from "./instant.ts";
import { cidr } from "./network.ts";
import { greater, greaterOrEqual, less, lessOrEqual } from "./number.ts";
import { matches } from "./pattern.ts";
import { type ConditionProblem, isProblem, type Test, type TestOf } from "./test.ts";
import { contains, endsWith, startsWith } from "./text.ts";
import { semverEquals, semverGreater, semverLess } from "./version.ts";

/** Judges a subject. May throw what the subject's own getters throw. */
export type Matcher = (subject: Subject) => boolean;

/** One condition, ready to be judged, or the reason why it cannot be. */
export interface CompiledCondition {
  readonly condition: RulesetCondition;
  readonly matches: Matcher;
  readonly problem: ConditionProblem | null;
}

type Operator = (typeof OPERATORS)[number];

const TESTS: Readonly<Record<Exclude<Operator, "exists">, TestOf>> = {
  equals: equality,
  not_equals: equality,
  in: equality,
  not_in: equality,
  contains,
  starts_with: startsWith,
  ends_with: endsWith,
  greater,
  greater_or_equal: greaterOrEqual,
  less,
  less_or_equal: lessOrEqual,
  before,
  after,
  semver_equals: semverEquals,
  semver_greater: semverGreater,
  semver_less: semverLess,
  matches,
  cidr,
};

export function compileAttributeCondition(condition: RulesetAttributeCondition): CompiledCondition {
  const made = matcherOf(condition);
  return typeof made === "function"
    ? { condition, matches: made, problem: null }
    : { condition, matches: never, problem: made };
}

/** As people read it: `country in ["FR", "DE"]`. */
export function describeCondition(condition: RulesetCondition): string {
  if ("segment" in condition) return `segment ${condition.segment}`;
  const { attribute, op, values } = condition;
  const shown = values.slice(0, SHOWN_VALUES).map((value) => JSON.stringify(value));
  const more = values.length > SHOWN_VALUES ? `, … ${values.length - SHOWN_VALUES} more` : "";
  return `${attribute} ${op} [${shown.join(", ")}${more}]`;
}

/**
 * What is wrong with a condition that somebody is about to write, or null. A condition on a segment is never wrong by
 * itself: whether the segment exists is the caller's to know.
 */
export function validateCondition(condition: RulesetCondition): ConditionProblem | null {
  if ("segment" in condition) return null;
  if (attributeNamed(condition.attribute).steps === undefined) {
    const message = `${condition.attribute} is no JSON pointer: write ~0 for "~" and ~1 for "/", or leave out the leading slash.`;
    return { path: "/attribute", message };
  }
  const made = matcherOf(condition);
  return typeof made === "function" ? null : made;
}

function matcherOf({ attribute: name, op, values }: RulesetAttributeCondition): Matcher | ConditionProblem {
  const attribute = attributeNamed(name);
  if (op === "exists") {
    const [expected] = values;
    if (values.length !== 1 || typeof expected !== "boolean") {
      return { path: "/values", message: "exists takes exactly one value: true or false." };
    }
    return (subject) => (readAttribute(subject, attribute) !== undefined) === expected;
  }
  if (!isKnown(op)) {
    return {
      path: "/op",
      message: `${op} is no operator. Use one of: ${[...Object.keys(TESTS), "exists"].join(", ")}.`,
    };
  }
  const test = TESTS[op](values);
  if (isProblem(test)) return test;
  const negative = op === "not_equals" || op === "not_in";
  return (subject) => {
    const value = readAttribute(subject, attribute);
    return value !== undefined && some(value, test) !== negative;
  };
}

function some(value: Scalar | object, test: Test): boolean {
  if (typeof value !== "object") return test(value);
  if (!Array.isArray(value)) return false;
  // Bounded here too: a proxy may have answered with another length before.
  const length = Math.min(value.length, LIMITS.listElements);
  for (let index = 0; index < length; index += 1) {
    const element = scalarAt(value, index);
    if (element !== undefined && test(element)) return true;
  }
  return false;
}

function isKnown(op: string): op is keyof typeof TESTS {
  return Object.hasOwn(TESTS, op);
}

const SHOWN_VALUES = 5;

function never(): boolean {
  return false;
}
