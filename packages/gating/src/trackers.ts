import type { Guardrail, RolloutPlan } from "@bunting/contracts";
import { AbsoluteTest } from "./absolute-test.ts";
import { type RatioInterval, RatioSequence } from "./confidence-sequence.ts";
import type { ControlHistory } from "./control-history.ts";
import type { ArmEvidence, EvidenceInterval, GroupSums } from "./evidence.ts";
import type { ArmCounts } from "./evidence-process.ts";
import { FEWER, HARM, NON_INFERIOR, NON_INFERIOR_FEWER } from "./grid.ts";
import { exceedances, LatencyComparison, type LatencyMetric, QUANTILES } from "./latency-comparison.ts";
import { type EventCounts, RelativeTest } from "./relative-test.ts";
import { binIndex, shiftBinCount } from "./sketch.ts";

/*
 * What is kept of an attempt for one guardrail: its running tests. Harm is counted over the whole attempt, non-inferiority
 * anew in each stage.
 */

/** Everything that a running guardrail can say. `null` where it has no such limit. */
export interface Tracker {
  /** The same so far; what is added to one is not added to the other. */
  copy(): Tracker;
  /** A place from which evidence of harm is also counted afresh. */
  checkpoint(): void;
  startStage(stage: StageTerms): void;
  /** @param inStage false for what an instance that missed the change of stage still reports of the one before */
  add(interval: EvidenceInterval, history: ControlHistory, inStage: boolean): void;
  /** Whether an event of either arm has been reported in this attempt. */
  readonly hasEvents: boolean;
  /** Log of the e-value that the canary is worse than the control. */
  relativeLogEvidence(): number | null;
  /** Log of the e-value that the canary is beyond its absolute limit, and that this is its own doing and not the environment's. */
  absoluteLogEvidence(): { readonly breach: number; readonly attribution: number } | null;
  /** Log of the e-value that the canary is no worse than its margin, in this stage. */
  nonInferiorityLogEvidence(stage: StageTerms): number | null;
  /** Event rate of the canary over the control's, for people; null for latencies, and if nothing has been compared. */
  rateRatio(errorBudget: number): RatioInterval | null;
  /** Whether the stage's rate ratio, as measured, is within the margin of non-inferiority. */
  withinMargin(): boolean;
}

/** What of a plan decides how a stage is proven. */
export interface StageTerms {
  readonly stage: number;
  /** 0-1. */
  readonly shareRate: number;
  /** At 100 % there is nobody to compare with. */
  readonly hasControl: boolean;
  /** How much worse than the control a canary may be without being a danger at the next stage's share. */
  readonly marginRateRatio: number;
}

export function stageTerms(plan: RolloutPlan, stage: number): StageTerms {
  const percent = plan.stages[stage]?.percent ?? 100;
  // The last stage leads nowhere: it proves itself.
  const nextPercent = plan.stages[stage + 1]?.percent ?? percent;
  return {
    stage,
    shareRate: percent / 100,
    hasControl: percent < 100,
    marginRateRatio: Math.min(10, Math.max(1.25, 1 + (100 * plan.harmBudgetRate) / nextPercent)),
  };
}

/** Two proofs of which either is enough share their budget. */
const EITHER = Math.LN2;

type ErrorLimits = Extract<Guardrail, { metric: "error_rate" }>;
type LatencyLimits = Extract<Guardrail, { metric: LatencyMetric }>;
type RatioLimits = Extract<Guardrail, { kind: "ratio" }>;

/** A tracker for guardrails that are judged by counts; null for values from outside. */
export function trackerOf(guardrail: Guardrail): Tracker | null {
  if ("source" in guardrail) return null;
  if ("kind" in guardrail) return guardrail.kind === "ratio" ? new RatioTracker(guardrail) : null;
  return guardrail.metric === "error_rate" ? new ErrorTracker(guardrail) : new LatencyTracker(guardrail);
}

class ErrorTracker implements Tracker {
  readonly #limits: ErrorLimits;
  readonly #worseThanControl: boolean;
  #harm = new RelativeTest({ grid: HARM, nullRateRatio: 1 });
  #limit: AbsoluteTest | null;
  readonly #max: number | undefined;
  #sequence = new RatioSequence();
  #nonInferior = new RelativeTest({ grid: NON_INFERIOR, nullRateRatio: 1 });
  #withinLimit: AbsoluteTest | null = null;

