import type { GuardrailVerdict, HoldCause, RolloutPlan, Verdict } from "@bunting/contracts";
import { isGating } from "./guardrails.ts";
import { instantText } from "./instant.ts";
import type { NamedGuardrail, Sample, StageCounts } from "./judgement.ts";
import {
  type CountedGuardrail,
  isCounted,
  type Measurement,
  measure,
  type Setting,
  sampleCount,
} from "./measurement.ts";
import { type OutsideGuardrail, readSample } from "./outside.ts";
import type { StageStatistics } from "./statistics.ts";
import type { Tracker } from "./trackers.ts";
import { limitText, msText, oddsText, percentText, rateRatioText, significant } from "./words.ts";

/** What one guardrail says at one look, before it is weighed against the others. */
export interface GuardrailJudgement {
  readonly named: NamedGuardrail;
  /** Its failure or its silence concerns the rollout: required, and more than an alert. */
  readonly gating: boolean;
  readonly verdict: Verdict;
  readonly cause: HoldCause | null;
  /** Which limit a `fail` rests on. */
  readonly refutes: "absolute" | "value" | "relative" | null;
  /** A pass was proven; otherwise it only saw no harm for as long as the plan gives. */
  readonly proven: boolean;
  readonly failingSince: number | null;
  readonly said: Omit<GuardrailVerdict, "verdict" | "cause" | "explanation">;
  readonly explanation: string;
}

/** The look that all guardrails share. */
export interface Look {
  readonly plan: RolloutPlan;
  readonly stage: StageStatistics;
  readonly stageStartedAt: number;
  readonly now: number;
  readonly watchedSince: number;
  readonly samples: ReadonlyMap<string, Sample>;
  readonly failingSince: ReadonlyMap<string, number>;
  /** Log of the merged e-value of harm. */
  readonly mergedLogEvidence: number;
  /** Share of a guardrail in the merged e-value; null: it spends nothing of that budget. */
  readonly weightOf: (id: string) => number | null;
}

/** Evidence of three to one is no proof of harm, and too much to promote on. */
export const SUSPECT_LOG_EVIDENCE: number = Math.log(3);

/** Values are of at least this long, unless the plan decides by thresholds: then of one analysis interval. */
const VALUE_SECONDS = 300;

/** "Without a break": a limit that is not exceeded any more must show within this long. */
const RECENT_SECONDS = 60;

export function judgeGuardrail(named: NamedGuardrail, tracker: Tracker | undefined, look: Look): GuardrailJudgement {
  const { guardrail } = named;
  return isCounted(guardrail) && tracker !== undefined
    ? judgeCounts(named, guardrail, tracker, look)
    : judgeOutside(named, guardrail as OutsideGuardrail, look);
}

/** Whether its evidence of harm is merged with that of others: it leads back, and at once. */
export function isMerged(named: NamedGuardrail): boolean {
  const { onFail, forSeconds } = named.guardrail;
  return isGating(named) && (onFail === "rollback" || onFail === "kill") && forSeconds === 0;
}

// --- limits on counts

function judgeCounts(
  named: NamedGuardrail,
  guardrail: CountedGuardrail,
  tracker: Tracker,
  look: Look,
): GuardrailJudgement {
  const { plan, stage } = look;
  const { hasControl } = stage.terms;
  const intervals = windowOf(guardrail, look);
  const values = measure(guardrail, intervals, settingOf(tracker, look));
  const harm = tracker.relativeLogEvidence();
  const proof = hasControl ? tracker.nonInferiorityLogEvidence(stage.terms) : null;
  const judged = {
    named,
    look,
    canary: values.canary,
    control: values.control,
    rateRatio: ratioOf(guardrail, tracker, values, look),
    logEvidence: harm,
    logNonInferiority: proof,
  };
  const figures = figuresText(guardrail, values);
  const lacking = lack(guardrail, look, intervals);
  const failure = failureOf(named, guardrail, tracker, look, { ...values, lacking });
  if (failure.refutes !== null && failure.refutes !== "environment") {
    return failing(judged, failure.refutes, `${figures}; ${failure.because}`);
  }
  const hold = (cause: HoldCause, because: string): GuardrailJudgement =>
    holding(judged, cause, `${figures}; ${because}`);
  if (lacking !== null) return hold("insufficient_data", lacking);
  if (values.canary === null || (hasControl && values.control === null && needsControl(guardrail))) {
    return hold("no_data", "nothing to measure");
  }
  if (failure.refutes === "environment") return hold("environment", failure.because);
  const pass = (proven: boolean, because: string): GuardrailJudgement => ({
    ...base(judged),
    verdict: "pass",
    cause: null,
    proven,
    explanation: `${figures}; ${because}`,
  });
  if (plan.decideBy === "threshold") return pass(true, "within its limits");
  if (!isMerged(named) && harm !== null && harm >= SUSPECT_LOG_EVIDENCE) {
    return hold("suspect", `evidence of harm is ${oddsText(harm)}`);
  }
  if (values.beyondLimit || values.beyondControl)
    return hold("inconclusive", "beyond its limit as measured, not proven");
  if (proof === null) return pass(true, hasControl ? "within its limits" : "no control at 100 %: within its limits");
  if (proof >= Math.log(1 / plan.falsePromotionBudget)) return pass(true, "proven to be no worse than its margin");
  if (elapsed(look) && look.mergedLogEvidence <= 0 && tracker.withinMargin()) {
    return pass(false, `not proven, and no sign of harm in ${plan.maxStageSeconds} s`);
  }
  return hold("inconclusive", "not proven yet");
}

