import type { Clock } from "../ports.ts";

/** Clocks that drift further apart than this between two wakes, or a wake that comes later: somebody slept, or set the clock. */
const BREAK_MS = 30_000;

/**
 * Since when the server has been listening to evidence without a break. What instances could not report while it was down or
 * asleep, and the hours that a clock skips, look like silence: time of both is counted from here.
 */
export class Listening {
  readonly #clock: Clock;
  #since: number;
  #heard: { readonly now: number; readonly monotonic: number };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
    this.#heard = { now: clock.now(), monotonic: clock.monotonic() };
  }

  /** To be called at least every {@link BREAK_MS}. Returns since when, Unix ms. */
  goOn(): number {
    const [now, monotonic] = [this.#clock.now(), this.#clock.monotonic()];
    const elapsed = monotonic - this.#heard.monotonic;
    const drift = Math.abs(now - this.#heard.now - elapsed);
    if (elapsed > BREAK_MS || drift > BREAK_MS) this.#since = now;
    this.#heard = { now, monotonic };
    return this.#since;
  }
}