  constructor(limits: ErrorLimits) {
    const { max, worseThanControl } = limits;
    this.#limits = limits;
    this.#worseThanControl = worseThanControl ?? false;
    this.#max = max;
    this.#limit = max === undefined ? null : new AbsoluteTest(HARM, max);
  }

  copy(): ErrorTracker {
    const copy = new ErrorTracker(this.#limits);
    copy.#harm = this.#harm.copy();
    copy.#limit = this.#limit?.copy() ?? null;
    copy.#sequence = this.#sequence.copy();
    copy.#nonInferior = this.#nonInferior.copy();
    copy.#withinLimit = this.#withinLimit?.copy() ?? null;
    return copy;
  }

  checkpoint(): void {
    this.#harm.checkpoint();
    this.#limit?.checkpoint();
  }

  startStage({ marginRateRatio }: StageTerms): void {
    this.#nonInferior = new RelativeTest({ grid: NON_INFERIOR, nullRateRatio: marginRateRatio });
    this.#withinLimit = this.#max === undefined ? null : new AbsoluteTest(NON_INFERIOR, this.#max);
  }

  add({ canary, control }: EvidenceInterval, _: ControlHistory, inStage: boolean): void {
    const unitErrors = counted(canary, control, UNIT_ERRORS);
    this.#harm.add(unitErrors);
    this.#sequence.add(unitErrors);
    if (inStage) this.#nonInferior.add(unitErrors);
    if (this.#limit === null) return;
    const errors = counted(canary, control, ERRORS);
    this.#limit.add(errors);
    if (inStage) this.#withinLimit?.add(errors);
  }

  get hasEvents(): boolean {
    return hasEvents(this.#harm);
  }

  relativeLogEvidence(): number | null {
    return this.#worseThanControl ? this.#harm.logEvidence() : null;
  }

  absoluteLogEvidence(): { breach: number; attribution: number } | null {
    if (this.#limit === null) return null;
    return { breach: this.#limit.logEvidence(), attribution: this.#harm.attributionLogEvidence() };
  }

  nonInferiorityLogEvidence({ hasControl }: StageTerms): number | null {
    return eitherProof(
      this.#worseThanControl && hasControl ? this.#nonInferior.nonInferiorityLogEvidence() : null,
      this.#withinLimit?.nonInferiorityLogEvidence() ?? null,
    );
  }

  rateRatio(errorBudget: number): RatioInterval | null {
    return this.#sequence.interval(this.#harm.dispersion, errorBudget);
  }

  withinMargin(): boolean {
    if (!this.#worseThanControl) return true;
    const { canaryEventCount, canaryExposureCount, controlEventCount, controlExposureCount } = this.#nonInferior.counts;
    return (
      canaryEventCount * controlExposureCount <=
      this.#nonInferior.nullRateRatio * controlEventCount * canaryExposureCount
    );
  }
}

class LatencyTracker implements Tracker {
  readonly #limits: LatencyLimits;
  #comparison: LatencyComparison | null;
  readonly #max: { readonly bin: number; readonly rate: number } | null;
  #limit: AbsoluteTest | null;
  #attribution = new RelativeTest({ grid: HARM, nullRateRatio: 1 });
  #withinLimit: AbsoluteTest | null = null;

  constructor(limits: LatencyLimits) {
    const { metric, maxMs, maxIncreasePercent } = limits;
    this.#limits = limits;
    this.#comparison =
      maxIncreasePercent === undefined ? null : new LatencyComparison(metric, shiftBinCount(maxIncreasePercent / 100));
    this.#max = maxMs === undefined ? null : { bin: binIndex(maxMs), rate: 1 - QUANTILES[metric] };
    this.#limit = this.#max && new AbsoluteTest(HARM, this.#max.rate);
  }

  copy(): LatencyTracker {
    const copy = new LatencyTracker(this.#limits);
    copy.#comparison = this.#comparison?.copy() ?? null;
    copy.#limit = this.#limit?.copy() ?? null;
    copy.#attribution = this.#attribution.copy();
    copy.#withinLimit = this.#withinLimit?.copy() ?? null;
    return copy;
  }

  checkpoint(): void {
    this.#comparison?.checkpoint();
    this.#limit?.checkpoint();
    this.#attribution.checkpoint();
  }

  startStage(): void {
    this.#comparison?.startStage();
    this.#withinLimit = this.#max && new AbsoluteTest(NON_INFERIOR, this.#max.rate);
  }

  add({ canary, control }: EvidenceInterval, history: ControlHistory, inStage: boolean): void {
    this.#comparison?.add({ canary, control }, history, inStage);
    if (this.#max === null) return;
    const slow = exceedances(canary, control, { canary: this.#max.bin, control: this.#max.bin });
    this.#limit?.add(slow);
    if (inStage) this.#withinLimit?.add(slow);
    this.#attribution.add(slow);
  }

  /** A latency is one of each outcome. */
  get hasEvents(): boolean {
    return true;
  }

  relativeLogEvidence(): number | null {
    return this.#comparison?.logEvidence() ?? null;
  }

  absoluteLogEvidence(): { breach: number; attribution: number } | null {
    if (this.#limit === null) return null;
    return { breach: this.#limit.logEvidence(), attribution: this.#attribution.attributionLogEvidence() };
  }

  nonInferiorityLogEvidence({ hasControl }: StageTerms): number | null {
    return eitherProof(
      hasControl ? (this.#comparison?.nonInferiorityLogEvidence() ?? null) : null,
      this.#withinLimit?.nonInferiorityLogEvidence() ?? null,
    );
  }

  rateRatio(): null {
    return null;
  }

  /** A latency's margin is its limit, and that is looked at as a value. */
  withinMargin(): boolean {
    return true;
  }
}

class RatioTracker implements Tracker {
  readonly #metric: string;
  readonly #limits: RatioLimits;
  #fewer: RelativeTest | null;
  #tooFew: AbsoluteTest | null;
  #tooMany: AbsoluteTest | null;
  #attribution = {
    fewer: new RelativeTest({ grid: FEWER, nullRateRatio: 1 }),
    more: new RelativeTest({ grid: HARM, nullRateRatio: 1 }),
  };
  #sequence = new RatioSequence();
  #proofs: { relative: RelativeTest | null; min: AbsoluteTest | null; max: AbsoluteTest | null } = {
    relative: null,
    min: null,
    max: null,
  };

  constructor(guardrail: RatioLimits) {
    const { metric, min, max } = guardrail;
    this.#metric = metric;
    this.#limits = guardrail;
    const nullRateRatio = this.#nullRateRatio;
    this.#fewer = nullRateRatio === null ? null : new RelativeTest({ grid: FEWER, nullRateRatio });
    this.#tooFew = min === undefined ? null : new AbsoluteTest(FEWER, min);
    this.#tooMany = max === undefined ? null : new AbsoluteTest(HARM, max);
  }

  copy(): RatioTracker {
    const copy = new RatioTracker(this.#limits);
    const { fewer, more } = this.#attribution;
    const { relative, min, max } = this.#proofs;
    copy.#fewer = this.#fewer?.copy() ?? null;
    copy.#tooFew = this.#tooFew?.copy() ?? null;
    copy.#tooMany = this.#tooMany?.copy() ?? null;
    copy.#attribution = { fewer: fewer.copy(), more: more.copy() };
    copy.#sequence = this.#sequence.copy();
    copy.#proofs = { relative: relative?.copy() ?? null, min: min?.copy() ?? null, max: max?.copy() ?? null };
    return copy;
  }

  checkpoint(): void {
    const { fewer, more } = this.#attribution;
    for (const test of [this.#fewer, this.#tooFew, this.#tooMany, fewer, more]) test?.checkpoint();
  }

  startStage(): void {
    const { min, max } = this.#limits;
    const nullRateRatio = this.#nullRateRatio;
    this.#proofs = {
      relative: nullRateRatio === null ? null : new RelativeTest({ grid: NON_INFERIOR_FEWER, nullRateRatio }),
      min: min === undefined ? null : new AbsoluteTest(NON_INFERIOR_FEWER, min),
      max: max === undefined ? null : new AbsoluteTest(NON_INFERIOR, max),
    };
  }

  add({ canary, control }: EvidenceInterval, _: ControlHistory, inStage: boolean): void {
    const counts = counted(canary, control, unitEvents(this.#metric));
    const { fewer, more } = this.#attribution;
    for (const test of [this.#fewer, this.#tooFew, this.#tooMany, fewer, more]) test?.add(counts);
    if (inStage) for (const proof of Object.values(this.#proofs)) proof?.add(counts);
    this.#sequence.add(counts);
  }

  get hasEvents(): boolean {
    return hasEvents(this.#attribution.more);
  }

  relativeLogEvidence(): number | null {
    return this.#fewer?.logEvidence() ?? null;
  }

  /** Of the limit that is refuted more. */
  absoluteLogEvidence(): { breach: number; attribution: number } | null {
    const { fewer, more } = this.#attribution;
    const sides = [
      { test: this.#tooFew, attribution: fewer },
      { test: this.#tooMany, attribution: more },
    ].flatMap(({ test, attribution }) =>
      test === null ? [] : { breach: test.logEvidence(), attribution: attribution.attributionLogEvidence() },
    );
    return sides.sort((a, b) => b.breach - a.breach)[0] ?? null;
  }

  nonInferiorityLogEvidence({ hasControl }: StageTerms): number | null {
    const { relative, min, max } = this.#proofs;
    const sides = [min, max].flatMap((test) => test?.nonInferiorityLogEvidence() ?? []);
    return eitherProof(
      hasControl ? (relative?.nonInferiorityLogEvidence() ?? null) : null,
      sides.length === 0 ? null : Math.min(...sides),
    );
  }

  rateRatio(errorBudget: number): RatioInterval | null {
    return this.#sequence.interval(this.#attribution.more.dispersion, errorBudget);
  }

  /** A ratio's margin is its limit, and that is looked at as a value. */
  withinMargin(): boolean {
    return true;
  }

  get #nullRateRatio(): number | null {
    const { minPercentOfControl } = this.#limits;
    return minPercentOfControl === undefined ? null : minPercentOfControl / 100;
  }
}

function eitherProof(relative: number | null, absolute: number | null): number | null {
  if (relative !== null && absolute !== null) return Math.max(relative, absolute) - EITHER;
  return relative ?? absolute;
}

function hasEvents({ counts: { canaryEventCount, controlEventCount } }: RelativeTest): boolean {
  return canaryEventCount + controlEventCount > 0;
}

// --- what counts as an event

interface Counting {
  readonly exposureCount: (arm: ArmEvidence) => number;
  readonly eventCount: (arm: ArmEvidence) => number;
  readonly groupExposures: (arm: ArmEvidence) => GroupSums;
  readonly groupEvents: (arm: ArmEvidence) => GroupSums;
}

const NONE: GroupSums = new Float64Array(0);

/** For the comparison: a unit that fails ten times in an interval is one event. */
const UNIT_ERRORS: Counting = {
  exposureCount: ({ outcomeCount }) => outcomeCount,
  eventCount: ({ unitErrorCount }) => unitErrorCount,
  groupExposures: ({ groups }) => groups.outcomeCount,
  groupEvents: ({ groups }) => groups.unitErrorCount,
};

/** For limits: the rate that people mean. */
const ERRORS: Counting = {
  exposureCount: ({ outcomeCount }) => outcomeCount,
  eventCount: ({ errorCount }) => errorCount,
  groupExposures: ({ groups }) => groups.outcomeCount,
  groupEvents: ({ groups }) => groups.errorCount,
};

const unitEvents = (metric: string): Counting => ({
  exposureCount: ({ unitCount }) => unitCount,
  eventCount: ({ metrics }) => metrics.get(metric)?.unitEventCount ?? 0,
  groupExposures: ({ groups }) => groups.unitCount,
  groupEvents: ({ metrics }) => metrics.get(metric)?.groupUnitEventCount ?? NONE,
});

function counted(canary: ArmEvidence | null, control: ArmEvidence | null, counting: Counting): EventCounts & ArmCounts {
  const { exposureCount, eventCount, groupExposures, groupEvents } = counting;
  return {
    canaryExposureCount: canary === null ? 0 : exposureCount(canary),
    canaryEventCount: canary === null ? 0 : eventCount(canary),
    controlExposureCount: control === null ? 0 : exposureCount(control),
    controlEventCount: control === null ? 0 : eventCount(control),
    canaryGroupEvents: canary === null ? NONE : groupEvents(canary),
    controlGroupExposures: control === null ? NONE : groupExposures(control),
    controlGroupEvents: control === null ? NONE : groupEvents(control),
  };
}
