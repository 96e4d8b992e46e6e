import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import type { EnvironmentKey, Receipt } from "@bunting/contracts";
import { LIMITS, SUBPROTOCOL } from "@bunting/contracts/literals";
import type { Registry } from "prom-client";
import type { WebSocket } from "ws";
import type { Actor, Refusal } from "../ledger/command.ts";
import type { ClosingEvent, Ledger } from "../ledger/ledger.ts";
import type { EnvironmentState } from "../ledger/state.ts";
import { toInstant } from "../platform/instant.ts";
import type { Cancel, Clock, Logger, Random, Scheduler } from "../ports.ts";
import type { KnownInstance } from "../receipts/delivery.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Authenticator } from "../tokens/authenticator.ts";
import { isLive } from "../tokens/lifetime.ts";
import { permits } from "../tokens/permission.ts";
import type { Claim } from "./backlog.ts";
import { type Arrival, Channel, type ChannelWorld } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { Conversation } from "./conversation.ts";
import { ENDINGS } from "./ending.ts";
import { createLagMeter, type LagMeter } from "./lag-meter.ts";
import { streamLimitOfProcess } from "./open-file-limit.ts";
import { Polling, type PollRequest } from "./polling.ts";
import type { Snapshot } from "./snapshot.ts";
import { createStreamMetrics } from "./stream-metrics.ts";
import { resolveStreamOptions, type StreamOptions } from "./stream-options.ts";
import { readStreamQuery, readUpgradeRequest, STREAM_PATH, type UpgradeRequest } from "./upgrade-request.ts";
import { WaitingRoom } from "./waiting-room.ts";
import { createHandshaker, createWire, type Handshaker, refuseUpgrade } from "./websocket.ts";

export interface HubDeps {
  readonly ledger: Pick<Ledger, "state" | "changesAfter" | "onCommit" | "onClosing" | "reportAhead">;
  readonly telemetry: Telemetry;
  readonly authenticator: Pick<Authenticator, "authenticate">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Of resume tokens: see resume-key.ts. */
  readonly resumeKey: Uint8Array;
  /** Name of this process. */
  readonly node: string;
  /** Whom a failed authentication is counted against. @default the address of the socket */
  readonly clientAddress?: (request: IncomingMessage) => string;
  readonly options?: Partial<StreamOptions>;
}

export type PollAnswer = Polled | Refused;

interface Polled {
  readonly ok: true;
  readonly snapshot: Snapshot | "unchanged";
  /** Unix ms, after the wait: what a client without a stream knows the server's time by. */
  readonly sentAt: number;
}

/** Why a poll is not answered. */
interface Refused {
  readonly ok: false;
  readonly refusal: Refusal;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Every stream of this process: lets clients in, hands commits to the channel of their environment, ends what must end, and
 * answers who has applied what. Fed by the ledger's COMMITs and nothing else.
 */
export class Hub {
  readonly #deps: HubDeps;
  readonly #options: StreamOptions;
  readonly #world: ChannelWorld;
  readonly #channels = new Map<EnvironmentKey, Channel>();
  /** The streams of each token, by its id, and where they are. */
  readonly #streams = new Map<string, Map<Connection, Channel>>();
  readonly #sockets = new Set<Socket>();
  readonly #conversation: Conversation;
  readonly #handshaker: Handshaker;
  readonly #lagMeter: LagMeter;
  readonly #receiptRoom: WaitingRoom;
  readonly #pollRoom: WaitingRoom;
  readonly #polling: Polling;
  readonly #cancels: readonly Cancel[];
  #draining = false;

  constructor(deps: HubDeps) {
    const { clock, ledger, scheduler } = deps;
    const options = resolveStreamOptions(deps.options ?? {}, streamLimitOfProcess());
    const metrics = createStreamMetrics(deps.registry);
    this.#deps = deps;
    this.#options = options;
    this.#world = { ...deps, options, metrics };
    this.#conversation = new Conversation({ ...deps, metrics });
    this.#handshaker = createHandshaker((socket, refusal) => this.#refuse(socket, { ok: false, refusal }));
    this.#lagMeter = createLagMeter(clock, scheduler);
    this.#receiptRoom = new WaitingRoom(scheduler, LIMITS.concurrentWaits);
    this.#pollRoom = new WaitingRoom(scheduler, LIMITS.concurrentWaits);
    this.#polling = new Polling(deps, options.pollerTtlMs, this.#pollRoom);
    this.#cancels = [
      this.#lagMeter.stop,
      ledger.onCommit((commit) => {
        const channel = this.#channel(commit.environment);
        channel?.publish(commit);
        if (channel) this.#polling.wake(channel);
      }),
      ledger.onClosing((event) => this.#close(event)),
      scheduler.every(1_000, () => this.#tick()),
      scheduler.every(500, () => this.#prune()),
    ];
    // Every living environment keeps receipts from the start, also while nobody listens.
    for (const { key, archivedAt } of ledger.state.environments.values()) if (archivedAt === null) this.#channel(key);
  }

  /** Takes over the upgrades of an HTTP server. Nothing else may listen to them. */
  attach(server: Server): void {
    server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket as Socket, head));
  }

