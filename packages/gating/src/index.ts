/**
 * How a rollout is judged and decided, as docs/spec/gating.md specifies it. Pure: time is an argument, and there is no
 * randomness, input or output.
 */
export { type RatioInterval, RatioSequence } from "./confidence-sequence.ts";
export { addGroups, dispersion } from "./dispersion.ts";
export {
  type ArmEvidence,
  type ArmGroups,
  armFromCells,
  type EvidenceInterval,
  GROUP_COUNT,
  type GroupSums,
  type MetricCounts,
  mergeArms,
} from "./evidence.ts";
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
export {
  binIndex,
  binLatencyMs,
  effectiveIncreaseRate,
  HIGHEST_BIN,
  LOWEST_BIN,
  quantileBin,
  shiftBinCount,
} from "./sketch.ts";
export { AttemptStatistics } from "./statistics.ts";
export { nextOpening } from "./windows.ts";
export { limitText } from "./words.ts";
