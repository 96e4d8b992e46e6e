import { absoluteLogEvidence, relativeLogEvidence, type Trials } from "./evidence/likelihood.ts";

/*
 * When a canary burns in this process, and how it comes back. Pure: every function is told the time, and nothing here knows
 * a clock, a timer or a flag. Clauses: docs/spec/telemetry.md, "The breaker".
 *
 *   closed ── burned ──► open ── waited ──► half_open ── 10 s and a success ──► closed
 *                          ▲                    │
 *                          └── failed, twice the wait
 */

/** A closed breaker lets everything pass, an open one nothing, a half-open one a canary decision each second. */
export type BreakerState =
  | { readonly name: "closed" }
  | { readonly name: "open"; readonly waitMs: number }
  | {
      readonly name: "half_open";
      readonly waitMs: number;
      /** Monotonic ms. */
      readonly since: number;
      readonly lastProbeAt: number;
      readonly hasSucceeded: boolean;
    };

/** `now` is monotonic ms. */
export type BreakerEvent =
  /** {@link isBurning} said so. */
  | { readonly type: "burned" }
  /** The wait of an open breaker is over, or the trial of a half-open one. */
  | { readonly type: "waited"; readonly now: number }
  | { readonly type: "probed"; readonly now: number }
  | { readonly type: "probe_failed" }
  | { readonly type: "probe_succeeded"; readonly now: number };

export const CLOSED: BreakerState = { name: "closed" };

const FIRST_WAIT_MS = 30_000;
const LONGEST_WAIT_MS = 10 * 60_000;
const TRIAL_MS = 10_000;
const BETWEEN_PROBES_MS = 1_000;

/** The state after an event; the very same one where the event changes nothing. */
export function nextBreaker(state: BreakerState, event: BreakerEvent): BreakerState {
  switch (state.name) {
    case "closed":
      return event.type === "burned" ? { name: "open", waitMs: FIRST_WAIT_MS } : state;
    case "open":
      if (event.type !== "waited") return state;
      return {
        name: "half_open",
        waitMs: state.waitMs,
        since: event.now,
        lastProbeAt: Number.NEGATIVE_INFINITY,
        hasSucceeded: false,
      };
    case "half_open":
      switch (event.type) {
        case "burned":
          return state;
        case "probed":
          return { ...state, lastProbeAt: event.now };
        case "probe_failed":
          return { name: "open", waitMs: Math.min(state.waitMs * 2, LONGEST_WAIT_MS) };
        // Ten seconds in which nobody was seen to succeed are no recovery: then the first success ends the trial.
        case "probe_succeeded":
          return event.now - state.since >= TRIAL_MS ? CLOSED : { ...state, hasSucceeded: true };
        case "waited":
          return state.hasSucceeded && event.now - state.since >= TRIAL_MS ? CLOSED : state;
      }
  }
}

/** Whether a half-open breaker lets this decision be the canary's. */
export function admitsProbe(state: BreakerState, now: number): boolean {
  return state.name === "half_open" && now - state.lastProbeAt >= BETWEEN_PROBES_MS;
}

/** How long until {@link nextBreaker} wants to hear `waited`; null: never. */
export function waitOf(state: BreakerState): number | null {
  if (state.name === "closed") return null;
  return state.name === "open" ? state.waitMs : TRIAL_MS;
}

const LEAST_FAILURES = 5;
const LIMIT_RATE = 0.05;
const RATE_RATIO = 3;
const LEAST_CONTROL_TRIALS = 20;
const DISPERSION = 1.5;
const LOG_EVIDENCE_BAR = Math.log(1e4);

/** Whether the canary fails far too often in one window, by itself and against the control beside it. */
export function isBurning(canary: Trials, control: Trials): boolean {
  if (canary.failureCount < LEAST_FAILURES || canary.failureCount <= LIMIT_RATE * canary.trialCount) return false;
  if (absoluteLogEvidence(canary, LIMIT_RATE, DISPERSION) < LOG_EVIDENCE_BAR) return false;
  if (control.trialCount < LEAST_CONTROL_TRIALS) return true;
  return relativeLogEvidence(canary, control, RATE_RATIO, DISPERSION) >= LOG_EVIDENCE_BAR;
}

/**
 * Windows, in seconds. The long one alone would be diluted by the successes before the failure, the short one alone is blind
 * at little traffic.
 */
