import type { Scalar } from "../subject.ts";

/** Judges one scalar: an attribute, or an element of a list. Never throws. */
export type Test = (value: Scalar) => boolean;

/** Why a condition cannot be judged, in words for whoever wrote it. `path` is a JSON pointer into the condition. */
export interface ConditionProblem {
  readonly path: string;
  readonly message: string;
}

/** Makes a test of a condition's values, or says which of them is bad and what would be good. */
export type TestOf = (values: readonly Scalar[]) => Test | ConditionProblem;

export function isProblem(made: Test | ConditionProblem): made is ConditionProblem {
  return typeof made !== "function";
}

export function badValue(index: number, value: Scalar, remedy: string): ConditionProblem {
  const text = JSON.stringify(value);
  const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  return { path: `/values/${index}`, message: `Cannot compare with ${shown}: ${remedy}` };
}

const SHOWN_CHARACTERS = 100;

/** A family whose operators compare with exactly one value, read once: `parse` gives undefined for one it cannot use. */
export function compareWithOne<Parsed>(
  parse: (value: Scalar) => Parsed | undefined,
  remedy: string,
  holds: (attribute: Parsed, value: Parsed) => boolean,
): TestOf {
  return (values) => {
    const [value] = values;
    if (value === undefined || values.length > 1) {
      return { path: "/values", message: `Takes exactly one value, not ${values.length}. ${remedy}` };
    }
    const expected = parse(value);
    if (expected === undefined) return badValue(0, value, remedy);
    return (attribute) => {
      const actual = parse(attribute);
      return actual !== undefined && holds(actual, expected);
    };
  };
}

/** A family whose operators hold if the attribute compares as asked with any of the values, each read once. */
export function compareWithAny<Prepared>(
  prepare: (value: Scalar) => Prepared | undefined,
  remedy: string,
  holds: (attribute: string, value: Prepared) => boolean,
): TestOf {
  return (values) => {
    if (values.length === 0) return { path: "/values", message: `Takes at least one value. ${remedy}` };
    const expected: Prepared[] = [];
    for (const [index, value] of values.entries()) {
      const prepared = prepare(value);
      if (prepared === undefined) return badValue(index, value, remedy);
      expected.push(prepared);
    }
    return (attribute) => {
      if (typeof attribute !== "string") return false;
      for (let index = 0; index < expected.length; index += 1) {
        if (holds(attribute, expected[index] as Prepared)) return true;
      }
      return false;
    };
  };
}
