import { type ClientMessage, clientMessage, type ErrorCode, type TelemetryBatch } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { readDocument } from "../field-errors.ts";
import type { Clock, Logger } from "../ports.ts";
import { type Telemetry, telemetryIdentity } from "../telemetry/telemetry.ts";
import { BATCH_BURST, type Channel } from "./channel.ts";
import { type Connection, LAGGING_BYTES } from "./connection.ts";
import { ENDINGS } from "./ending.ts";
import { textFrame } from "./frame.ts";
import { countInSecond, takeToken } from "./rate.ts";
import type { StreamMetrics } from "./stream-metrics.ts";

export interface ConversationWorld {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: StreamMetrics;
  readonly telemetry: Telemetry;
}

/** What clients say on their streams: parsed at this edge, limited, and handed to those whom it concerns. */
export class Conversation {
  readonly #world: ConversationWorld;

  constructor(world: ConversationWorld) {
    this.#world = world;
  }

  /** One message. Whatever it is, the stream stays right; too much of the wrong kind ends it. */
  hear(channel: Channel, connection: Connection, text: string | null): void {
    if (!this.#admit(channel, connection)) return;
    const value = text === null ? undefined : parse(text);
    const message = readDocument(clientMessage, value, text?.length ?? 0);
    if (message.success) this.#dispatch(channel, connection, message.data);
    else this.#malformed(channel, connection, value);
  }

  /** A ping is no message, but costs as much. */
  heardPing(channel: Channel, connection: Connection): void {
    this.#admit(channel, connection);
  }

  #admit(channel: Channel, connection: Connection): boolean {
    if (!connection.open) return false;
    connection.unanswered = false;
    connection.session.lastSeenAt = this.#world.clock.now();
    if (countInSecond(connection.messages, LIMITS.messagesPerSecond, this.#world.clock.monotonic())) return true;
    this.#sayError(connection, "message_rate", { fatal: true });
    channel.shut(connection, ENDINGS.message_rate);
    return false;
  }

  #dispatch(channel: Channel, connection: Connection, message: ClientMessage): void {
    switch (message.type) {
      case "ack":
        channel.acknowledge(connection, message.revision, message.heldMs);
        return;
      case "resync":
        channel.resync(connection, message.reason);
        return;
      case "telemetry":
        this.#telemetry(channel, connection, message.batch);
        return;
    }
  }

  #telemetry(channel: Channel, connection: Connection, batch: TelemetryBatch): void {
    const { clock, metrics, telemetry } = this.#world;
    const { instance, boot } = connection.session.identity;
    if (batch.instance !== instance || batch.boot !== boot) {
      this.#countMalformed(channel, connection);
      this.#sayError(connection, "message_malformed", { sequence: batch.sequence });
      return;
    }
    const interval = LIMITS.telemetryBatchIntervalMs;
    const retryAfterMs = takeToken(connection.batches, BATCH_BURST, interval, clock.monotonic());
    if (retryAfterMs > 0) {
      metrics.batchesLimited.inc();
      this.#sayError(connection, "message_rate", { retryAfterMs });
      return;
    }
    void telemetry.record(channel.environment, batch).then((answer) => {
      switch (answer.type) {
        case "stored":
          this.#say(connection, { type: "telemetry_ack", sequence: answer.sequence });
          return;
        case "refused":
          this.#sayError(connection, answer.code, { sequence: batch.sequence });
          return;
        case "unavailable":
          return; // not acknowledged: the client sends it again
      }
    });
  }

  #malformed(channel: Channel, connection: Connection, value: unknown): void {
    this.#countMalformed(channel, connection);
    if (!connection.open) return;
    const batch = telemetryIdentity(value);
    const { instance, boot } = connection.session.identity;
    if (!batch || batch.instance !== instance || batch.boot !== boot) {
      this.#sayError(connection, "message_malformed");
      return;
    }
    // A batch that can never be counted takes its number all the same, or every later one would wait for it.
    void this.#world.telemetry.refuse(channel.environment, batch).then(() => {
      this.#sayError(connection, "message_malformed", { sequence: batch.sequence });
    });
  }

  #countMalformed(channel: Channel, connection: Connection): void {
    this.#world.metrics.malformed.inc();
    connection.malformed += 1;
    if (connection.malformed < LIMITS.malformedMessages) return;
    const { token, instance } = connection.session.identity;
    this.#world.logger.warn({ token, instance, code: "message_malformed" }, "stream ended");
    this.#sayError(connection, "message_malformed", { fatal: true });
    channel.shut(connection, ENDINGS.message_malformed);
  }

  #sayError(
    connection: Connection,
    code: ErrorCode,
    more: { readonly fatal?: boolean; readonly retryAfterMs?: number; readonly sequence?: number } = {},
  ): void {
    this.#say(connection, { type: "error", code, message: MESSAGES[code] ?? "", fatal: false, ...more });
  }

  /** Not queued for a client that does not read: it would ask again. */
  #say(connection: Connection, message: object): void {
    if (!connection.open || !connection.wire.writable || connection.wire.backlogBytes > LAGGING_BYTES) return;
    connection.wire.write(textFrame(JSON.stringify(message)));
  }
}

const MESSAGES: Partial<Record<ErrorCode, string>> = {
  message_malformed: "The message does not parse or does not fit its schema. It was ignored.",
  message_rate: "Too many messages.",
  telemetry_too_old: "The batch is older than an hour and of a boot that is not known here. Drop it.",
};

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
