/**
 * How a rollout is judged and decided, as docs/spec/gating.md specifies it. Pure: time is an argument, and there is no
 * randomness, input or output.
 */
export { type CommandInputs, decideCommand, type LatestDecision } from "./command.ts";
export { type RatioInterval, RatioSequence } from "./confidence-sequence.ts";
export { ControlHistory } from "./control-history.ts";
export { type DecisionInputs, decide, type PreviousDecision } from "./decide.ts";
export { addGroups, dispersion } from "./dispersion.ts";
export {
  type ArmEvidence,
  type ArmGroups,
  armFromCells,
  type EvidenceCounts,
  type EvidenceInterval,
  GROUP_COUNT,
  type GroupSums,
  type MetricCounts,
  mergeArms,
} from "./evidence.ts";
export { FEWER, HARM, NON_INFERIOR, NON_INFERIOR_FEWER, TAIL } from "./grid.ts";
export { guardrailsOfStage, namedGuardrails } from "./guardrails.ts";
export { isComplete, judgeGuardrails, judgeStatistics, WATERMARK_MS } from "./judge.ts";
export type {
  Breakers,
  Failure,
  Finding,
  Judgement,
  JudgementInputs,
  NamedGuardrail,
  Sample,
  SampleRatio,
  StageCounts,
} from "./judgement.ts";
export { LatencyComparison } from "./latency-comparison.ts";
export type { Effect, Transition } from "./machine.ts";
export { nextStepOf } from "./next-step.ts";
export { planProblems, startProblems } from "./plan.ts";
export type { Refusal } from "./refusal.ts";
export { RelativeTest } from "./relative-test.ts";
export type { FlagFacts } from "./rollout.ts";
export type { Ruling } from "./ruling.ts";
export { serveOfScope, withServeOfScope } from "./scope.ts";
export {
  binIndex,
  binLatencyMs,
  effectiveIncreaseRate,
  HIGHEST_BIN,
  LOWEST_BIN,
  quantileBin,
  shiftBinCount,
} from "./sketch.ts";
export { splitAtPercent, splitOf } from "./split.ts";
export { AttemptStatistics } from "./statistics.ts";
export { nextOpening } from "./windows.ts";
export { limitText } from "./words.ts";
