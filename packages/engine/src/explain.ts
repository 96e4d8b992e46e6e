import type { ConditionTrace, TraceStep } from "@bunting/contracts";
import { bucketOf } from "./bucket.ts";
import { CAUSE, causeOf, type Decision, pack, UNDECIDED, variantIndexOf, withUnsupported } from "./decision.ts";
import { isMet, type Judged, type Memo, pinnedDecision, prerequisiteDecision } from "./evaluate.ts";
import { type CompiledCondition, describeCondition } from "./match/condition.ts";
import type { CompiledServe, Program } from "./program.ts";
import { decideBucket } from "./split.ts";
import { bucketingKey, type Subject, targetingKey } from "./subject.ts";

/** Decides as {@link judge} does, writing down each step. A test holds the two to the same decision for every subject. */
export function explain(flag: Judged, subject: Subject): { decision: Decision; trace: TraceStep[] } {
  const trace: TraceStep[] = [];
  try {
    return { decision: explainSteps(flag, subject, trace), trace };
  } catch {
    const decision = pack(flag.program.off, CAUSE.context);
    trace.push({ step: "error", name: "context", matched: true, variant: variantKey(flag.program, decision) });
    return { decision, trace };
  }
}

function explainSteps(flag: Judged, subject: Subject, trace: TraceStep[]): Decision {
  const { program } = flag;
  const { entry } = program;
  const decideBy = (decision: Decision, step: TraceStep): Decision => {
    trace.push({ ...step, matched: true, variant: variantKey(program, decision) });
    return decision;
  };
  if (entry.killed) return decideBy(program.fixed, { step: "killed", matched: true });
  if (!entry.enabled) return decideBy(program.fixed, { step: "disabled", matched: true });
  if (program.fixed !== UNDECIDED && causeOf(program.fixed) === CAUSE.entry) {
    return decideBy(program.fixed, { step: "error", name: "entry", matched: true });
  }

  const memo: Memo = new Map();
  for (const [index, prerequisite] of flag.prerequisites.entries()) {
    const step: TraceStep = { step: "prerequisite", name: entry.prerequisites[index]?.flag ?? "", matched: true };
    if (!isMet(prerequisite, subject, memo)) {
      const decision = prerequisiteDecision(program, index);
      trace.push({ ...step, matched: false, variant: variantKey(program, decision) });
      return decision;
    }
    trace.push(step);
  }

  if (program.pins !== null) {
    const pinned = pinnedDecision(program.pins, subject);
    const name = targetingKey(subject);
    if (pinned !== undefined && name !== undefined) return decideBy(pinned, { step: "pin", name, matched: true });
    trace.push({ step: "pin", matched: false });
  }

  let unsupported = -1;
  const noting = (decision: Decision) => (unsupported < 0 ? decision : withUnsupported(decision, unsupported));
  for (const [index, rule] of program.rules.entries()) {
    const conditions = explainConditions(rule.when, subject);
    const step: TraceStep = { step: "rule", name: rule.id, matched: false, conditions };
    if (conditions.every(({ matched }) => matched)) {
      return explainServe(flag, noting, rule.serve, subject, step, decideBy);
    }
    trace.push(step);
    const openOnly = conditions.every(({ matched, problem }) => matched || problem !== undefined);
    if (openOnly && unsupported < 0) unsupported = index;
  }
  return explainServe(flag, noting, program.fallthrough, subject, { step: "fallthrough", matched: true }, decideBy);
}

function explainServe(
  { hasher }: Judged,
  noting: (decision: Decision) => Decision,
  { decision, split }: CompiledServe,
  subject: Subject,
  step: TraceStep,
  decideBy: (decision: Decision, step: TraceStep) => Decision,
): Decision {
  if (split === null) return decideBy(noting(decision), step);
  const source = split.bucketBy.find((attribute) => bucketingKey(subject, [attribute]) !== undefined);
  const key = source && bucketingKey(subject, [source]);
  if (source === undefined || key === undefined) {
    return decideBy(noting(split.missing), step);
  }
  const bucket = bucketOf(hasher.hash(key), split.salt);
  return decideBy(noting(decideBucket(split, bucket)), { ...step, bucketBy: source.name, bucket });
}

/** Conditions as far as they were looked at: the first false one ends the rule, one that cannot be judged does not. */
function explainConditions(when: readonly CompiledCondition[], subject: Subject): ConditionTrace[] {
  const traces: ConditionTrace[] = [];
  for (const { condition, matches, problem } of when) {
    const text = describeCondition(condition);
    if (problem !== null) {
      traces.push({ condition: text, matched: false, problem: problem.message });
      continue;
    }
    const matched = matches(subject);
    traces.push({ condition: text, matched });
    if (!matched) break;
  }
  return traces;
}

function variantKey(program: Program, decision: Decision): string {
  return program.variants[variantIndexOf(decision)]?.key ?? "";
}