interface CountsFailure {
  readonly refutes: "absolute" | "value" | "relative" | "environment" | null;
  readonly because: string;
}

function failureOf(
  named: NamedGuardrail,
  guardrail: CountedGuardrail,
  tracker: Tracker,
  look: Look,
  values: Measurement & { readonly lacking: string | null },
): CountsFailure {
  const { plan, stage } = look;
  const { hasControl } = stage.terms;
  const bar = Math.log(1 / plan.falseAlarmBudget);
  const byThreshold = plan.decideBy === "threshold";
  // Too few are no failure, whatever their rate; evidence asks for no number, it counts.
  if (byThreshold && values.lacking === null && (values.beyondLimit || values.beyondControl)) {
    return { refutes: "value", because: "beyond its limit" };
  }
  const absolute = byThreshold ? null : tracker.absoluteLogEvidence();
  if (absolute !== null && absolute.breach >= bar) {
    const seconds = guardrail.forSeconds > 0 ? RECENT_SECONDS : VALUE_SECONDS;
    const recent = measureRecent(guardrail, tracker, look, seconds).beyondLimit;
    if (!hasControl || absolute.attribution >= SUSPECT_LOG_EVIDENCE) {
      if (guardrail.forSeconds === 0 || recent) {
        return { refutes: "absolute", because: `beyond its limit, ${oddsText(absolute.breach)}` };
      }
    } else if (recent) {
      return { refutes: "environment", because: "beyond its limit, and the control is no better: not this change" };
    }
  }
  const harm = tracker.relativeLogEvidence();
  const byEvidence = !byThreshold || ("worseThanControl" in guardrail && guardrail.worseThanControl === true);
  if (harm === null || !byEvidence || (isMerged(named) && !byThreshold)) return NO_FAILURE;
  // One that waits is judged alone, by its share of the common budget.
  const own = harm + Math.log(look.weightOf(named.id) ?? 1);
  if (own < bar) return NO_FAILURE;
  if (guardrail.forSeconds > 0 && !stillWorse(guardrail, tracker, look)) return NO_FAILURE;
  return { refutes: "relative", because: `worse than the control, ${oddsText(harm)}` };
}

const NO_FAILURE: CountsFailure = { refutes: null, because: "" };

/** As measured within the last seconds, however few those had. */
function measureRecent(guardrail: CountedGuardrail, tracker: Tracker, look: Look, seconds: number): Measurement {
  const intervals = look.stage.window(seconds, () => true);
  return measure(guardrail, intervals, settingOf(tracker, look));
}

function settingOf({ hasEvents }: Tracker, { stage }: Look): Setting {
  return { hasControl: stage.terms.hasControl, hasEvents };
}

function stillWorse(guardrail: CountedGuardrail, tracker: Tracker, look: Look): boolean {
  const recent = measureRecent(guardrail, tracker, look, RECENT_SECONDS);
  if (recent.beyondControl) return true;
  const { canary, control } = recent;
  return "worseThanControl" in guardrail && canary !== null && control !== null && canary > control;
}

/** The latest values of the stage, as far back as it takes to have enough samples of each arm. */
function windowOf(guardrail: CountedGuardrail, { plan, stage }: Look): ReturnType<StageStatistics["window"]> {
  const seconds = plan.decideBy === "threshold" ? plan.analysisIntervalSeconds : VALUE_SECONDS;
  return stage.window(seconds, (intervals) => {
    const canary = sampleCount(
      guardrail,
      intervals.map((interval) => interval.canary),
    );
    const control = sampleCount(
      guardrail,
      intervals.map((interval) => interval.control),
    );
    return canary >= plan.minSamples && (!stage.terms.hasControl || control >= plan.minSamples);
  });
}

/**
 * What is missing for the plan's `minSamples`, in words; null: nothing. Evidence of the whole stage counts, a value as measured
 * is one of its window.
 */
function lack(
  guardrail: CountedGuardrail,
  { plan, stage }: Look,
  window: ReturnType<StageStatistics["window"]>,
): string | null {
  const unit = "kind" in guardrail ? "units" : "outcomes";
  const ofStage = ({ unitCount, outcomeCount }: StageCounts): number =>
    "kind" in guardrail ? unitCount : outcomeCount;
  const short = (stage.terms.hasControl ? (["canary", "control"] as const) : (["canary"] as const)).flatMap((arm) => {
    const whole = ofStage(stage.counts[arm]);
    const measured = sampleCount(
      guardrail,
      window.map((interval) => interval[arm]),
    );
    const count = plan.decideBy === "threshold" ? measured : whole;
    if (count >= plan.minSamples) return [];
    return `${arm} has ${count} of ${plan.minSamples} ${unit}${count < whole ? " within an hour" : ""}`;
  });
  return short.length === 0 ? null : short.join(", ");
}

