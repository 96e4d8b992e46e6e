import type { EnvironmentKey, Receipt } from "@bunting/contracts";
import { LIMITS, STREAM_TIMING } from "@bunting/contracts/literals";
import type { Ledger } from "../ledger/ledger.ts";
import type { Commit, EnvironmentState } from "../ledger/state.ts";
import { toInstant } from "../platform/instant.ts";
import type { Clock, Random, Scheduler } from "../ports.ts";
import type { KnownInstance } from "../receipts/delivery.ts";
import { Receipts } from "../receipts/receipts.ts";
import { ackHoldMs, type Claim, judgeAck, placeClaim, prunableRevision } from "./backlog.ts";
import { Broadcast, type Visit } from "./broadcast.ts";
import { areSendable, isKill, type LogEntry } from "./change-log.ts";
import { Connection, HOPELESS_BYTES, LAGGING_BYTES, type Wire } from "./connection.ts";
import { ENDINGS, type Ending } from "./ending.ts";
import { textFrame } from "./frame.ts";
import { HeartbeatSlots } from "./heartbeat-slots.ts";
import { History } from "./history.ts";
import { readResumeToken, signResumeToken } from "./resume-token.ts";
import { Roster } from "./roster.ts";
import { type Identity, Session } from "./session.ts";
import type { Snapshot } from "./snapshot.ts";
import type { StreamMetrics } from "./stream-metrics.ts";
import type { StreamOptions } from "./stream-options.ts";

/** What a channel needs of the world. */
export interface ChannelWorld {
  readonly ledger: Pick<Ledger, "state" | "changesAfter">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly metrics: StreamMetrics;
  readonly options: StreamOptions;
  readonly resumeKey: Uint8Array;
  /** Name of this process. */
  readonly node: string;
}

/** A client at the door, let in by its token. */
export interface Arrival {
  readonly identity: Identity;
  readonly claim: Claim;
  /** The resume token it brought, unverified. */
  readonly resume: string | undefined;
  readonly deflated: boolean;
  readonly telemetrySequence: number;
}

/** Telemetry batches taken at once after a quiet time; one a second on average. */
export const BATCH_BURST = 5;

/** The stream of one environment: its log of frames, its connections, its sessions and their receipts. */
export class Channel {
  readonly environment: EnvironmentKey;
  readonly roster: Roster;
  readonly receipts: Receipts;
  readonly #world: ChannelWorld;
  readonly #history: History;
  readonly #broadcast: Broadcast<Connection>;
  readonly #slots: HeartbeatSlots<Connection>;
  /** Only grows while a broadcast runs; those that are no longer open are tidied away in between. */
  #connections: Connection[] = [];
  #connectionCount = 0;
  /** Committed, and waiting for their ordered broadcast. */
  readonly #published: LogEntry[] = [];

