import type { EvidenceCell, MetricEvidence } from "@bunting/contracts";
import { EVIDENCE_GROUPS } from "@bunting/contracts/literals";
import { BIN_COUNT, BRACKET_COUNT, BRACKET_OF_SLOT, binSlot, LOWEST_BIN } from "./sketch.ts";
import { SEEN, UNCHECKED, UnitSet } from "./unit-set.ts";

/** What a cell counts for: one arm of one stage of one attempt. */
export interface ArmName {
  readonly rollout: string;
  readonly attempt: number;
  readonly stage: number;
  readonly variant: string;
}

/** Of each group, in this order. */
const UNITS = 0;
const OUTCOMES = 1;
const ERRORS = 2;
const FAILED_UNITS = 3;
const GROUP_SLOTS = 4;

/** Puts a unit into its group. Units are mixed with the rollout's salt beforehand. */
function groupOf(unit: number): number {
  return unit & (EVIDENCE_GROUPS - 1);
}

/**
 * Counters of one arm in one interval of ten seconds. Counting an exposure writes two integers; latencies and custom metrics
 * get their slots when the first one comes. A batch takes what was counted since the one before, and the units seen stay: they
 * are told apart over the whole interval.
 */
export class CellCounters {
  readonly arm: ArmName;
  readonly interval: number;
  /** Exposures that still wait for their outcome. */
  outstanding = 0;
  /** Too old: outcomes that come now are dropped, and counted as such. */
  isClosed = false;
  private exposures = 0;
  private unchecked = 0;
  private units: UnitSet | null;
  private failedUnits: UnitSet | null = null;
  private readonly groups = new Uint32Array(EVIDENCE_GROUPS * GROUP_SLOTS);
  private sketch: Uint32Array | null = null;
  /** By group and bracket between two rungs: an outcome is one increment, and the rungs are summed when a batch is made. */
  private brackets: Uint32Array | null = null;
  private metrics: Map<string, MetricCounters> | null = null;

  constructor(arm: ArmName, interval: number, units: UnitSet) {
    this.arm = arm;
    this.interval = interval;
    this.units = units;
  }

  /** A decision that serves the variant by the rollout's scope. */
  expose(unit: number): void {
    this.exposures += 1;
    if (this.units === null || !this.units.isAtHome(unit)) this.countUnit(unit);
  }

  /** How an exposure of this interval ended. */
  settle(unit: number, isError: boolean, latencyMs: number): void {
    const { groups } = this;
    const group = groupOf(unit);
    const at = group * GROUP_SLOTS;
    groups[at + OUTCOMES] = (groups[at + OUTCOMES] as number) + 1;
    if (isError) {
      groups[at + ERRORS] = (groups[at + ERRORS] as number) + 1;
      this.failedUnits ??= new UnitSet();
      const found = this.failedUnits.add(unit);
      if (found !== SEEN) groups[at + FAILED_UNITS] = (groups[at + FAILED_UNITS] as number) + 1;
      if (found === UNCHECKED) this.unchecked += 1;
    }
    this.sketch ??= new Uint32Array(BIN_COUNT);
    this.brackets ??= new Uint32Array(EVIDENCE_GROUPS * BRACKET_COUNT);
    const slot = binSlot(latencyMs);
    this.sketch[slot] = (this.sketch[slot] as number) + 1;
    const bracket = group * BRACKET_COUNT + (BRACKET_OF_SLOT[slot] as number);
    this.brackets[bracket] = (this.brackets[bracket] as number) + 1;
  }

  /** Whether the unit was exposed in this interval, as far as that is still known. */
  hasUnit(unit: number): boolean {
    return this.units?.has(unit) ?? false;
  }

  /** A call of `track` by a unit that is, or becomes, one of the cell's. */
  track(metric: string, unit: number, value: number): void {
    if (!this.hasUnit(unit)) this.countUnit(unit);
    this.metrics ??= new Map();
    let counters = this.metrics.get(metric);
    if (counters === undefined) {
      counters = new MetricCounters();
      this.metrics.set(metric, counters);
    }
    if (counters.add(unit, value) === UNCHECKED) this.unchecked += 1;
  }

  /** Whether units are still told apart here: it is the interval now, or calls of `track` may still find their unit. */
  get keepsUnits(): boolean {
    return this.units !== null;
  }

  /** Nobody is exposed in this interval any more. What told its units apart may be used again by another. */
  releaseUnits(): UnitSet | null {
    const { units } = this;
    this.units = null;
    units?.clear();
    return units;
  }

