/**
 * How a rollout is judged and decided, as docs/spec/gating.md specifies it. Pure: time is an argument, and there is no
 * randomness, input or output.
 */
export { type ApprovalStatus, approvalStatus, maySign } from "./approval.ts";
export { canonicalJson } from "./canonical-json.ts";
export {
  type CommandInputs,
  type CommandRuling,
  decideCommand,
  isPass,
  type LatestDecision,
  type Person,
} from "./command.ts";
export { type RatioInterval, RatioSequence } from "./confidence-sequence.ts";
export { ControlHistory } from "./control-history.ts";
export { type DecisionInputs, decide, intervalsOf, judgementInputs, type PreviousDecision } from "./decide.ts";
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
export { isUrgent, judgeGuardrails, judgeStatistics } from "./judge.ts";
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
export { decideInPages, isKept, type KeptInputs, restoreInputs } from "./kept-inputs.ts";
export { LatencyComparison } from "./latency-comparison.ts";
export { COMMANDS_OF, type Effect, type Event, isLive, type State, type Transition, transition } from "./machine.ts";
export { nextStepOf } from "./next-step.ts";
export { defaultPlan, nextPercent, percentOfStage, planProblems, startProblems } from "./plan.ts";
export type { Refusal, RolloutErrorCode } from "./refusal.ts";
export { RelativeTest } from "./relative-test.ts";
export { type Difference, type Replay, replay } from "./replay.ts";
export { applyTransition, approvalOf, type FlagFacts, flagStatus, pendingRollout, stateOf } from "./rollout.ts";
export type { DecisionDraft, Ruling } from "./ruling.ts";
export { type ScopedConfiguration, serveOfScope, withServeOfScope } from "./scope.ts";
export {
  binIndex,
  binLatencyMs,
  effectiveIncreaseRate,
  HIGHEST_BIN,
  LOWEST_BIN,
  quantileBin,
  type Sketch,
  shiftBinCount,
} from "./sketch.ts";
export { splitAtPercent, splitOf } from "./split.ts";
export { AttemptStatistics } from "./statistics.ts";
export { isAfter, type Place, StatisticsTrail } from "./statistics-trail.ts";
export { isComplete, WATERMARK_MS } from "./watermark.ts";
export {
  type History,
  type HistoryCell,
  type HistoryRecord,
  type Unknown,
  type WhatIf,
  type WhatIfEntry,
  whatIf,
  whatIfInSteps,
} from "./what-if.ts";
export { isEvidenceWhole, toHistoryCell } from "./what-if-history.ts";
export { type Calendar, isOpen, nextOpening, type Opening, type OpeningTime, openingOf } from "./windows.ts";
export { limitText } from "./words.ts";
