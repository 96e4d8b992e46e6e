import { LIMITS } from "@bunting/contracts/literals";
import { RE2JS } from "re2js";
import { badValue, type Test, type TestOf } from "./test.ts";

const REMEDY = `Give a regular expression in RE2's syntax (no look-around, no back-references) of at most ${LIMITS.patternCharacters} characters.`;
const TOO_LARGE = `The patterns of this condition compile to more than ${LIMITS.patternInstructions} instructions. Give fewer, or smaller counts in {}; for lists of plain texts there are in, starts_with and contains.`;

/**
 * EV-29. RE2 runs in time linear in the text; a backtracking engine needs seconds for `^(a+)+$` on thirty characters, and
 * whoever sends the attribute chooses that text. Linear is not yet short: a step goes through the whole program, and `x{900}`
 * is one of 900 instructions, so their number has a limit too.
 */
export const matches: TestOf = (values) => {
  if (values.length === 0) return { path: "/values", message: `Takes at least one value. ${REMEDY}` };
  const patterns: RE2JS[] = [];
  let instructions = 0;
  for (const [index, value] of values.entries()) {
    if (typeof value !== "string" || value.length > LIMITS.patternCharacters) return badValue(index, value, REMEDY);
    try {
      const pattern = RE2JS.compile(value);
      instructions += pattern.programSize();
      patterns.push(pattern);
    } catch (error) {
      return badValue(index, value, `${error instanceof Error ? error.message : "it does not parse"}. ${REMEDY}`);
    }
    if (instructions > LIMITS.patternInstructions) return badValue(index, value, TOO_LARGE);
  }
  const test: Test = (attribute) =>
    typeof attribute === "string" &&
    attribute.length <= LIMITS.matchedValueCharacters &&
    patterns.some((pattern) => pattern.test(attribute));
  return test;
};