  /** Exposures, outcomes and calls of `track` that no batch has taken. */
  get pending(): number {
    let sum = this.exposures;
    for (let at = OUTCOMES; at < this.groups.length; at += GROUP_SLOTS) sum += this.groups[at] ?? 0;
    for (const { eventCount } of this.metrics?.values() ?? []) sum += eventCount;
    return sum;
  }

  /** Empties the counters into a cell of a batch. */
  take(): EvidenceCell {
    const { arm, interval, groups, exposures: exposureCount, unchecked: uncheckedCount } = this;
    const [counted, totals] = takeGroups(groups);
    const metrics = [...(this.metrics ?? [])].flatMap(([name, counters]) =>
      counters.eventCount === 0 ? [] : [[name, counters.take()] as const],
    );
    this.exposures = 0;
    this.unchecked = 0;
    return {
      rollout: arm.rollout,
      attempt: arm.attempt,
      stage: arm.stage,
      variant: arm.variant as EvidenceCell["variant"],
      interval,
      exposureCount,
      unitCount: totals[UNITS] ?? 0,
      outcomeCount: totals[OUTCOMES] ?? 0,
      errorCount: totals[ERRORS] ?? 0,
      unitErrorCount: totals[FAILED_UNITS] ?? 0,
      uncheckedCount,
      groups: counted,
      sketch: this.sketch === null ? [] : takeSketch(this.sketch),
      ladder: this.brackets === null ? [] : takeLadder(this.brackets),
      ...(metrics.length > 0 && { metrics: Object.fromEntries(metrics) }),
    };
  }

  private countUnit(unit: number): void {
    const found = this.units === null ? UNCHECKED : this.units.add(unit);
    if (found === SEEN) return;
    const at = groupOf(unit) * GROUP_SLOTS;
    this.groups[at] = (this.groups[at] as number) + 1;
    if (found === UNCHECKED) this.unchecked += 1;
  }
}

/** Counters of one custom metric of one cell. */
class MetricCounters {
  eventCount = 0;
  private sum = 0;
  private sumOfSquares = 0;
  private readonly units = new UnitSet();
  private readonly groups = new Uint32Array(EVIDENCE_GROUPS);

  add(unit: number, value: number): ReturnType<UnitSet["add"]> {
    this.eventCount += 1;
    this.sum += value;
    this.sumOfSquares += value * value;
    const found = this.units.add(unit);
    const group = groupOf(unit);
    if (found !== SEEN) this.groups[group] = (this.groups[group] as number) + 1;
    return found;
  }

  take(): MetricEvidence {
    const { eventCount, sum, sumOfSquares } = this;
    const groups: MetricEvidence["groups"] = [];
    let unitEventCount = 0;
    for (const [group, count] of this.groups.entries()) {
      if (count === 0) continue;
      groups.push([group, count]);
      unitEventCount += count;
    }
    this.eventCount = 0;
    this.sum = 0;
    this.sumOfSquares = 0;
    this.groups.fill(0);
    return { eventCount, unitEventCount, sum, sumOfSquares, groups };
  }
}

function takeGroups(slots: Uint32Array): [EvidenceCell["groups"], readonly number[]] {
  const groups: EvidenceCell["groups"] = [];
  const totals = [0, 0, 0, 0];
  for (let group = 0; group < EVIDENCE_GROUPS; group += 1) {
    const at = group * GROUP_SLOTS;
    const [units = 0, outcomes = 0, errors = 0, failed = 0] = slots.subarray(at, at + GROUP_SLOTS);
    if (units + outcomes + errors + failed === 0) continue;
    groups.push([group, units, outcomes, errors, failed]);
    for (const [index, count] of [units, outcomes, errors, failed].entries()) {
      totals[index] = (totals[index] ?? 0) + count;
    }
  }
  slots.fill(0);
  return [groups, totals];
}

function takeSketch(slots: Uint32Array): EvidenceCell["sketch"] {
  const sketch: EvidenceCell["sketch"] = [];
  for (const [slot, count] of slots.entries()) if (count > 0) sketch.push([slot + LOWEST_BIN, count]);
  slots.fill(0);
  return sketch;
}

/** From outcomes between rungs to outcomes above each rung. */
function takeLadder(brackets: Uint32Array): EvidenceCell["ladder"] {
  const ladder: EvidenceCell["ladder"] = [];
  for (let group = 0; group < EVIDENCE_GROUPS; group += 1) {
    let above = 0;
    const rungs: EvidenceCell["ladder"] = [];
    for (let bracket = BRACKET_COUNT - 1; bracket > 0; bracket -= 1) {
      above += brackets[group * BRACKET_COUNT + bracket] ?? 0;
      if (above > 0) rungs.unshift([group, bracket - 1, above]);
    }
    ladder.push(...rungs);
  }
  brackets.fill(0);
  return ladder;
}
