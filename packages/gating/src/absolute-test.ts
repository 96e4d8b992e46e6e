import { addGroups, dispersion, dispersionAtMargin, largest, total } from "./dispersion.ts";
import { GROUP_COUNT } from "./evidence.ts";
import {
  addAbsoluteInterval,
  addCheckpoint,
  copyProcess,
  type EvidenceProcess,
  type LimitRatios,
  limitRatios,
  logEvidence,
  plainLogEvidence,
  startProcess,
} from "./evidence-process.ts";
import type { Grid } from "./grid.ts";
import { type EventCounts, MINIMUM_EVENT_COUNT } from "./relative-test.ts";

/** Expected events before their absence says anything. */
const MINIMUM_EXPECTED_EVENT_COUNT = 20;

/** The canary alone against a limit: "its event rate is above `limitRate`" (below, for a grid below 1). */
export class AbsoluteTest {
  readonly limitRate: number;
  #process: EvidenceProcess;
  readonly #ratios: LimitRatios;
  readonly #eventGains: readonly number[];
  readonly #control = { exposures: new Float64Array(GROUP_COUNT), events: new Float64Array(GROUP_COUNT) };
  readonly #canaryGroupEvents = new Float64Array(GROUP_COUNT);
  #exposureCount = 0;
  #eventCount = 0;

  constructor(grid: Grid, limitRate: number) {
    this.limitRate = limitRate;
    this.#process = startProcess(grid);
    this.#ratios = limitRatios(grid, limitRate);
    this.#eventGains = this.#ratios.hits.map((hit, k) => hit - (this.#ratios.misses[k] ?? 0));
  }

  add(counts: EventCounts): void {
    const { canaryExposureCount, canaryEventCount } = counts;
    const arm = { exposureCount: canaryExposureCount, eventCount: canaryEventCount };
    addAbsoluteInterval(this.#process, arm, this.#ratios);
    this.#exposureCount += canaryExposureCount;
    this.#eventCount += canaryEventCount;
    addGroups(this.#canaryGroupEvents, counts.canaryGroupEvents);
    addGroups(this.#control.exposures, counts.controlGroupExposures);
    addGroups(this.#control.events, counts.controlGroupEvents);
  }

  checkpoint(): void {
    addCheckpoint(this.#process);
  }

  /** The same so far; what is added to one is not added to the other. */
  copy(): AbsoluteTest {
    const copy = new AbsoluteTest(this.#process.grid, this.limitRate);
    copy.#process = copyProcess(this.#process);
    copy.#control.exposures.set(this.#control.exposures);
    copy.#control.events.set(this.#control.events);
    copy.#canaryGroupEvents.set(this.#canaryGroupEvents);
    copy.#exposureCount = this.#exposureCount;
    copy.#eventCount = this.#eventCount;
    return copy;
  }

  /** Log of the e-value of a breach, robust to any one group of the canary as the relative test is. */
  logEvidence(): number {
    const missing = (this.#process.grid.alternatives[0] ?? 1) < 1;
    if (missing && this.#exposureCount * this.limitRate < MINIMUM_EXPECTED_EVENT_COUNT) return 0;
    if (!missing && this.#eventCount < MINIMUM_EVENT_COUNT) return 0;
    const dispersion = this.#dispersion;
    const full = logEvidence(this.#process, { dispersion });
    if (missing || full <= 1) return full;
    const without = logEvidence(this.#process, {
      dispersion,
      droppedEventCount: this.#worstGroupEventCount,
      eventGains: this.#eventGains,
    });
    return Math.min(full, 2 * without);
  }

  /** Log of the e-value of being within the limit, without restarts. */
  nonInferiorityLogEvidence(): number {
    return plainLogEvidence(this.#process, {
      dispersion: dispersionAtMargin(this.#dispersion, this.#margin, this.#control),
    });
  }

  get #dispersion(): number {
    return dispersion(this.#control);
  }

  /** How many times the control's rate the limit is: a canary at the limit is that much more dispersed. */
  get #margin(): number {
    const exposureCount = total(this.#control.exposures);
    const controlRate = exposureCount === 0 ? 0 : total(this.#control.events) / exposureCount;
    return controlRate === 0 ? 1 : Math.min(10, Math.max(1, this.limitRate / controlRate));
  }

  get #worstGroupEventCount(): number {
    const groupEventCount = total(this.#canaryGroupEvents);
    if (groupEventCount === 0) return this.#eventCount;
    return (largest(this.#canaryGroupEvents) / groupEventCount) * this.#eventCount;
  }
}