  constructor(environment: EnvironmentState, world: ChannelWorld) {
    const { options, scheduler, metrics } = world;
    this.environment = environment.key;
    this.#world = world;
    this.#history = new History(environment, world.ledger, options.log);
    this.receipts = new Receipts(environment.key, (latencyMs) => metrics.delivery.observe(latencyMs / 1_000));
    this.roster = new Roster(this.receipts);
    this.#slots = new HeartbeatSlots(Math.max(1, Math.round(options.heartbeatMs / 1_000)));
    this.#broadcast = new Broadcast(this.#connections, {
      chunk: options.chunk,
      scheduler,
      takeOrdered: () => this.#takeOrdered(),
    });
  }

  get head(): number {
    return this.#history.head;
  }

  get epoch(): string {
    return this.#history.epoch;
  }

  /** Open streams. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Commits kept as ready frames. */
  get logLength(): number {
    return this.#history.length;
  }

  // --- coming and going

  isAhead(claim: Claim): boolean {
    return claim !== null && claim.epoch === this.epoch && claim.revision > this.head;
  }

  /** Welcomes a client that is not ahead, and writes what it lacks in the same flight. */
  join(arrival: Arrival, wire: Wire): Connection {
    const { clock, metrics } = this.#world;
    const now = clock.monotonic();
    const { epoch, head } = this;
    const held = arrival.claim?.epoch === epoch ? arrival.claim.revision : null;
    const delta = held === null || held >= head ? null : this.#history.delta(held);
    // Where the frames in memory end, the ledger's log goes on: it alone decides what is compacted.
    const base = delta ? 0 : this.#history.base;
    const isCheaper = (): boolean => delta !== null && this.#history.isCheaper(delta);
    const placement = placeClaim(arrival.claim, { epoch, base, head }, isCheaper);
    if (placement.mode === "ahead") throw new Error("A client that is ahead must be refused before it is welcomed.");

    const { session, resumed } = this.#sessionFor(arrival, held ?? 0);
    const connection = new Connection(session, wire, {
      deflated: arrival.deflated,
      sent: placement.mode === "snapshot" ? -1 : (held ?? -1),
      batches: { tokens: BATCH_BURST, filledAt: now },
    });
    const replaced = session.connection;
    session.connection = connection;
    if (replaced) this.shut(replaced, ENDINGS.session_replaced);
    this.roster.enter(session, held, head, now);
    this.#connections.push(connection);
    this.#connectionCount += 1;
    this.#slots.add(connection);
    metrics.welcomes.inc({ mode: placement.mode, reason: placement.reason });

    wire.together(() => {
      wire.write(textFrame(this.#welcome(session, placement, resumed, arrival.telemetrySequence)));
      if (placement.mode === "snapshot") connection.feed(this.#history.snapshot().blocks(connection.deflated), now);
      if (placement.mode === "delta" && delta) connection.feed(delta, now);
    });
    return connection;
  }

  /** The socket is closed. `clean`: the client said that it stops. */
  left(connection: Connection, clean: boolean): void {
    this.#forget(connection);
    const { session } = connection;
    if (session.connection !== connection) return;
    session.connection = null;
    session.lastSeenAt = this.#world.clock.now();
    if (clean) this.roster.end(session);
    else this.roster.leave(session, this.head, this.#world.clock.monotonic() + this.#world.options.resumeTtlMs);
  }

  /** Ends a connection from this side. Nothing is written to it after this but the close frame. */
  shut(connection: Connection, ending: Ending): void {
    if (!connection.open) return;
    this.#world.metrics.closes.inc({ code: ending.code });
    const { wire } = connection;
    this.left(connection, ending.endsSession);
    if (ending.abrupt) wire.destroy();
    else wire.end(ending.code, ending.reason);
  }

  /** Ends many, in chunks. */
  shutAll(ending: Ending, which: (connection: Connection) => boolean = () => true): void {
    this.#broadcast.urge((connection) => {
      if (connection.open && which(connection)) this.shut(connection, ending);
    });
  }

  // --- what is committed

  publish(commit: Commit): void {
    const { clock } = this.#world;
    const at = clock.monotonic();
    const { epoch, revision, committedAt } = commit;
    const entry = this.#history.append(commit, at);
    this.receipts.committed({ epoch, revision, committedAt, at, connected: this.roster.present });

    const { frame } = entry;
    if (frame && isKill(commit)) {
      // With nothing ahead of it, the urgent pass reaches everyone who keeps up, and the others look it up in the log.
      if (this.#broadcast.running || this.#published.length > 0) this.#published.push(entry);
      this.#broadcast.urge((connection) => this.#overtake(connection, frame, entry));
    } else {
      this.#published.push(entry);
      this.#broadcast.wake();
    }
  }

  /** Says something to everybody that is not a revision. */
  announce(text: string): void {
    const frame = textFrame(text);
    this.#broadcast.urge((connection) => {
      if (connection.open && connection.wire.writable) connection.wire.write(frame);
    });
  }

  #takeOrdered(): Visit<Connection> | null {
    const [first] = this.#published;
    if (!first) return null;
    // As much as is written to a connection before its backlog is looked at again.
    let bytes = 0;
    const end = this.#published.findIndex(({ frame }) => {
      bytes += frame?.length ?? Infinity;
      return bytes > LAGGING_BYTES;
    });
    const entries: readonly LogEntry[] = this.#published.splice(
      0,
      end === -1 ? this.#published.length : Math.max(1, end),
    );
    const frame = areSendable(entries) ? Buffer.concat(entries.map((entry) => entry.frame)) : null;
    const from = first.previous;
    const to = entries.at(-1)?.reaches ?? first.reaches;
    return (connection) => {
      if (!connection.open || !connection.keepsUp || !connection.wire.writable) return;
      if (connection.sent >= to) return;
      if (frame && connection.sent === from) this.#deliver(connection, frame, to);
      else this.#catchUp(connection);
    };
  }

  #deliver(connection: Connection, frame: Buffer, reaches: number): boolean {
    const delivered = connection.deliver(frame, reaches, this.#world.clock.monotonic());
    if (!delivered) this.#world.metrics.lagging.inc();
    return delivered;
  }

  /** Writes a kill wherever it is not yet. Out of its turn it does not move `sent`: it is delivered again in its place. */
  #overtake(connection: Connection, frame: Buffer, entry: LogEntry): void {
    if (!connection.open || !connection.wire.writable || connection.sent >= entry.reaches) return;
    const inTurn = connection.keepsUp && connection.sent === entry.previous;
    if (inTurn && this.#deliver(connection, frame, entry.reaches)) return;
    if (connection.wire.backlogBytes > HOPELESS_BYTES) {
      this.shut(connection, ENDINGS.slow_consumer);
      return;
    }
    this.#world.metrics.earlyKills.inc();
    connection.wire.write(frame);
  }

  // --- what a connection lacks

  /** Its socket has drained. */
  drained(connection: Connection): void {
    if (!connection.open || !connection.drained(this.#world.clock.monotonic())) return;
    if (connection.sent < this.head) this.#catchUp(connection);
  }

  #catchUp(connection: Connection): void {
    const delta = this.#history.delta(connection.sent);
    const useDelta = delta !== null && this.#history.isCheaper(delta);
    const blocks = useDelta ? delta : this.#history.snapshot().blocks(connection.deflated);
    connection.feed(blocks, this.#world.clock.monotonic());
  }

  /** For pollers. */
  snapshot(): Snapshot {
    return this.#history.snapshot();
  }

  // --- what clients say

  acknowledge(connection: Connection, revision: number, heldMs: number): void {
    const { clock, metrics } = this.#world;
    const { session } = connection;
    const verdict = judgeAck(revision, session.acknowledged, connection.sent);
    if (verdict === "accepted") this.roster.acknowledge(session, revision, clock.monotonic() - heldMs);
    if (verdict === "ignored") metrics.acksIgnored.inc();
  }

  /** Answers a request for a snapshot, unless something is on its way already or the last request was just now. */
  resync(connection: Connection, reason: "gap" | "checksum"): void {
    const { clock, metrics } = this.#world;
    const now = clock.monotonic();
    const tooSoon = now - connection.resyncedAt < LIMITS.resyncIntervalMs;
    const ignored = connection.feeding || tooSoon;
    metrics.resyncs.inc({ reason, outcome: ignored ? "ignored" : "snapshot" });
    if (ignored) return;
    connection.resyncedAt = now;
    connection.feed(this.#history.snapshot().blocks(connection.deflated), now);
  }

  // --- time

  /** Once a second: the heartbeats of one slot, and an end to connections that are dead or hopelessly slow. */
  tick(): void {
    const { clock, options } = this.#world;
    const now = clock.monotonic();
    const due = this.#slots.next();
    if (due.size === 0) return;
    const frame = textFrame(
      JSON.stringify({
        type: "heartbeat",
        revision: this.head,
        checksum: this.#history.checksum,
        ackHoldMs: this.#ackHoldMs(),
        sentAt: clock.now(),
      }),
    );
    for (const connection of due) {
      if (connection.laggingSince !== null && now - connection.laggingSince > options.laggingMs) {
        this.shut(connection, ENDINGS.slow_consumer);
      } else if (connection.unanswered) {
        this.shut(connection, ENDINGS.no_sign_of_life);
      } else if (connection.keepsUp && connection.sent === this.head) {
        connection.wire.write(frame);
        connection.unanswered = true;
      } else if (connection.keepsUp && !this.#broadcast.running) {
        this.#catchUp(connection);
      }
    }
  }

  /** Twice a second: sessions past their time, and log entries that everybody has. */
  prune(): void {
    const { clock, metrics, options } = this.#world;
    const now = clock.monotonic();
    const { environment } = this;
    this.roster.expire(now);
    this.#history.prune(prunableRevision(this.roster.acknowledged(), this.head, options.logMargin), now);
    this.#tidy();
    metrics.connections.set({ environment }, this.#connectionCount);
    metrics.sessions.set({ environment }, this.roster.size);
    metrics.logEntries.set({ environment }, this.#history.length);
  }

  /** A new epoch began: nothing of the old one may be sent any more. */
  rewritten(): void {
    this.#published.length = 0;
    // All are cut off now, before anything of the new epoch can reach them; saying so to thousands takes several chunks.
    const doomed = new Set(this.#connections.filter(({ open }) => open));
    for (const connection of doomed) {
      this.#forget(connection);
      connection.session.connection = null;
    }
    const { code, reason } = ENDINGS.history_rewritten;
    this.#world.metrics.closes.inc({ code }, doomed.size);
    this.#broadcast.urge((connection) => {
      if (doomed.has(connection)) connection.wire.end(code, reason);
    });
    this.roster.clear();
    this.#history.rewritten();
  }

  // --- what others ask

  receipt(revision: number): Receipt | undefined {
    return this.roster.receipt(revision);
  }

  instances(): KnownInstance[] {
    return Array.from(this.roster.all(), (session) => ({
      session: session.id,
      instance: session.instance,
      boot: session.boot,
      sdk: session.sdk,
      transport: session.transport,
      connected: session.connected,
      acknowledged: session.acknowledged,
      backlog: Math.max(0, this.head - session.acknowledged),
      connectedAt: toInstant(session.connectedAt),
      lastSeenAt: toInstant(session.lastSeenAt),
      token: session.identity.token,
    }));
  }

  // --- helpers

  #sessionFor(arrival: Arrival, acknowledged: number): { session: Session; resumed: boolean } {
    const { clock, random, resumeKey } = this.#world;
    const { identity, resume } = arrival;
    const expected = { environment: this.environment, token: identity.token, now: clock.now() };
    const named = resume === undefined ? null : readResumeToken(resume, expected, resumeKey);
    const known = (named === null ? undefined : this.roster.find(named)) ?? this.#abandonedBy(identity);
    if (known) {
      known.lastSeenAt = clock.now();
      known.transport = "stream";
      return { session: known, resumed: true };
    }
    const id = named ?? Buffer.from(random.bytes(12)).toString("base64url");
    const now = clock.now();
    return { session: new Session({ id, identity, acknowledged, now }), resumed: false };
  }

  /**
   * What this process left behind when it lost its resume token, or polled. Only without a socket: two processes that share
   * an identity must not take each other's session for ever.
   */
  #abandonedBy(identity: Identity): Session | undefined {
    return this.roster.ofIdentity(identity).findLast(({ connection }) => connection === null);
  }

  #welcome(
    session: Session,
    placement: { readonly mode: string; readonly reason: string },
    resumed: boolean,
    telemetrySequence: number,
  ): string {
    const { clock, node, options, resumeKey } = this.#world;
    const expiresAt = clock.now() + options.resumeTokenMs;
    const claim = { session: session.id, environment: this.environment, token: session.identity.token, expiresAt };
    return JSON.stringify({
      type: "welcome",
      session: session.id,
      resume: signResumeToken(claim, resumeKey),
      resumeTtlMs: options.resumeTtlMs,
      epoch: this.epoch,
      revision: this.head,
      checksum: this.#history.checksum,
      mode: placement.mode,
      reason: placement.reason,
      resumed,
      telemetrySequence,
      heartbeatMs: options.heartbeatMs,
      ackHoldMs: this.#ackHoldMs(),
      node,
      sentAt: clock.now(),
    });
  }

  #ackHoldMs(): number {
    return ackHoldMs(this.#connectionCount, STREAM_TIMING.ackHoldMinMs, STREAM_TIMING.ackHoldMaxMs);
  }

  #forget(connection: Connection): void {
    if (!connection.open) return;
    connection.open = false;
    this.#connectionCount -= 1;
    this.#slots.delete(connection);
  }

  #tidy(): void {
    if (this.#broadcast.running || this.#connections.length === this.#connectionCount) return;
    let kept = 0;
    for (const connection of this.#connections) if (connection.open) this.#connections[kept++] = connection;
    this.#connections.length = kept;
  }
}
