import { addGroups, dispersion, dispersionAtMargin, type GroupCounts, largest, total } from "./dispersion.ts";
import { GROUP_COUNT, type GroupSums } from "./evidence.ts";
import {
  type ArmCounts,
  addCheckpoint,
  addInterval,
  copyProcess,
  type EvidenceProcess,
  logEvidence,
  plainLogEvidence,
  startProcess,
} from "./evidence-process.ts";
import { FEWER, type Grid } from "./grid.ts";

/** Events of one interval with what the hash groups had of them. */
export interface EventCounts extends ArmCounts {
  readonly canaryGroupEvents: GroupSums;
  readonly controlGroupExposures: GroupSums;
  readonly controlGroupEvents: GroupSums;
}

/** Fewer events than this in the canary are no evidence of harm, whatever the likelihood says. */
export const MINIMUM_EVENT_COUNT = 4;

/** Fewer events than this in both arms say nothing about events that are missing. */
const MINIMUM_GOOD_EVENT_COUNT = 20;

export interface RelativeTestOptions {
  readonly grid: Grid;
  /** Canary rate over control rate on the boundary of the null hypothesis. */
  readonly nullRateRatio: number;
  /** How dispersion is estimated from the control's groups. @default dispersion */
  readonly estimate?: (groups: GroupCounts) => number;
}

/**
 * Canary against control: "more events than `nullRateRatio` times the control's" (less, for a grid below 1), with the
 * dispersion of the control's groups and robust to any one group of the canary.
 */
export class RelativeTest {
  readonly nullRateRatio: number;
  #process: EvidenceProcess;
  readonly #estimate: (groups: GroupCounts) => number;
  readonly #control = { exposures: new Float64Array(GROUP_COUNT), events: new Float64Array(GROUP_COUNT) };
  readonly #canaryGroupEvents = new Float64Array(GROUP_COUNT);
  #canaryExposureCount = 0;
  #canaryEventCount = 0;
  #controlExposureCount = 0;
  #controlEventCount = 0;

  constructor({ grid, nullRateRatio, estimate = dispersion }: RelativeTestOptions) {
    this.nullRateRatio = nullRateRatio;
    this.#process = startProcess(grid);
    this.#estimate = estimate;
  }

  add(counts: EventCounts): void {
    addInterval(this.#process, counts, this.nullRateRatio);
    this.#canaryExposureCount += counts.canaryExposureCount;
    this.#canaryEventCount += counts.canaryEventCount;
    this.#controlExposureCount += counts.controlExposureCount;
    this.#controlEventCount += counts.controlEventCount;
    addGroups(this.#canaryGroupEvents, counts.canaryGroupEvents);
    addGroups(this.#control.exposures, counts.controlGroupExposures);
    addGroups(this.#control.events, counts.controlGroupEvents);
  }

  checkpoint(): void {
    addCheckpoint(this.#process);
  }

  /** The same so far; what is added to one is not added to the other. */
  copy(): RelativeTest {
    const { nullRateRatio } = this;
    const copy = new RelativeTest({ grid: this.#process.grid, nullRateRatio, estimate: this.#estimate });
    copy.#process = copyProcess(this.#process);
    copy.#control.exposures.set(this.#control.exposures);
    copy.#control.events.set(this.#control.events);
    copy.#canaryGroupEvents.set(this.#canaryGroupEvents);
    copy.#canaryExposureCount = this.#canaryExposureCount;
    copy.#canaryEventCount = this.#canaryEventCount;
    copy.#controlExposureCount = this.#controlExposureCount;
    copy.#controlEventCount = this.#controlEventCount;
    return copy;
  }

  get dispersion(): number {
    return this.#estimate(this.#control);
  }

  /** Sums of all intervals. */
  get counts(): ArmCounts {
    return {
      canaryExposureCount: this.#canaryExposureCount,
      canaryEventCount: this.#canaryEventCount,
      controlExposureCount: this.#controlExposureCount,
      controlEventCount: this.#controlEventCount,
    };
  }

  /**
   * Log of the e-value of harm. Harm that is one group's alone, as one broken user in a retry loop, is none: the evidence
   * counts at most twice what remains without the worst group. Dropping canary events can only lower evidence for
   * alternatives above 1, so the test stays valid. Evidence of missing events needs no such care, only enough of them.
   */
  logEvidence(): number {
    const missing = this.#process.grid === FEWER;
    if (missing && this.#canaryEventCount + this.#controlEventCount <= MINIMUM_GOOD_EVENT_COUNT) return 0;
    if (!missing && this.#canaryEventCount < MINIMUM_EVENT_COUNT) return 0;
    const dispersion = this.dispersion;
    const full = logEvidence(this.#process, { dispersion });
    if (missing || full <= 1) return full;
    return Math.min(
      full,
      2 * logEvidence(this.#process, { dispersion, droppedEventCount: this.#worstGroupEventCount }),
    );
  }

  /** The same with every group left in: is what an absolute limit saw the canary's own doing? */
  attributionLogEvidence(): number {
    return logEvidence(this.#process, { dispersion: this.dispersion });
  }

  /** Log of the e-value without restarts, of non-inferiority: at the margin the canary is that much more dispersed. */
  nonInferiorityLogEvidence(): number {
    const margin = Math.max(1, this.nullRateRatio);
    return plainLogEvidence(this.#process, { dispersion: dispersionAtMargin(this.dispersion, margin, this.#control) });
  }

  /** Groups may be counted at another threshold than events (the latency ladder): what counts is the worst one's share. */
  get #worstGroupEventCount(): number {
    const groupEventCount = total(this.#canaryGroupEvents);
    if (groupEventCount === 0) return this.#canaryEventCount;
    return (largest(this.#canaryGroupEvents) / groupEventCount) * this.#canaryEventCount;
  }
}
