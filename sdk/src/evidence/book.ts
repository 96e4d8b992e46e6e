import type { BreakerReport, EvidenceCell, GaugeReport } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import type { CompiledFlag, ServedInstead } from "@bunting/engine";
import type { Cancel, Clock, Scheduler } from "../ports.ts";
import { jsonBytes } from "../telemetry/json-bytes.ts";
import type { ActiveBreaker } from "../types.ts";
import { BreakerShell } from "./breaker-shell.ts";
import { CellCounters } from "./cell.ts";
import { Gauges } from "./gauges.ts";
import { type Arm, type CellKeeper, LiveRollout, Scope } from "./live-rollout.ts";
import type { RequestOutcome } from "./request-outcome.ts";
import { ServerClock } from "./server-clock.ts";
import { UnitSet } from "./unit-set.ts";

/** What a batch takes of the evidence. */
export interface TakenEvidence {
  readonly evidence: readonly EvidenceCell[];
  readonly breakers: readonly BreakerReport[];
  readonly gauges: readonly GaugeReport[];
  readonly evidenceDropped: number;
  /** More waits than one batch takes. */
  readonly isFull: boolean;
}

export interface BookHost {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** A breaker opened, half-opened or closed: what is served has changed. */
  breakerChanged(flag: string): void;
}

/** Rollouts of which evidence is kept. Further ones are served, and give none. */
const MOST_ROLLOUTS = 100;
/** Intervals that an outcome may be late: five minutes. Later ones are dropped, and counted. */
const OPEN_INTERVALS = 30;
/** Intervals in which a call of `track` looks for its unit's exposure: a minute. */
const TRACKED_INTERVALS = 6;
/** Cells that are open, or wait to be reported. Above, the oldest go, and what they counted is reported as dropped. */
const MOST_CELLS = 1_000;
/**
 * No cell has more JSON: every bin, rung and group, 16 metrics with names of 64 characters, and counts of six digits, as a
 * process makes them in ten seconds.
 */
export const LARGEST_CELL_BYTES: number = 30 * 1024;

/**
 * Keeps what live rollouts are judged by, from exposures to batches, and starts and ends rollouts as rulesets come and go.
 * Nothing counted is ever lost: it is in a cell, in a batch, or in `evidenceDropped` (TE-30).
 */
export class EvidenceBook implements CellKeeper {
  readonly serverClock: ServerClock;
  currentRequest: (() => RequestOutcome | undefined) | null = null;
  droppedSoFar = 0;
  private readonly host: BookHost;
  private readonly rollouts = new Map<string, LiveRollout>();
  /** Oldest first. */
  private cells: CellCounters[] = [];
  private readonly gauges = new Gauges();
  private reports: BreakerReport[] = [];
  private dropped = 0;
  private interval: number;
  private endsAt: number;
  private cancelTurn: Cancel | null = null;
  private readonly spareUnits: UnitSet[] = [];
  private isStopped = false;

  constructor(host: BookHost) {
    this.host = host;
    this.serverClock = new ServerClock(host.clock);
    this.interval = this.serverClock.interval;
    this.endsAt = this.serverClock.endsAt;
  }

  // --- rollouts

  /** The flag's live rollout, as far as it gives evidence. The same counters as long as it is the same stage. */
  scopeOf(flag: CompiledFlag): Scope | null {
    const { key, entry } = flag;
    if (entry.rollout === undefined || entry.killed) return this.end(key);
    let rollout = this.rollouts.get(key);
    if (rollout === undefined || !rollout.isOf(entry.rollout)) {
      this.end(key);
      if (this.rollouts.size === MOST_ROLLOUTS) return null;
      rollout = this.begin(key, entry.rollout);
    }
    rollout.entry = entry.rollout;
    return Scope.of(flag, rollout, entry.rollout.metrics);
  }

