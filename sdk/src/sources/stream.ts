import type { KillMessage, Patch, ServerMessage, Snapshot, TelemetryBatch, Welcome } from "@bunting/contracts";
import { LIMITS, STREAM_TIMING, SUBPROTOCOL } from "@bunting/contracts/literals";
import { type Identity, streamUrl } from "../address.ts";
import { parseServerMessage } from "../guards.ts";
import type { Event, Wish } from "../lifecycle/machine.ts";
import type { Failure } from "../lifecycle/retry.ts";
import type { Credentials } from "../options.ts";
import type { Platform, Socket } from "../ports.ts";
import { createAssembly } from "../ruleset/assembly.ts";
import type { Replica, Verdict } from "../ruleset/replica.ts";
import { createTimers } from "../timers.ts";
import type { Position } from "../types.ts";

/** One connection's side of `bunting.v1`, from the upgrade request to the close. */
export interface Stream {
  /** The boot its telemetry is counted under. */
  readonly boot: string;
  /** False before the welcome and after the end. */
  readonly isGreeted: boolean;
  sendTelemetry(batch: TelemetryBatch): void;
  /** Acks what is applied, then the closing handshake. */
  hangUp(): void;
  /** Without a handshake. */
  cut(): void;
}

/** What a connection needs of the client it belongs to. Nothing is called any more after `hangUp` or `cut`. */
export interface StreamHost {
  readonly platform: Platform;
  readonly server: Credentials;
  readonly identity: Identity;
  readonly replica: Replica;
  readonly resumeToken: string | null;
  /** Whether the lifecycle still listens to this connection (LC-3). */
  owns(connection: number): boolean;
  happened(event: Event): void;
  welcomed(welcome: Welcome): void;
  /** The server's clock, Unix ms, as a heartbeat tells it. */
  serverTime(sentAt: number): void;
  /** The state is known to be at head now. */
  confirmed(): void;
  telemetryAcknowledged(sequence: number, nextMs: number | undefined): void;
  telemetryRefused(sequence: number): void;
  /** The batch in flight came too soon: it was neither taken nor refused. */
  telemetryDelayed(retryAfterMs: number): void;
  /** Something to show in `status()`. */
  report(code: string, message: string): void;
  counted(what: "resyncs" | "malformed" | "refused"): void;
}

type TimerName = "silence" | "arrival" | "resync" | "ack";

/** What a welcome fixed for the rest of the connection, and what is known about head. */
interface Greeting {
  readonly epoch: string;
  readonly silenceMs: number;
  head: number;
  /** The ruleset's checksum at head. */
  checksum: string;
  ackHoldMs: number;
}

/** Upgrade and welcome together. */
const GREETING_MS = 10_000;
/** Between two parts of a snapshot. */
const REST_MS = 30_000;
const RESYNC_CAP_MS = 5 * 60_000;
const HEARTBEAT_LEAST_MS = 50;
const HEARTBEAT_MOST_MS = 5 * 60_000;

export function openStream(host: StreamHost, connection: number, wish: Wish): Stream {
  return new Conversation(host, connection, wish);
}

class Conversation implements Stream {
  readonly boot: string;
  private readonly host: StreamHost;
  private readonly connection: number;
  private readonly socket: Socket;
  private readonly timers;
  private readonly assembly = createAssembly();
  private greeting: Greeting | null = null;
  private ended = false;
  /** Of the last fatal error message: the close that follows carries no delay of its own. */
  private retryAfterMs: number | undefined;
  private place: "behind" | "at_head" = "behind";
  private resyncGapMs: number = LIMITS.resyncIntervalMs;
  private lastResyncAt = Number.NEGATIVE_INFINITY;
  /** Where it stood when it asked for the connection: the server counts that as an ack (ST-45), and nothing that came since. */
  private readonly asked: Position | null;
  private acknowledged = -1;
  private appliedAt = 0;

  constructor(host: StreamHost, connection: number, wish: Wish) {
    const { platform, server, identity, replica } = host;
    this.host = host;
    this.connection = connection;
    this.boot = identity.boot;
    this.timers = createTimers<TimerName>(platform.scheduler);
    this.timers.set("silence", GREETING_MS, () => this.fail({ kind: "silence" }, "no welcome in time"));
    this.asked = wish === "resume" ? replica.position : null;
    const request = {
      url: streamUrl(server.origin, { ...identity, position: this.asked, resume: host.resumeToken }),
      protocol: SUBPROTOCOL,
      token: server.token,
      maxMessageBytes: LIMITS.rulesetBytes,
    };
    this.socket = platform.network.openSocket(request, {
      opened: () => {},
      message: (text) => this.hear(text),
      closed: (code) => this.fail({ kind: "closed", code }, `the server closed the connection with ${code}`),
      refused: (status, retryAfterMs) =>
        this.fail(
          { kind: "refused", status, ...(retryAfterMs !== undefined && { retryAfterMs }) },
          `the server refused the connection with HTTP ${status}`,
        ),
      failed: (code) => this.fail({ kind: "network", code }, `the connection failed: ${code}`),
    });
  }