/** Relative limits say nothing without a control's value. */
function needsControl(guardrail: CountedGuardrail): boolean {
  if ("kind" in guardrail) return guardrail.minPercentOfControl !== undefined;
  return guardrail.metric === "error_rate"
    ? guardrail.worseThanControl === true
    : guardrail.maxIncreasePercent !== undefined;
}

function elapsed({ plan, now, stageStartedAt, watchedSince }: Look): boolean {
  return plan.maxStageSeconds !== null && now - Math.max(stageStartedAt, watchedSince) >= plan.maxStageSeconds * 1000;
}

function ratioOf(
  guardrail: CountedGuardrail,
  tracker: Tracker,
  { canary, control }: Measurement,
  { plan }: Look,
): GuardrailVerdict["rateRatio"] {
  if ("kind" in guardrail || guardrail.metric === "error_rate") return tracker.rateRatio(plan.falseAlarmBudget);
  return canary === null || control === null ? null : { low: null, estimate: rounded(canary / control), high: null };
}

function figuresText(guardrail: CountedGuardrail, { canary, control }: Measurement): string {
  const text = "kind" in guardrail || guardrail.metric === "error_rate" ? percentText : msText;
  const arms = [
    canary === null ? "canary not measured" : `canary ${text(canary)}`,
    ...(control === null ? [] : [`control ${text(control)}`]),
    ...(canary === null || control === null || control === 0 ? [] : [rateRatioText(canary / control)]),
  ];
  return arms.join(", ");
}

// --- values from outside

function judgeOutside(named: NamedGuardrail, guardrail: OutsideGuardrail, look: Look): GuardrailJudgement {
  const { now, stageStartedAt, plan } = look;
  const { analysisIntervalSeconds } = plan;
  const reading = readSample(guardrail, look.samples.get(named.id), { now, stageStartedAt, analysisIntervalSeconds });
  const judged = {
    named,
    look,
    canary: reading.value,
    control: null,
    rateRatio: null,
    logEvidence: null,
    logNonInferiority: null,
  };
  if (reading.value === null) return holding(judged, reading.cause, reading.because);
  if (reading.failing) return failing(judged, "value", `${significant(reading.value)} is beyond its limit`);
  return {
    ...base(judged),
    verdict: "pass",
    cause: null,
    proven: true,
    explanation: `${significant(reading.value)} is within its limits`,
  };
}

// --- verdicts

interface Judged {
  readonly named: NamedGuardrail;
  readonly look: Look;
  readonly canary: number | null;
  readonly control: number | null;
  readonly rateRatio: GuardrailVerdict["rateRatio"];
  readonly logEvidence: number | null;
  readonly logNonInferiority: number | null;
}

/** It counts once it has failed for `forSeconds` without a break; until then it is a reason not to promote. */
function failing(judged: Judged, refutes: "absolute" | "value" | "relative", because: string): GuardrailJudgement {
  const { named, look } = judged;
  const since = Math.min(look.now, look.failingSince.get(named.id) ?? look.now);
  const { forSeconds } = named.guardrail;
  const failed = look.now - since >= forSeconds * 1000;
  const remaining = significant(forSeconds - (look.now - since) / 1000);
  return {
    ...base(judged, since),
    verdict: failed ? "fail" : "hold",
    cause: failed ? null : "suspect",
    refutes,
    explanation: failed ? because : `${because}; counts if it lasts another ${remaining} s`,
  };
}

function holding(judged: Judged, cause: HoldCause, explanation: string): GuardrailJudgement {
  return { ...base(judged), verdict: "hold", cause, explanation };
}

function base(
  { named, canary, control, rateRatio, logEvidence, logNonInferiority }: Judged,
  failingSince: number | null = null,
): Omit<GuardrailJudgement, "verdict" | "cause" | "explanation"> {
  const { id, guardrail } = named;
  return {
    named,
    gating: isGating(named),
    refutes: null,
    proven: false,
    failingSince,
    said: {
      id,
      limit: limitText(guardrail),
      required: guardrail.required,
      onFail: guardrail.onFail,
      canary: roundedOrNull(canary),
      control: roundedOrNull(control),
      rateRatio,
      logEvidence: roundedOrNull(logEvidence),
      logNonInferiority: roundedOrNull(logNonInferiority),
      failingSince: failingSince === null ? null : instantText(failingSince),
    },
  };
}

const roundedOrNull = (value: number | null): number | null => (value === null ? null : rounded(value));

/** Nine significant digits: the last ones of logarithms differ between JavaScript engines. */
export function rounded(value: number): number {
  return value === 0 ? 0 : Number(value.toPrecision(9));
}
