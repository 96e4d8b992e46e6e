import type { ClientMessage, KillMessage, Patch, Ruleset, Welcome } from "@bunting/contracts";
import { applyKill, applyOperations } from "@bunting/engine";
import type { Origin } from "./origin.ts";
import type { TelemetryStore } from "./telemetry-store.ts";

/** A server's end of a connection, whatever carries it. */
export interface Wire {
  send(text: string): void;
  close(code: number): void;
}

export interface StreamNodeOptions {
  readonly origin: Origin;
  readonly telemetry: TelemetryStore;
  /** Calls the task after the delay; the node has no timers of its own. */
  after(delayMs: number, task: () => void): () => void;
  /** What it calls the time, Unix ms. */
  now(): number;
  readonly heartbeatMs?: number;
  readonly ackHoldMs?: number;
  /** Commits reach this node so much later. */
  lagMs?(): number;
  /** What a client gets whose position is ahead of this node: a refusal, or (wrongly) the older state. */
  readonly ahead?: "refuse" | "answer";
  /** Leaves the revision out of heartbeats, as it were: a planted fault. */
  readonly heartbeat?: "truthful" | "frozen";
}

export interface NodeConnection {
  readonly query: URLSearchParams;
  readonly acknowledged: number;
  readonly received: readonly ClientMessage[];
  receive(text: string): void;
  /** The carrier is gone. */
  ended(): void;
  send(message: object): void;
  close(code: number): void;
}

/** A server of `bunting.v1` for tests of clients: the protocol's ordinary behaviour in as few lines as it takes. */
export interface StreamNode {
  /** Null: the client has to be refused with 503. */
  connect(query: URLSearchParams, wire: Wire): NodeConnection | null;
  /** The answer to `GET /sdk/v1/ruleset`. */
  poll(etag: string | undefined): { readonly status: 200 | 304; readonly etag: string; readonly body: string };
  /** What it calls the time, Unix ms. */
  now(): number;
  readonly connections: ReadonlySet<NodeConnection>;
  readonly ruleset: Ruleset;
  /** Takes over what the origin has now, as after a restart. */
  reload(): void;
  stop(): void;
}

export function createStreamNode(options: StreamNodeOptions): StreamNode {
  return new Node(options);
}

class Node implements StreamNode {
  readonly connections = new Set<NodeConnection>();
  ruleset: Ruleset;
  private steps: (Patch | KillMessage)[] = [];
  private readonly options: StreamNodeOptions;
  private readonly unsubscribe: () => void;
  private readonly underway: (() => void)[] = [];
  private cancelHeartbeat: () => void = () => {};
  private sessions = 0;

  constructor(options: StreamNodeOptions) {
    this.options = options;
    this.ruleset = options.origin.ruleset;
    this.unsubscribe = options.origin.onCommit((step) => {
      const { epoch } = options.origin.ruleset;
      if (options.lagMs === undefined) return this.take(step, epoch);
      // However long each takes, they come in order.
      this.underway.push(() => this.take(step, epoch));
      options.after(options.lagMs(), () => this.underway.shift()?.());
    });
    this.beat();
  }

  connect(query: URLSearchParams, wire: Wire): NodeConnection | null {
    const { origin, telemetry, ahead = "refuse", heartbeatMs = 20_000, ackHoldMs = 20 } = this.options;
    const { epoch, revision: head, checksum } = this.ruleset;
    const asked = query.get("epoch") === epoch ? Number(query.get("revision")) : null;
    if (asked !== null && asked > head && ahead === "refuse") return null;
    const connection = new Connection(query, wire, (message) => this.hear(connection, message));
    this.connections.add(connection);
    connection.onEnd = () => this.connections.delete(connection);
    const missing = asked === null || asked > head ? null : this.since(asked, origin);
    const [instance, boot] = [query.get("instance") ?? "", query.get("boot") ?? ""];
    this.sessions += 1;
    const welcome: Welcome = {
      type: "welcome",
      session: `session-${this.sessions}`,
      resume: `resume-${this.sessions}`,
      resumeTtlMs: 120_000,
      epoch,
      revision: head,
      checksum,
      mode: missing === null ? "snapshot" : missing.length === 0 ? "none" : "delta",
      reason: missing === null ? "first" : missing.length === 0 ? "current" : "behind",
      resumed: query.has("resume"),
      telemetrySequence: telemetry.durable(instance, boot),
      heartbeatMs,
      ackHoldMs,
      node: "testkit",
      sentAt: Math.floor(this.options.now()),
    };
    connection.send(welcome);
    if (missing === null) connection.send(this.snapshot());
    else for (const step of missing) connection.send(step);
    return connection;
  }

