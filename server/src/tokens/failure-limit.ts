import type { Clock } from "../ports.ts";

const WINDOW_MS = 60_000;
/** Names remembered at once. When they are more, the oldest are forgotten: a flood must not fill the memory. */
const REMEMBERED = 10_000;

interface Failures {
  since: number;
  count: number;
}

/** Counts failures per name in windows of a minute. */
export class FailureLimit {
  readonly #clock: Clock;
  readonly #perMinute: number;
  readonly #failures = new Map<string, Failures>();

  constructor(clock: Clock, perMinute: number) {
    this.#clock = clock;
    this.#perMinute = perMinute;
  }

  /** Milliseconds until the name may try again, or 0. */
  waitMs(name: string): number {
    const failures = this.#current(name);
    if (!failures || failures.count < this.#perMinute) return 0;
    return failures.since + WINDOW_MS - this.#clock.monotonic();
  }

  record(name: string): void {
    const failures = this.#current(name);
    if (failures) {
      failures.count++;
      return;
    }
    if (this.#failures.size >= REMEMBERED) {
      const [oldest] = this.#failures.keys();
      if (oldest !== undefined) this.#failures.delete(oldest);
    }
    this.#failures.set(name, { since: this.#clock.monotonic(), count: 1 });
  }

  #current(name: string): Failures | undefined {
    const failures = this.#failures.get(name);
    if (!failures || this.#clock.monotonic() - failures.since < WINDOW_MS) return failures;
    this.#failures.delete(name);
    return undefined;
  }
}
