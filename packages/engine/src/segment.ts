import type { RulesetSegment } from "@bunting/contracts";
import { compileAttributeCondition, type Matcher } from "./match/condition.ts";
import type { ConditionProblem } from "./match/test.ts";

/** A segment, ready to be judged (EV-34). */
export interface CompiledSegment {
  readonly entry: RulesetSegment;
  readonly matches: Matcher;
  /** That of its first condition which cannot be judged: then no rule can judge the segment either. */
  readonly problem: ConditionProblem | null;
}

export function compileSegment(entry: RulesetSegment): CompiledSegment {
  const conditions = entry.when.map(compileAttributeCondition);
  const problem = conditions.find((condition) => condition.problem !== null)?.problem ?? null;
  return {
    entry,
    matches: (subject) => conditions.every((condition) => condition.matches(subject)),
    problem: problem && { path: "/segment", message: `In segment ${entry.key}: ${problem.message}` },
  };
}
