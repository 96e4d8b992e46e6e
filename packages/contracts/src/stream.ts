import { z } from "zod";
import { flagKey, segmentKey } from "./key.ts";
import { LIMITS } from "./literals.ts";
import { checksum, epoch, operation, revision, rulesetFlag, rulesetSegment } from "./ruleset.ts";
import { telemetryBatch } from "./telemetry.ts";

/*
 * The stream protocol `bunting.v1`: JSON text frames, one message per unfragmented frame, a union on `type`. Numbered clauses
 * are in docs/spec/stream.md. Unknown fields are ignored on both sides; an unknown `type` is ignored by clients and counts as
 * malformed at the server, so servers are upgraded before SDKs.
 *
 * History
 *   v1  first version
 */

const milliseconds = z.int().min(0);
const sequence = z.int().min(0);

/** First frame. Says where the server stands and how the client gets there. */
export const welcome = z.object({
  type: z.literal("welcome"),
  session: z.string().min(1).max(64),
  /** Continues this session on a new connection. Not a credential: it is worth nothing without the token. */
  resume: z.string().max(512),
  resumeTtlMs: milliseconds,
  epoch,
  /** Head of the environment, not the position the client holds. */
  revision,
  checksum,
  mode: z.enum(["none", "delta", "snapshot"]),
  reason: z.enum(["first", "current", "behind", "epoch", "compacted", "cheaper"]),
  resumed: z.boolean(),
  /** Highest batch of this instance and boot that is durable, else 0. */
  telemetrySequence: sequence,
  heartbeatMs: milliseconds,
  ackHoldMs: milliseconds,
  /** Name of the server process. */
  node: z.string(),
  /** The server's clock, Unix ms: evidence is placed by it. Absent from servers that run no rollouts. */
  sentAt: milliseconds.optional(),
});

/** The whole ruleset in disjoint parts, swapped in atomically after the last. */
export const snapshot = z.object({
  type: z.literal("snapshot"),
  epoch,
  revision,
  checksum,
  part: z.int().min(1),
  parts: z.int().min(1),
  flags: z.record(flagKey, rulesetFlag),
  segments: z.record(segmentKey, rulesetSegment),
});
export type Snapshot = z.infer<typeof snapshot>;

/** One transaction, all or nothing. `revision` is `previous + 1`; `checksum` is the ruleset's after it. */
export const patch = z.object({
  type: z.literal("patch"),
  previous: revision,
  revision,
  operations: z.array(operation).min(1),
  checksum,
});
export type Patch = z.infer<typeof patch>;

/** Sets `killed` on these flags. A log entry like a patch that may also overtake earlier revisions. */
export const killMessage = z.object({
  type: z.literal("kill"),
  previous: revision,
  revision,
  flags: z
    .array(z.object({ key: flagKey, checksum }))
    .min(1)
    .max(1000),
  checksum,
});
export type KillMessage = z.infer<typeof killMessage>;

/** Finds a lost last patch and drift. The client answers with an ack at once. */
export const heartbeat = z.object({
  type: z.literal("heartbeat"),
  revision,
  checksum,
  ackHoldMs: milliseconds,
  /** Unix ms. */
  sentAt: milliseconds,
});

/** All batches of this boot up to `sequence` are durable. `nextMs` sets the flush interval. */
export const telemetryAck = z
  .object({
    type: z.literal("telemetry_ack"),
    sequence,
    nextMs: milliseconds.optional(),
  })
  .meta({ id: "TelemetryAck" });

/** Move to a new connection at a random moment within `spreadMs`. */
export const goaway = z.object({
  type: z.literal("goaway"),
  reason: z.enum(["shutdown", "rebalance", "maintenance"]),
  spreadMs: milliseconds,
  deadlineMs: milliseconds,
});

/** `fatal`: a close follows. With `sequence`: that batch was refused and recorded as such; drop it. */
export const errorMessage = z.object({
  type: z.literal("error"),
  code: z.string(),
  message: z.string().max(200),
  fatal: z.boolean(),
  retryAfterMs: milliseconds.optional(),
  sequence: sequence.optional(),
});

export const serverMessage = z.discriminatedUnion("type", [
  welcome,
  snapshot,
  patch,
  killMessage,
  heartbeat,
  telemetryAck,
  goaway,
  errorMessage,
]);
export type ServerMessage = z.infer<typeof serverMessage>;
export type Welcome = z.infer<typeof welcome>;
export type Heartbeat = z.infer<typeof heartbeat>;

/** Cumulative: everything up to `revision` is applied. `heldMs` is the time between applying it and sending this. */
export const ack = z.object({ type: z.literal("ack"), revision, heldMs: z.int().min(0).max(60_000) });
export type Ack = z.infer<typeof ack>;

export const telemetryMessage = z.object({ type: z.literal("telemetry"), batch: telemetryBatch });

/** Send me a snapshot. */
export const resync = z.object({ type: z.literal("resync"), reason: z.enum(["gap", "checksum"]) });

export const clientMessage = z.discriminatedUnion("type", [ack, telemetryMessage, resync]);
export type ClientMessage = z.infer<typeof clientMessage>;

const printable = z
  .string()
  .regex(/^[\x20-\x7e]*$/)
  .max(LIMITS.instanceNameCharacters);

/** The query of an upgrade or poll request. All optional, nothing secret; a bad position means a snapshot, not an error. */
export const streamQuery = z.object({
  epoch: z.string().optional(),
  revision: z.string().optional(),
  resume: z
    .string()
    .max(5 * 1024)
    .optional(),
  /** Stable name of the application instance. */
  instance: printable.optional(),
  /** Random per process start: tells the restarts of an instance apart. */
  boot: printable.optional(),
  /** Name and version, as in `bunting-node/1.4.0`. */
  sdk: printable.optional(),
});
export type StreamQuery = z.infer<typeof streamQuery>;
