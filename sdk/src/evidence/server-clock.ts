import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import type { Clock } from "../ports.ts";

/**
 * The server's time, by which evidence is placed: all instances must agree on what an interval is, and the wall clock of one
 * of them may be wrong. Runs on the monotonic clock, so a wall clock that is set moves nothing.
 */
export class ServerClock {
  private readonly clock: Clock;
  private offsetMs: number;

  constructor(clock: Clock) {
    this.clock = clock;
    // Until a server has spoken, the wall clock is the best there is.
    this.offsetMs = clock.now() - clock.monotonic();
  }

  /** The server said that it is `sentAt` (Unix ms). Late by the way here, which is nothing beside an interval. */
  hear(sentAt: number): void {
    this.offsetMs = sentAt - this.clock.monotonic();
  }

  /** The evidence interval of now. */
  get interval(): number {
    return Math.max(0, Math.floor((this.clock.monotonic() + this.offsetMs) / EVIDENCE_INTERVAL_MS));
  }

  /** Monotonic ms at which that interval ends. */
  get endsAt(): number {
    return (this.interval + 1) * EVIDENCE_INTERVAL_MS - this.offsetMs;
  }
}
