import type { Cancel, Clock, Scheduler } from "../ports.ts";

const INTERVAL_MS = 100;

/** How late the event loop is. The server refuses new streams before it becomes slow for those it has. */
export interface LagMeter {
  readonly lagMs: number;
  readonly stop: Cancel;
}

/**
 * Measures by a timer that should fire every 100 ms. A connect storm is served between two firings, so what counts is also
 * how overdue the next one is, not only how late the last one was.
 */
export function createLagMeter(clock: Clock, scheduler: Scheduler): LagMeter {
  let dueAt = clock.monotonic() + INTERVAL_MS;
  let lastLagMs = 0;
  const stop = scheduler.every(INTERVAL_MS, () => {
    const now = clock.monotonic();
    lastLagMs = Math.max(0, now - dueAt);
    dueAt = now + INTERVAL_MS;
  });
  return {
    get lagMs() {
      return Math.max(lastLagMs, clock.monotonic() - dueAt);
    },
    stop,
  };
}