  poll(etag: string | undefined): { status: 200 | 304; etag: string; body: string } {
    const current = `"${this.ruleset.epoch}:${this.ruleset.revision}"`;
    const status = etag === current ? 304 : 200;
    return { status, etag: current, body: status === 200 ? JSON.stringify(this.snapshot()) : "" };
  }

  now(): number {
    return this.options.now();
  }

  reload(): void {
    const { ruleset } = this.options.origin;
    if (ruleset.epoch !== this.ruleset.epoch) for (const connection of this.connections) connection.close(4510);
    this.ruleset = ruleset;
    this.steps = [];
  }

  stop(): void {
    this.unsubscribe();
    this.cancelHeartbeat();
  }

  private take(step: Patch | KillMessage, epoch: string): void {
    if (epoch !== this.ruleset.epoch || step.previous !== this.ruleset.revision) return;
    const applied = step.type === "patch" ? applyOperations(this.ruleset, step) : applyKill(this.ruleset, step);
    if (!applied.ok) return;
    this.ruleset = applied.ruleset;
    this.steps.push(step);
    for (const connection of this.connections) connection.send(step);
  }

  private since(revision: number, origin: Origin): readonly (Patch | KillMessage)[] | null {
    if (revision === this.ruleset.revision) return [];
    const own = this.steps.findIndex((step) => step.previous === revision);
    if (own !== -1) return this.steps.slice(own);
    return origin.ruleset === this.ruleset ? origin.since(revision) : null;
  }

  private hear(connection: NodeConnection, message: ClientMessage): void {
    if (message.type === "resync") connection.send(this.snapshot());
    if (message.type === "telemetry") {
      connection.send({ type: "telemetry_ack", sequence: this.options.telemetry.merge(message.batch) });
    }
  }

  private beat(): void {
    const { heartbeatMs = 20_000, ackHoldMs = 20, heartbeat = "truthful" } = this.options;
    this.cancelHeartbeat = this.options.after(heartbeatMs, () => {
      const { revision, checksum } = this.ruleset;
      for (const connection of this.connections) {
        // A revision that everybody has passed compares with nothing: as if there were none.
        const named = heartbeat === "truthful" ? revision : 0;
        connection.send({
          type: "heartbeat",
          revision: named,
          checksum,
          ackHoldMs,
          sentAt: Math.floor(this.options.now()),
        });
      }
      this.beat();
    });
  }

  private snapshot(): object {
    return { type: "snapshot", part: 1, parts: 1, ...this.ruleset };
  }
}

class Connection implements NodeConnection {
  acknowledged = 0;
  readonly received: ClientMessage[] = [];
  readonly query: URLSearchParams;
  onEnd: () => void = () => {};
  private readonly wire: Wire;
  private readonly hear: (message: ClientMessage) => void;

  constructor(query: URLSearchParams, wire: Wire, hear: (message: ClientMessage) => void) {
    this.query = query;
    this.wire = wire;
    this.hear = hear;
  }

  receive(text: string): void {
    const message = JSON.parse(text) as ClientMessage;
    this.received.push(message);
    if (message.type === "ack") this.acknowledged = Math.max(this.acknowledged, message.revision);
    this.hear(message);
  }

  ended(): void {
    this.onEnd();
  }

  send(message: object): void {
    this.wire.send(JSON.stringify(message));
  }

  close(code: number): void {
    this.onEnd();
    this.wire.close(code);
  }
}
