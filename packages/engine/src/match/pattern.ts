import { LIMITS } from "@bunting/contracts/literals";
import { RE2JS } from "re2js";
import { badValue, type Test, type TestOf } from "./test.ts";

const REMEDY = `Give a regular expression in RE2's syntax (no look-around, no back-references) of at most ${LIMITS.patternCharacters} characters.`;

/**
 * EV-29. RE2 runs in time linear in the text; a backtracking engine needs seconds for `^(a+)+$` on thirty characters, and
 * whoever sends the attribute chooses that text.
 */
export const matches: TestOf = (values) => {
  if (values.length === 0) return { path: "/values", message: `Takes at least one value. ${REMEDY}` };
  const patterns: RE2JS[] = [];
  for (const [index, value] of values.entries()) {
    if (typeof value !== "string" || value.length > LIMITS.patternCharacters) return badValue(index, value, REMEDY);
    try {
      patterns.push(RE2JS.compile(value));
    } catch (error) {
      return badValue(index, value, `${error instanceof Error ? error.message : "it does not parse"}. ${REMEDY}`);
    }
  }
  const test: Test = (attribute) =>
    typeof attribute === "string" &&
    attribute.length <= LIMITS.matchedValueCharacters &&
    patterns.some((pattern) => pattern.test(attribute));
  return test;
};