const WINDOWS_SECONDS = [1, 3, 10] as const;
/**
 * Fine enough that a window is as long as it is called: with slots of a second one that has just begun holds nearly nothing,
 * and the next longer is diluted by seconds of success, which delays the opening by as much.
 */
const SLOT_MS = 100;
const SLOTS_PER_SECOND = 1_000 / SLOT_MS;
const SLOT_COUNT = 10 * SLOTS_PER_SECOND;
/** Failed units that are told apart. Above it units that failed long ago are forgotten, then further ones count unchecked. */
const REMEMBERED_UNITS = 4_096;

export const CANARY = 0;
export const CONTROL = 1;
export type ArmIndex = typeof CANARY | typeof CONTROL;

/** Outcomes of the last ten seconds in slots of a tenth of a second, per arm. */
export class OutcomeWindows {
  /** The newest slot, counted from the clock's zero. */
  private newest = Number.NEGATIVE_INFINITY;
  private readonly successes = [new Uint32Array(SLOT_COUNT), new Uint32Array(SLOT_COUNT)] as const;
  /** By the slot of the unit's latest failure, so that a unit that tries again and again counts once in every window. */
  private readonly failures = [new Uint32Array(SLOT_COUNT), new Uint32Array(SLOT_COUNT)] as const;
  private readonly latest = [new Map<number, number>(), new Map<number, number>()] as const;

  succeeded(arm: ArmIndex, now: number): void {
    const slot = this.slotAt(now);
    const { [arm]: counts } = this.successes;
    counts[slot] = (counts[slot] ?? 0) + 1;
  }

  failed(arm: ArmIndex, unit: number, now: number): void {
    const slot = this.slotAt(now);
    const { [arm]: latest } = this.latest;
    const { [arm]: counts } = this.failures;
    const before = latest.get(unit);
    if (before !== undefined && before > this.newest - SLOT_COUNT) {
      const previous = slotOf(before);
      counts[previous] = (counts[previous] ?? 1) - 1;
    } else if (latest.size >= REMEMBERED_UNITS) this.forget(latest);
    counts[slot] = (counts[slot] ?? 0) + 1;
    if (before !== undefined || latest.size < REMEMBERED_UNITS) latest.set(unit, this.newest);
  }

  /** To be asked after a failure of the canary. */
  isBurning(now: number): boolean {
    this.slotAt(now);
    return WINDOWS_SECONDS.some((seconds) => isBurning(this.trials(CANARY, seconds), this.trials(CONTROL, seconds)));
  }

  /** The shortest window that burns, or the longest there is: what an opening is reported with. */
  burningTrials(): Trials {
    const burning = WINDOWS_SECONDS.find((seconds) =>
      isBurning(this.trials(CANARY, seconds), this.trials(CONTROL, seconds)),
    );
    return this.trials(CANARY, burning ?? SLOT_COUNT / SLOTS_PER_SECOND);
  }

  trials(arm: ArmIndex, seconds: number): Trials {
    let [successCount, failureCount] = [0, 0];
    const slots = Math.min(seconds * SLOTS_PER_SECOND, SLOT_COUNT);
    for (let back = 0; back < slots; back += 1) {
      const slot = slotOf(this.newest - back);
      successCount += this.successes[arm][slot] ?? 0;
      failureCount += this.failures[arm][slot] ?? 0;
    }
    return { trialCount: successCount + failureCount, failureCount };
  }

  /** The slot of this moment; those between the last moment and this one are emptied. */
  private slotAt(now: number): number {
    const newest = Math.floor(now / SLOT_MS);
    if (newest > this.newest) {
      const passed = Math.min(SLOT_COUNT, newest - this.newest);
      for (let back = 0; back < passed; back += 1) this.empty(slotOf(newest - back));
      this.newest = newest;
    }
    return slotOf(this.newest);
  }

  private empty(slot: number): void {
    for (const counts of [...this.successes, ...this.failures]) counts[slot] = 0;
  }

  private forget(latest: Map<number, number>): void {
    for (const [unit, slot] of latest) if (slot <= this.newest - SLOT_COUNT) latest.delete(unit);
  }
}

/** Monotonic time starts anywhere, below zero too. */
function slotOf(count: number): number {
  return ((count % SLOT_COUNT) + SLOT_COUNT) % SLOT_COUNT;
}