  // --- receipts and instances

  /** Undefined if the receipt of this revision is not kept any more, or there is no such revision. */
  receipt(environment: EnvironmentKey, revision: number): Receipt | undefined {
    return this.#channels.get(environment)?.receipt(revision);
  }

  /** The receipt once everyone connected at the commit has applied it, or after `waitMs`. */
  async waitForReceipt(
    environment: EnvironmentKey,
    revision: number,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<Receipt | undefined> {
    const channel = this.#channels.get(environment);
    if (!channel) return undefined;
    await this.#receiptRoom.wait(Math.min(waitMs, LIMITS.waitMs), signal, (done) =>
      channel.receipts.whenComplete(revision, done),
    );
    return channel.receipt(revision);
  }

  instances(environment: EnvironmentKey): readonly KnownInstance[] {
    return this.#channels.get(environment)?.instances() ?? [];
  }

  /** Instances that listen, or poll often enough. */
  connectedCount(environment: EnvironmentKey): number {
    return this.#channels.get(environment)?.roster.present ?? 0;
  }

  /** Open streams of the process. */
  get streamCount(): number {
    let count = 0;
    for (const channel of this.#channels.values()) count += channel.connectionCount;
    return count;
  }

  // --- polling

  async poll(environment: EnvironmentKey, request: PollRequest): Promise<PollAnswer> {
    const found = this.#openEnvironment(environment);
    if (!found.ok) return found;
    const ahead = this.#settleAhead(found.channel, request.claim);
    if (ahead) return ahead;
    const snapshot = await this.#polling.poll(found.channel, {
      ...request,
      waitMs: this.#draining ? 0 : Math.min(request.waitMs, LIMITS.waitMs),
    });
    const gone = this.#goneMeanwhile(environment, request.identity.token);
    if (gone) return gone;
    this.#world.metrics.polls.inc({ outcome: snapshot === "unchanged" ? "unchanged" : "ruleset" });
    return { ok: true, snapshot, sentAt: this.#deps.clock.now() };
  }

  /** Who waits may lose his right to the answer: what is committed after that is not for him. */
  #goneMeanwhile(environment: EnvironmentKey, id: string): Refused | null {
    const { clock, ledger } = this.#deps;
    const token = ledger.state.tokens.get(id);
    if (!token || !isLive(token, toInstant(clock.now()))) {
      return no("unauthenticated", "Send a live token as `Authorization: Bearer <token>`.", BEARER);
    }
    const found = this.#openEnvironment(environment);
    return found.ok ? null : found;
  }

  // --- the end