  /** What a breaker that is not closed takes from the flag as it is now: another stage or attempt begins closed. */
  withheldOf({ key, entry }: CompiledFlag): ServedInstead | null {
    const rollout = this.rollouts.get(key);
    if (rollout === undefined || entry.rollout === undefined || !rollout.isOf(entry.rollout)) return null;
    if (rollout.breaker.isClosed) return null;
    return { withheld: entry.rollout.canary, instead: entry.rollout.control };
  }

  /** Ends the rollouts of flags that are gone. */
  retain(isKept: (flag: string) => boolean): void {
    for (const flag of this.rollouts.keys()) if (!isKept(flag)) this.end(flag);
  }

  get isLive(): boolean {
    return this.rollouts.size > 0;
  }

  /** Breakers that are not closed. */
  get breakers(): readonly ActiveBreaker[] {
    return [...this.rollouts.values()].flatMap(({ flag, entry, breaker }) => {
      const { name } = breaker.state;
      return name === "closed" ? [] : [{ flag, rollout: entry.id, state: name }];
    });
  }

  private begin(flag: string, entry: NonNullable<CompiledFlag["entry"]["rollout"]>): LiveRollout {
    const breaker = new BreakerShell({
      clock: this.host.clock,
      scheduler: this.host.scheduler,
      changed: (state, { failureCount: unitFailureCount, trialCount }) => {
        const { id: rollout, attempt, stage } = entry;
        this.reports.push({ rollout, attempt, stage, state, interval: this.interval, unitFailureCount, trialCount });
        // The latest say how it stands.
        if (this.reports.length > LIMITS.breakersPerBatch) this.reports.shift();
        this.host.breakerChanged(flag);
      },
    });
    const rollout = new LiveRollout(flag, entry, breaker, this);
    this.rollouts.set(flag, rollout);
    this.turn();
    return rollout;
  }

  private end(flag: string): null {
    const rollout = this.rollouts.get(flag);
    if (rollout === undefined) return null;
    rollout.breaker.end();
    for (const arm of [rollout.canary, rollout.control]) this.finish(arm);
    this.rollouts.delete(flag);
    return null;
  }

  // --- counting

  /** Monotonic ms, for whoever measures. Looks at the interval too, which the timer alone would turn a moment late. */
  now(): number {
    const now = this.host.clock.monotonic();
    if (now >= this.endsAt) this.turn();
    return now;
  }

  gauge(metric: string, value: number): void {
    if (!this.gauges.set(metric, value, this.serverClock.interval)) this.drop(1);
  }

  /** The server said what time it is. */
  hear(sentAt: number): void {
    this.serverClock.hear(sentAt);
    this.turn();
  }

  openCell(arm: Arm): CellCounters {
    const cell = new CellCounters(arm.name, this.interval, this.spareUnits.pop() ?? new UnitSet());
    arm.cell = cell;
    arm.recent.unshift(cell);
    this.cells.push(cell);
    if (this.cells.length > MOST_CELLS) this.close(this.cells.shift());
    return cell;
  }

  drop(events: number): void {
    this.dropped += events;
    this.droppedSoFar += events;
  }

  // --- intervals

  private turn(): void {
    const { interval } = this.serverClock;
    // What the server says comes by ways of different length: one interval back is this interval, a moment early.
    if (interval !== this.interval - 1) this.interval = interval;
    this.endsAt = this.serverClock.endsAt;
    for (const { canary, control, entry } of this.rollouts.values()) {
      for (const arm of [canary, control]) {
        if (arm.cell !== null && arm.cell.interval !== this.interval) arm.cell = null;
        this.forget(arm, entry.metrics.length > 0 ? TRACKED_INTERVALS : 1);
      }
    }
    const oldest = this.interval - OPEN_INTERVALS;
    for (const cell of this.cells) if (cell.interval < oldest) cell.isClosed = true;
    this.cells = this.cells.filter(isNeeded);
    this.awaitTurn();
  }

