import type { RolloutPlan } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { ControlHistory } from "./control-history.ts";
import { NO_STAGE_COUNTS, plusArm } from "./counts.ts";
import { addGroups } from "./dispersion.ts";
import { type EvidenceInterval, GROUP_COUNT } from "./evidence.ts";
import { namedGuardrails } from "./guardrails.ts";
import type { StageCounts } from "./judgement.ts";
import { SampleRatioTest } from "./sample-ratio.ts";
import { type StageTerms, stageTerms, type Tracker, trackerOf } from "./trackers.ts";

/** Every five minutes, and at the start of each stage. */
const CHECKPOINT_INTERVALS = 30;

/** Values are measured at most this far back: an hour. */
const KEPT_INTERVALS = 360;

/** A gap of up to this many intervals is low traffic and not silence. */
export const SILENT_INTERVALS = 3;

/**
 * Everything that is remembered of an attempt, interval by interval. Whoever looks often keeps one and adds what is new; whoever
 * replays makes one anew: the same intervals in the same order give the same bytes.
 */
export class AttemptStatistics {
  readonly plan: RolloutPlan;
  /** Of all stages: a budget is shared by guardrails whose stage is yet to come. */
  readonly trackers: Trackers;
  #history = new ControlHistory();
  #stage: StageStatistics | null = null;
  #checkpointAt: number | null = null;
  #judgedThrough: number | null = null;

  constructor(plan: RolloutPlan, trackers: Trackers = trackersOf(plan)) {
    this.plan = plan;
    this.trackers = trackers;
  }

  /** The same so far; what is added to one is not added to the other. */
  copy(): AttemptStatistics {
    const trackers = [...this.trackers].map(
      ([id, { tracker, stage }]) => [id, { tracker: tracker.copy(), stage }] as const,
    );
    const copy = new AttemptStatistics(this.plan, new Map(trackers));
    copy.#history = this.#history.copy();
    copy.#stage = this.#stage?.copy() ?? null;
    copy.#checkpointAt = this.#checkpointAt;
    copy.#judgedThrough = this.#judgedThrough;
    return copy;
  }

  /** The latest interval that was added. */
  get judgedThrough(): number | null {
    return this.#judgedThrough;
  }