  /**
   * Sends everybody elsewhere and resolves when they are gone, at the latest six seconds after `spreadMs`. New streams are
   * refused from here on.
   */
  async drain(spreadMs: number = Math.max(3_000, Math.round(this.streamCount / 3))): Promise<void> {
    const { clock, scheduler } = this.#deps;
    this.#draining = true;
    this.#pollRoom.clear();
    this.#receiptRoom.clear();
    if (this.streamCount === 0) return;
    const deadlineMs = spreadMs + 5_000;
    const startedAt = clock.monotonic();
    const goaway = JSON.stringify({ type: "goaway", reason: "shutdown", spreadMs, deadlineMs });
    for (const channel of this.#channels.values()) channel.announce(goaway);
    await new Promise<void>((resolve) => {
      const cancel = scheduler.every(100, () => {
        const elapsedMs = clock.monotonic() - startedAt;
        if (elapsedMs >= deadlineMs) for (const channel of this.#channels.values()) channel.shutAll(ENDINGS.draining);
        if (this.#sockets.size > 0 && elapsedMs < deadlineMs + this.#options.closeTimeoutMs) return;
        cancel();
        resolve();
      });
    });
  }

  /** Ends everything at once. */
  close(): void {
    this.#draining = true;
    for (const cancel of this.#cancels) cancel();
    this.#pollRoom.clear();
    this.#receiptRoom.clear();
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #close(event: ClosingEvent): void {
    switch (event.type) {
      case "token_revoked":
        this.#shutToken(event.token);
        return;
      case "environment_archived":
        this.#channels.get(event.environment)?.shutAll(ENDINGS.environment_archived);
        return;
      case "history_rewritten":
        for (const channel of this.#channels.values()) {
          channel.rewritten();
          this.#polling.wake(channel);
        }
        return;
    }
  }

  #shutToken(token: string): void {
    const channels = new Set(this.#streams.get(token)?.values());
    for (const channel of channels) {
      channel.shutAll(ENDINGS.unauthenticated, ({ session }) => session.identity.token === token);
    }
  }

  // --- time

  #tick(): void {
    const { clock, ledger } = this.#deps;
    const now = toInstant(clock.now());
    for (const id of this.#streams.keys()) {
      const token = ledger.state.tokens.get(id);
      if (!token || !isLive(token, now)) this.#shutToken(id);
    }
    for (const channel of this.#channels.values()) channel.tick();
  }

  #prune(): void {
    for (const channel of this.#channels.values()) channel.prune();
  }

  // --- letting clients in

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // First of all: an error on a socket nobody listens to ends the process.
    socket.on("error", () => socket.destroy());
    const asked = readUpgradeRequest(request);
    const admission = this.#admit(asked, request);
    if (!admission.ok) {
      this.#refuse(socket, admission);
      return;
    }
    const { channel, arrival } = admission;
    this.#handshaker.accept({ request, socket, head, deflated: arrival.deflated }, (websocket) => {
      try {
        this.#open(channel, arrival, websocket, socket);
      } catch (error) {
        this.#deps.logger.error({ error, environment: channel.environment }, "a stream could not be opened");
        socket.destroy();
      }
    });
  }

  #admit(
    asked: UpgradeRequest,
    request: IncomingMessage,
  ): { readonly ok: true; readonly channel: Channel; readonly arrival: Arrival } | Refused {
    if (asked.path !== STREAM_PATH) return no("not_found", "There is nothing at this path that can be upgraded.");
    if (!asked.isWebsocket) return no("invalid_request", "This path takes a GET that asks for a websocket.");
    if (this.#draining) return no("draining", "The server is shutting down.", { "Retry-After": "1" });
    if (this.#lagMeter.lagMs > this.#options.lagLimitMs) {
      return no("overloaded", "The server is catching up.", { "Retry-After": String(1 + this.#jitter(4)) });
    }
    const authentication = this.#authenticate(asked, request);
    if (!authentication.ok) return authentication;
    if (!asked.speaksProtocol) {
      return no("upgrade_required", `Offer the subprotocol ${SUBPROTOCOL}.`, {
        Upgrade: "websocket",
        Connection: "close",
      });
    }
    const { actor, environment } = authentication;
    const found = this.#openEnvironment(environment);
    if (!found.ok) return found;
    const { channel } = found;
    const query = readStreamQuery(asked.query);
    if (!query.ok) return query;
    const full = this.#fullness(actor.token);
    if (full) return full;
    const ahead = this.#settleAhead(channel, query.claim);
    if (ahead) return ahead;

    const { instance = "", boot = "", sdk = "", resume } = query.query;
    const arrival: Arrival = {
      identity: { token: actor.token, instance, boot, sdk },
      claim: query.claim,
      resume,
      deflated: asked.deflated,
      telemetrySequence: this.#deps.telemetry.lastSequence(environment, instance, boot),
    };
    return { ok: true, channel, arrival };
  }

  #authenticate(
    asked: UpgradeRequest,
    request: IncomingMessage,
  ): { readonly ok: true; readonly actor: Actor; readonly environment: EnvironmentKey } | Refused {
    const address = this.#deps.clientAddress?.(request) ?? request.socket.remoteAddress ?? "";
    const result = this.#deps.authenticator.authenticate(asked.token, address, this.#requestId());
    if (!result.ok) {
      const { refusal, retryAfterMs } = result;
      const headers = retryAfterMs === null ? BEARER : { "Retry-After": String(Math.ceil(retryAfterMs / 1_000)) };
      return { ok: false, refusal, headers };
    }
    const refusal = permits(result.actor, "subscribe", "any");
    if (refusal) return { ok: false, refusal };
    const [environment] = result.actor.environments ?? [];
    if (!environment) return no("forbidden", "The token has no environment.");
    return { ok: true, actor: result.actor, environment };
  }

  #openEnvironment(environment: EnvironmentKey): { readonly ok: true; readonly channel: Channel } | Refused {
    const state = this.#deps.ledger.state.environments.get(environment);
    if (!state) return no("environment_not_found", "The environment of this token is gone.");
    if (state.archivedAt !== null) return no("environment_archived", `The environment ${environment} is archived.`);
    return { ok: true, channel: this.#channelOf(state) };
  }

  #fullness(token: string): Refused | null {
    const ofToken = this.#streams.get(token)?.size ?? 0;
    const { streamsPerProcess, streamsPerToken } = this.#options;
    if (ofToken < streamsPerToken && this.#sockets.size < streamsPerProcess) return null;
    const limit =
      ofToken < streamsPerToken ? `process may hold ${streamsPerProcess}` : `token may hold ${streamsPerToken}`;
    return no("too_many_streams", `This ${limit} streams.`, { "Retry-After": String(5 + this.#jitter(25)) });
  }

  /**
   * A client that holds a revision we do not have, in our own epoch: history was lost. It must never be given an older state
   * under the same epoch, so either a new epoch begins, or it stays outside.
   */
  #settleAhead(channel: Channel, claim: Claim): Refused | null {
    if (claim === null || !channel.isAhead(claim)) return null;
    const { ledger, logger } = this.#deps;
    const { environment, head } = channel;
    logger.error({ environment, head, presented: claim.revision }, "a client is ahead of the database");
    if (ledger.reportAhead(environment, claim.revision) && !channel.isAhead(claim)) return null;
    return no("position_ahead", "Retry later: your state is newer than this server's.", { "Retry-After": "60" });
  }

  #open(channel: Channel, arrival: Arrival, websocket: WebSocket, socket: Socket): void {
    const wire = createWire(websocket, socket, this.#deps.scheduler, this.#options.closeTimeoutMs);
    const connection = channel.join(arrival, wire);
    const { token } = arrival.identity;
    const streams = this.#streams.get(token) ?? new Map<Connection, Channel>();
    this.#streams.set(token, streams.set(connection, channel));
    this.#sockets.add(socket);

    websocket.on("message", (data, isBinary) => {
      try {
        this.#conversation.hear(channel, connection, isBinary ? null : (data as Buffer).toString("utf8"));
      } catch (error) {
        // A defect ends this connection, not the process.
        this.#deps.logger.error({ error, token }, "a message could not be handled");
        channel.shut(connection, ENDINGS.internal);
      }
    });
    websocket.on("ping", () => this.#conversation.heardPing(channel, connection));
    websocket.on("error", () => {}); // `close` follows
    socket.on("drain", () => channel.drained(connection));
    websocket.on("close", (code) => {
      this.#sockets.delete(socket);
      streams.delete(connection);
      if (streams.size === 0 && this.#streams.get(token) === streams) this.#streams.delete(token);
      channel.left(connection, code === 1000 || code === 1001);
    });
  }

  #refuse(socket: Socket, { refusal, headers }: Refused): void {
    this.#world.metrics.refusals.inc({ code: refusal.code });
    refuseUpgrade(socket, refusal, this.#requestId(), headers);
  }

  // --- helpers

  #channel(environment: EnvironmentKey): Channel | undefined {
    const state = this.#deps.ledger.state.environments.get(environment);
    return state && this.#channelOf(state);
  }

  #channelOf(state: EnvironmentState): Channel {
    const known = this.#channels.get(state.key);
    if (known) return known;
    const channel = new Channel(state, this.#world);
    this.#channels.set(state.key, channel);
    return channel;
  }

  #requestId(): string {
    return `req_${Buffer.from(this.#deps.random.bytes(16)).toString("base64url")}`;
  }

  /** Whole seconds in [0, below). */
  #jitter(below: number): number {
    return Math.floor(this.#deps.random.next() * below);
  }
}

export function createHub(deps: HubDeps): Hub {
  return new Hub(deps);
}

const BEARER = { "WWW-Authenticate": 'Bearer realm="bunting"' };

function no(code: Refusal["code"], detail: string, headers: Readonly<Record<string, string>> = {}): Refused {
  return { ok: false, refusal: { code, detail }, headers };
}
