import {
  type ArmIndex,
  admitsProbe,
  type BreakerEvent,
  type BreakerState,
  CANARY,
  CLOSED,
  nextBreaker,
  OutcomeWindows,
  waitOf,
} from "../breaker.ts";
import type { Cancel, Clock, Scheduler } from "../ports.ts";
import type { Trials } from "./likelihood.ts";
import type { Outcome, Witnessed } from "./live-rollout.ts";

export interface BreakerHost {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** It opened, half-opened or closed. `trials`: of the window that opened it. */
  changed(state: BreakerState["name"], trials: Trials): void;
}

/** The breaker of one rollout's stage: performs what breaker.ts decides. Needs nobody but this process. */
export class BreakerShell {
  /** Asked on every evaluation of the flag. */
  isClosed = true;
  state: BreakerState = CLOSED;
  /** How often it opened. */
  openings = 0;
  /** Of the window that opened it last. */
  trials: Trials = { trialCount: 0, failureCount: 0 };
  private readonly host: BreakerHost;
  private windows = new OutcomeWindows();
  private cancel: Cancel = () => {};
  private hasEnded = false;

  constructor(host: BreakerHost) {
    this.host = host;
  }

  /** Whether this decision may be the canary's although the breaker is not closed. Takes the probe. */
  admit(): boolean {
    const now = this.host.clock.monotonic();
    if (!admitsProbe(this.state, now)) return false;
    this.happened({ type: "probed", now });
    return true;
  }

  settled(arm: ArmIndex, { cell, unit, openings }: Witnessed, { isError, now }: Outcome): void {
    // What was exposed before it opened says nothing about how the canary does now: a call that hung may end long after.
    if (this.hasEnded || openings !== this.openings) return;
    if (cell === null) return this.happened(isError ? { type: "probe_failed" } : { type: "probe_succeeded", now });
    if (!isError) return this.windows.succeeded(arm, now);
    this.windows.failed(arm, unit, now);
    if (arm !== CANARY || !this.windows.isBurning(now)) return;
    this.trials = this.windows.burningTrials();
    this.happened({ type: "burned" });
  }

  /** Its rollout or stage is over: outcomes that are still to come change nothing any more. */
  end(): void {
    this.hasEnded = true;
    this.cancel();
  }

  private happened(event: BreakerEvent): void {
    const before = this.state;
    this.state = nextBreaker(before, event);
    if (this.state.name === before.name) return;
    this.isClosed = this.state.name === "closed";
    if (this.state.name === "open") this.openings += 1;
    if (this.isClosed) this.windows = new OutcomeWindows();
    this.cancel();
    const { scheduler, clock } = this.host;
    const waitMs = waitOf(this.state);
    this.cancel =
      waitMs === null
        ? () => {}
        : scheduler.after(waitMs, () => this.happened({ type: "waited", now: clock.monotonic() }));
    this.host.changed(this.state.name, this.trials);
  }
}
