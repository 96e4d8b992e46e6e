import { LIMITS, SENT_AT_HEADER } from "@bunting/contracts/literals";
import { type Identity, rulesetUrl } from "../address.ts";
import { parseSnapshot } from "../guards.ts";
import { type Failure, retryDelayMs } from "../lifecycle/retry.ts";
import type { Credentials } from "../options.ts";
import type { Cancel, HttpOutcome, Platform } from "../ports.ts";
import type { Replica } from "../ruleset/replica.ts";

/** Asks for the ruleset over and over: the way round where websockets are blocked. */
export interface Poller {
  /** Does nothing if it polls already. */
  start(): void;
  stop(): void;
  readonly isPolling: boolean;
  /** Whether the last answer was good: changes arrive this way now, beginning with those that it brings itself. */
  readonly isAnswered: boolean;
}

export interface PollHost {
  readonly platform: Platform;
  readonly server: Credentials;
  identity(): Identity;
  readonly replica: Replica;
  /** What the server calls the time, Unix ms. Told before what the answer changes. */
  serverTime(sentAt: number): void;
  /** The server answered, and the state is what it has. */
  confirmed(): void;
  /** Good or bad, the way changes arrive may be another now. */
  answered(): void;
  failed(failure: Failure, message: string): void;
  counted(what: "malformed" | "refused"): void;
}

/** Names of headers come in lower case. */
const SENT_AT = SENT_AT_HEADER.toLowerCase();

/** The server holds an answer back until something commits, so that a kill costs one round trip. */
const HOLD_MS = 25_000;
const ANSWER_MS = 10_000;
/** Between two starts, whatever the server does. */
const SPACING_MS = 1_000;
/** For a server that does not hold: this ± 20 %. */
const UNHELD_INTERVAL_MS = 30_000;

export function createPoller(host: PollHost): Poller {
  return new LongPoller(host);
}

class LongPoller implements Poller {
  isAnswered = false;
  private readonly host: PollHost;
  private cancel: Cancel | null = null;
  private failed = 0;
  private startedAt = 0;

  constructor(host: PollHost) {
    this.host = host;
  }

  get isPolling(): boolean {
    return this.cancel !== null;
  }

  start(): void {
    if (this.cancel === null) this.ask();
  }

  stop(): void {
    this.cancel?.();
    this.cancel = null;
    this.isAnswered = false;
    this.failed = 0;
  }

  private ask(): void {
    const { platform, server, replica } = this.host;
    const { position } = replica;
    this.startedAt = platform.clock.monotonic();
    this.cancel = platform.network.request(
      {
        method: "GET",
        url: rulesetUrl(server.origin, this.host.identity(), HOLD_MS),
        token: server.token,
        headers: position === null ? {} : { "if-none-match": `"${position.epoch}:${position.revision}"` },
        timeoutMs: HOLD_MS + ANSWER_MS,
        maxBytes: LIMITS.rulesetBytes,
      },
      (outcome) => this.take(outcome),
    );
  }

  private take(outcome: HttpOutcome): void {
    const result = this.judge(outcome);
    if (result === "changed" || result === "unchanged") {
      this.failed = 0;
      this.host.answered();
      return this.later(this.spacing(result));
    }
    this.isAnswered = false;
    this.host.failed(result.failure, result.message);
    this.host.answered();
    const random = this.host.platform.random.next();
    const delay = retryDelayMs({ failure: result.failure, failed: this.failed, livedMs: 0, random });
    this.failed = Math.min(this.failed + 1, 64);
    this.later(Math.max(delay, this.untilNextStart()));
  }

  private judge(outcome: HttpOutcome): "changed" | "unchanged" | { failure: Failure; message: string } {
    if (outcome.kind === "failed") {
      return { failure: { kind: "network", code: outcome.code }, message: `the poll failed: ${outcome.code}` };
    }
    const { status, headers, body } = outcome;
    const sentAt = headers.get(SENT_AT);
    if ((status === 200 || status === 304) && sentAt !== undefined && /^\d{1,15}$/.test(sentAt)) {
      this.host.serverTime(Number(sentAt));
    }
    if (status === 304) {
      this.isAnswered = true;
      this.host.confirmed();
      return "unchanged";
    }
    if (status !== 200) {
      const retryAfterMs = parseRetryAfter(headers.get("retry-after"));
      return {
        failure: { kind: "refused", status, ...(retryAfterMs !== undefined && { retryAfterMs }) },
        message: `the server refused the poll with HTTP ${status}`,
      };
    }
    const snapshot = /^application\/json\b/.test(headers.get("content-type") ?? "") ? parseSnapshot(body) : null;
    if (snapshot === null || snapshot.parts !== 1) return this.malformed("something that is not a ruleset");
    const { epoch, revision, checksum, flags, segments } = snapshot;
    // Whoever hears of the change asks how it came: before it is told, that is known.
    this.isAnswered = true;
    const verdict = this.host.replica.install({ epoch, revision, checksum, flags, segments });
    if (verdict === "checksum") return this.malformed("a ruleset that contradicts its checksum");
    if (verdict === "refused") {
      this.host.counted("refused");
      return { failure: { kind: "left_epoch" }, message: "the server answered with a state older than the one held" };
    }
    this.host.confirmed();
    return verdict === "applied" ? "changed" : "unchanged";
  }

  private malformed(what: string): { failure: Failure; message: string } {
    this.host.counted("malformed");
    return { failure: { kind: "malformed" }, message: `the server answered a poll with ${what}` };
  }

  private spacing(result: "changed" | "unchanged"): number {
    const heldMs = this.host.platform.clock.monotonic() - this.startedAt;
    if (result === "unchanged" && heldMs < HOLD_MS / 2) {
      return UNHELD_INTERVAL_MS * (0.8 + 0.4 * this.host.platform.random.next());
    }
    return this.untilNextStart();
  }

  private untilNextStart(): number {
    return Math.max(0, this.startedAt + SPACING_MS - this.host.platform.clock.monotonic());
  }

  private later(delayMs: number): void {
    // What was just told may have ended the polling.
    if (this.cancel !== null) this.cancel = this.host.platform.scheduler.after(delayMs, () => this.ask());
  }
}

/** Seconds only: a date would need a clock that agrees with the server's. */
export function parseRetryAfter(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) * 1000 : undefined;
}