  private awaitTurn(): void {
    this.cancelTurn?.();
    this.cancelTurn = null;
    if (this.isStopped || (!this.isLive && this.cells.length === 0)) return;
    const delayMs = Math.max(1, Math.ceil(this.endsAt - this.host.clock.monotonic()));
    this.cancelTurn = this.host.scheduler.after(delayMs, () => this.turn());
  }

  /** Gives up the units of cells that nobody will be exposed in or looked for in any more. */
  private forget(arm: Arm, kept: number): void {
    const isKept = ({ interval }: CellCounters): boolean => Math.abs(this.interval - interval) < kept;
    for (const cell of arm.recent) if (!isKept(cell)) this.release(cell);
    arm.recent = arm.recent.filter(isKept);
  }

  private finish(arm: Arm): void {
    arm.cell = null;
    for (const cell of arm.recent) this.release(cell);
    arm.recent = [];
  }

  private release(cell: CellCounters): void {
    const units = cell.releaseUnits();
    if (units !== null && this.spareUnits.length < MOST_ROLLOUTS) this.spareUnits.push(units);
  }

  private close(cell: CellCounters | undefined): void {
    if (cell === undefined) return;
    this.drop(cell.pending);
    cell.isClosed = true;
  }

  // --- reporting

  /** Exposures, outcomes and calls of `track` that no batch has taken, and what was dropped and not yet reported so. */
  get pending(): number {
    return this.cells.reduce((sum, cell) => sum + cell.pending, this.dropped);
  }

  /** Whether a batch would have something to say. */
  get isEmpty(): boolean {
    return this.reports.length === 0 && this.gauges.waiting.length === 0 && this.pending === 0;
  }

  /** Of JSON that the next batch has to have room for: all that breakers and gauges say, and a cell where one waits. */
  get leastBytes(): number {
    const said = jsonBytes({ breakers: this.reports, gauges: this.gauges.waiting });
    return this.cells.some(({ pending }) => pending > 0) ? said + LARGEST_CELL_BYTES : said;
  }

  /** Takes cells for at most so many bytes of JSON, oldest first; the rest stays for the next. At least {@link leastBytes}. */
  take(mostBytes: number): TakenEvidence {
    const { reports: breakers, dropped: evidenceDropped } = this;
    const gauges = this.gauges.take();
    const evidence: EvidenceCell[] = [];
    let bytes = jsonBytes({ breakers, gauges });
    let isFull = false;
    for (const cell of this.cells) {
      if (cell.pending === 0) continue;
      isFull = evidence.length === LIMITS.evidenceCells || bytes + LARGEST_CELL_BYTES > mostBytes;
      if (isFull) break;
      const taken = cell.take();
      evidence.push(taken);
      bytes += jsonBytes(taken);
    }
    this.reports = [];
    this.dropped = 0;
    this.cells = this.cells.filter(isNeeded);
    return { evidence, breakers, gauges, evidenceDropped, isFull };
  }

  /** No timer is left. What breakers serve now they go on serving. */
  stop(): void {
    this.isStopped = true;
    this.cancelTurn?.();
    for (const { breaker } of this.rollouts.values()) breaker.end();
  }
}

/** A cell that is empty, past, and waited for by nobody has done its work. */
function isNeeded(cell: CellCounters): boolean {
  return cell.keepsUnits || cell.pending > 0 || (cell.outstanding > 0 && !cell.isClosed);
}

/** Everything that {@link TakenEvidence} reports, dropped events too. */
export function eventsOf({ evidence, evidenceDropped }: Pick<TakenEvidence, "evidence" | "evidenceDropped">): number {
  return evidence.reduce((sum, { exposureCount, outcomeCount, metrics = {} }) => {
    const tracked = Object.values(metrics).reduce((events, { eventCount }) => events + eventCount, 0);
    return sum + exposureCount + outcomeCount + tracked;
  }, evidenceDropped);
}