  get isGreeted(): boolean {
    return this.greeting !== null && !this.ended;
  }

  sendTelemetry(batch: TelemetryBatch): void {
    this.send({ type: "telemetry", batch });
  }

  hangUp(): void {
    if (this.ended) return;
    if (this.isAckDue()) this.ack();
    this.end();
    this.socket.close(1000);
  }

  cut(): void {
    if (this.ended) return;
    this.end();
    this.socket.destroy();
  }

  private hear(text: string | null): void {
    if (this.ended) return;
    if (this.greeting !== null && !this.host.owns(this.connection)) return;
    const parsed = text === null ? null : parseServerMessage(text);
    if (parsed === null || text === null) return this.refuse("a frame that is not a valid message");
    this.watchSilence();
    if ("unknown" in parsed) return;
    const { message } = parsed;
    if (message.type === "welcome") return this.greet(message);
    if (this.greeting !== null) return this.take(message, text.length, this.greeting);
    // An error may come before, instead of a welcome; nothing else can be judged without knowing the epoch.
    if (message.type === "error") return this.takeError(message);
    this.refuse(`${message.type} before welcome`);
  }

  private greet(welcome: Welcome): void {
    if (this.greeting !== null) return;
    if (this.host.replica.hasLeft(welcome.epoch)) {
      this.host.counted("refused");
      return this.fail({ kind: "left_epoch" }, "the server speaks of a history that this client has left");
    }
    const heartbeatMs = Math.min(Math.max(welcome.heartbeatMs, HEARTBEAT_LEAST_MS), HEARTBEAT_MOST_MS);
    const { epoch, revision: head, checksum, ackHoldMs, mode } = welcome;
    this.greeting = { epoch, silenceMs: heartbeatMs * STREAM_TIMING.silenceFactor, head, checksum, ackHoldMs };
    this.watchSilence();
    this.acknowledged = this.asked?.epoch === epoch ? this.asked.revision : -1;
    this.appliedAt = this.now();
    this.host.happened({ type: "welcomed", connection: this.connection, now: this.now() });
    this.host.welcomed(welcome);
    // "none" and "delta" speak of the position that was asked with. If polling moved on to another epoch since, ask anew.
    if (mode !== "snapshot" && this.positionHere() === null) this.askResync("gap");
    this.compareWithHead();
    if (mode === "snapshot" && this.place === "behind") this.awaitRest();
    // Polling may have moved on while this connection was being made: what it brought comes no second time.
    this.holdAck();
  }

  private take(message: Exclude<ServerMessage, Welcome>, size: number, greeting: Greeting): void {
    switch (message.type) {
      case "snapshot":
        return this.takeSnapshot(message, size, greeting);
      case "patch":
      case "kill":
        return this.takeStep(message, greeting);
      case "heartbeat":
        if (message.revision >= greeting.head) {
          greeting.head = message.revision;
          greeting.checksum = message.checksum;
        }
        greeting.ackHoldMs = message.ackHoldMs;
        this.host.serverTime(message.sentAt);
        this.ack();
        return this.compareWithHead();
      case "telemetry_ack":
        return this.host.telemetryAcknowledged(message.sequence, message.nextMs);
      case "goaway": {
        const random = this.host.platform.random.next();
        const { connection, host } = this;
        return host.happened({ type: "goaway", connection, spreadMs: message.spreadMs, random });
      }
      case "error":
        return this.takeError(message);
    }
  }

  private takeSnapshot(part: Snapshot, size: number, greeting: Greeting): void {
    if (part.epoch !== greeting.epoch) return this.refuse("a snapshot of another epoch than the welcome's");
    const whole = this.assembly.add(part, size);
    if (whole === "partial") return this.awaitRest();
    if (whole === "broken") return this.askResync("gap");
    this.notice(whole.revision, whole.checksum, greeting);
    this.settle(this.host.replica.install(whole));
  }

  private takeStep(step: Patch | KillMessage, greeting: Greeting): void {
    this.notice(step.revision, step.checksum, greeting);
    if (step.type === "patch") return this.settle(this.host.replica.patch(greeting.epoch, step));
    const verdict = this.host.replica.kill(greeting.epoch, step);
    // A kill may overtake; what it overtook is on its way.
    if (verdict === "gap") this.awaitArrival();
    else this.settle(verdict);
  }

  private takeError({ code, message, fatal, retryAfterMs, sequence }: Extract<ServerMessage, { type: "error" }>): void {
    this.host.report(code, message);
    if (sequence !== undefined) this.host.telemetryRefused(sequence);
    else if (!fatal && code === "message_rate" && retryAfterMs !== undefined) this.host.telemetryDelayed(retryAfterMs);
    if (fatal) this.retryAfterMs = retryAfterMs;
  }

  private notice(revision: number, checksum: string, greeting: Greeting): void {
    if (revision < greeting.head) return;
    greeting.head = revision;
    greeting.checksum = checksum;
  }