  /** Opens a stage before its first interval has come. Stages only rise within an attempt. */
  enter(stage: number): StageStatistics {
    if (this.#stage !== null && this.#stage.terms.stage >= stage) return this.#stage;
    if (this.#stage !== null) this.#checkpoint();
    const entered = new StageStatistics(stageTerms(this.plan, stage));
    for (const { tracker } of this.trackers.values()) tracker.startStage(entered.terms);
    this.#stage = entered;
    return entered;
  }

  /** For a look at a stage: these, or a copy, for a stage is opened for good by its first interval and not by who looks. */
  lookedAtIn(stage: number): AttemptStatistics {
    return this.#stage !== null && this.#stage.terms.stage >= stage ? this : this.copy();
  }

  /** Intervals come in order, two stages of one interval the earlier first. */
  add(interval: EvidenceInterval): void {
    const stage = this.enter(interval.stage);
    this.#checkpointAt ??= interval.interval;
    if (interval.interval - this.#checkpointAt >= CHECKPOINT_INTERVALS) {
      this.#checkpoint();
      this.#checkpointAt = interval.interval;
    }
    const inStage = interval.stage === stage.terms.stage;
    for (const { tracker, stage: bound } of this.trackers.values()) {
      if (bound === null || bound === interval.stage) tracker.add(interval, this.#history, inStage);
    }
    if (interval.control !== null && interval.control.sketch.size > 0) {
      this.#history.add(interval.interval, interval.control.sketch);
    }
    if (inStage) stage.add(interval);
    this.#judgedThrough = interval.interval;
  }

  #checkpoint(): void {
    for (const { tracker } of this.trackers.values()) tracker.checkpoint();
  }
}

type Trackers = ReadonlyMap<string, { readonly tracker: Tracker; readonly stage: number | null }>;

function trackersOf(plan: RolloutPlan): Trackers {
  return new Map(
    namedGuardrails(plan).flatMap(({ id, guardrail, stage }) => {
      const tracker = trackerOf(guardrail);
      return tracker === null ? [] : [[id, { tracker, stage }] as const];
    }),
  );
}

/** What belongs to one stage alone: it begins with nothing. */
export class StageStatistics {
  readonly terms: StageTerms;
  readonly sampleRatio: SampleRatioTest;
  #kept: EvidenceInterval[] = [];
  readonly #canaryGroups = new Float64Array(GROUP_COUNT);
  #counts = { canary: NO_STAGE_COUNTS, control: NO_STAGE_COUNTS };
  #bakedIntervals = 0;
  #bakedThrough: number | null = null;
  #canaryThrough: number | null = null;
  #controlThrough: number | null = null;
  #controlExposureCountSinceCanary = 0;

  constructor(terms: StageTerms, sampleRatio: SampleRatioTest = new SampleRatioTest(terms.shareRate)) {
    this.terms = terms;
    this.sampleRatio = sampleRatio;
  }

  copy(): StageStatistics {
    const copy = new StageStatistics(this.terms, this.sampleRatio.copy());
    copy.#kept = [...this.#kept];
    copy.#canaryGroups.set(this.#canaryGroups);
    copy.#counts = this.#counts;
    copy.#bakedIntervals = this.#bakedIntervals;
    copy.#bakedThrough = this.#bakedThrough;
    copy.#canaryThrough = this.#canaryThrough;
    copy.#controlThrough = this.#controlThrough;
    copy.#controlExposureCountSinceCanary = this.#controlExposureCountSinceCanary;
    return copy;
  }

  get counts(): { readonly canary: StageCounts; readonly control: StageCounts } {
    return this.#counts;
  }

  /** Time covered by evidence: a gap counts only as far as it could be low traffic. */
  get bakedSeconds(): number {
    return (this.#bakedIntervals * EVIDENCE_INTERVAL_MS) / 1000;
  }

  /** The latest interval with exposures of the arm; null: none in this stage. */
  get canaryThrough(): number | null {
    return this.#canaryThrough;
  }

  get controlThrough(): number | null {
    return this.#controlThrough;
  }

  get controlExposureCountSinceCanary(): number {
    return this.#controlExposureCountSinceCanary;
  }

  get filledCanaryGroupCount(): number {
    return this.#canaryGroups.reduce((filled, count) => filled + (count > 0 ? 1 : 0), 0);
  }

  add(interval: EvidenceInterval): void {
    const { canary, control } = interval;
    this.#kept.push(interval);
    while (interval.interval - (this.#kept[0]?.interval ?? interval.interval) >= KEPT_INTERVALS) this.#kept.shift();
    this.#counts = { canary: plusArm(this.#counts.canary, canary), control: plusArm(this.#counts.control, control) };
    this.sampleRatio.add(interval);
    if (canary !== null) addGroups(this.#canaryGroups, canary.groups.unitCount);
    this.#watch(interval);
  }

  /**
   * The latest intervals of the stage: `seconds` of them, or more until `enough` says so of them, newest first.
   */
  window(seconds: number, enough: (intervals: readonly EvidenceInterval[]) => boolean): readonly EvidenceInterval[] {
    const newest = this.#kept.at(-1)?.interval ?? 0;
    const oldest = newest - Math.ceil((seconds * 1000) / EVIDENCE_INTERVAL_MS) + 1;
    const window: EvidenceInterval[] = [];
    for (let index = this.#kept.length - 1; index >= 0; index -= 1) {
      const interval = this.#kept[index];
      if (interval === undefined || (interval.interval < oldest && enough(window))) break;
      window.push(interval);
    }
    return window;
  }

  #watch({ interval, canary, control }: EvidenceInterval): void {
    const canaryReports = canary !== null && canary.exposureCount > 0;
    const controlReports = control !== null && control.exposureCount > 0;
    if (controlReports) {
      this.#controlThrough = interval;
      this.#controlExposureCountSinceCanary += control.exposureCount;
    }
    if (canaryReports) {
      this.#canaryThrough = interval;
      this.#controlExposureCountSinceCanary = 0;
    }
    if (!canaryReports || (this.terms.hasControl && !controlReports)) return;
    this.#bakedIntervals += this.#bakedThrough === null ? 1 : Math.min(SILENT_INTERVALS, interval - this.#bakedThrough);
    this.#bakedThrough = interval;
  }
}