  private settle(verdict: Verdict): void {
    if (verdict === "applied") {
      this.appliedAt = this.now();
      this.holdAck();
    }
    if (verdict === "refused") this.host.counted("refused");
    if (verdict === "gap" || verdict === "checksum") return this.askResync(verdict);
    this.compareWithHead();
  }

  /** Where the state stands against what the server said last, and what follows from it. */
  private compareWithHead(): void {
    const { greeting } = this;
    if (greeting === null || this.ended) return;
    const revision = this.positionHere();
    if (revision === null || revision < greeting.head) return this.awaitArrival();
    if (revision === greeting.head && this.host.replica.ruleset.checksum !== greeting.checksum) {
      return this.askResync("checksum");
    }
    this.timers.clear("arrival");
    this.timers.clear("resync");
    this.resyncGapMs = LIMITS.resyncIntervalMs;
    this.host.confirmed();
    if (this.place === "at_head") return;
    this.place = "at_head";
    this.host.happened({ type: "caught_up", connection: this.connection });
  }

  /**
   * Head is ahead of the state: usually the difference is on its way, because the server broadcasts in chunks and heartbeats
   * and kills overtake. Only a difference that stays is a gap.
   */
  private awaitArrival(): void {
    if (this.timers.has("arrival") || this.timers.has("resync")) return;
    this.timers.set("arrival", STREAM_TIMING.earlyKillResyncMs, () => {
      const { greeting } = this;
      const revision = this.positionHere();
      if (greeting !== null && (revision === null || revision < greeting.head)) this.askResync("gap");
    });
  }

  /** A large snapshot takes its time on a slow line: each part earns the rest more of it. */
  private awaitRest(): void {
    const name: TimerName = this.timers.has("resync") ? "resync" : "arrival";
    this.timers.set(name, Math.max(REST_MS, this.resyncGapMs), () => this.askResync("gap"));
  }

  private askResync(reason: "gap" | "checksum"): void {
    if (this.place === "at_head") {
      this.place = "behind";
      this.host.happened({ type: "fell_behind", connection: this.connection });
    }
    if (this.ended || this.timers.has("resync")) return;
    this.timers.clear("arrival");
    const wait = this.lastResyncAt + LIMITS.resyncIntervalMs - this.now();
    if (wait > 0) return this.timers.set("resync", wait, () => this.askResync(reason));
    this.lastResyncAt = this.now();
    this.host.counted("resyncs");
    this.send({ type: "resync", reason });
    this.timers.set("resync", this.resyncGapMs, () => this.askResync(reason));
    this.resyncGapMs = Math.min(this.resyncGapMs * 2, RESYNC_CAP_MS);
  }

  private holdAck(): void {
    if (this.timers.has("ack") || !this.isAckDue()) return;
    const hold = this.greeting?.ackHoldMs ?? 0;
    this.timers.set("ack", hold * (1 + this.host.platform.random.next()), () => this.ack());
  }

  private isAckDue(): boolean {
    return (this.positionHere() ?? -1) > this.acknowledged;
  }

  private ack(): void {
    this.timers.clear("ack");
    const revision = this.positionHere();
    if (revision === null) return;
    const heldMs = this.isAckDue() ? Math.min(Math.round(this.now() - this.appliedAt), 60_000) : 0;
    this.acknowledged = revision;
    this.send({ type: "ack", revision, heldMs });
  }

  /** The revision held, if it is of this connection's history. */
  private positionHere(): number | null {
    const { position } = this.host.replica;
    return position !== null && position.epoch === this.greeting?.epoch ? position.revision : null;
  }

  private watchSilence(): void {
    const silenceMs = this.greeting?.silenceMs;
    if (silenceMs === undefined) return;
    this.timers.set("silence", silenceMs, () =>
      this.fail({ kind: "silence" }, `nothing heard from the server for ${Math.round(silenceMs)} ms`),
    );
  }

  /** LC-35: what cannot be understood may hide what is missing, so only a fresh snapshot is trusted after it. */
  private refuse(what: string): void {
    this.host.counted("malformed");
    this.fail({ kind: "malformed" }, `the server sent ${what}`);
  }

  private fail(failure: Failure, message: string): void {
    if (this.ended) return;
    const told = this.retryAfterMs === undefined ? failure : { ...failure, retryAfterMs: this.retryAfterMs };
    this.end();
    this.socket.destroy();
    const { connection, host } = this;
    if (host.owns(connection)) host.report(codeOf(failure), message);
    host.happened({ type: "failed", connection, failure: told, now: this.now(), random: host.platform.random.next() });
  }

  private end(): void {
    this.ended = true;
    this.timers.end();
  }

  private send(message: object): void {
    if (!this.ended) this.socket.send(JSON.stringify(message));
  }

  private now(): number {
    return this.host.platform.clock.monotonic();
  }
}

export function codeOf(failure: Failure): string {
  switch (failure.kind) {
    case "refused":
      return `http_${failure.status}`;
    case "closed":
      return `close_${failure.code}`;
    case "network":
      return failure.code;
    case "silence":
    case "malformed":
    case "left_epoch":
      return failure.kind;
  }
}
