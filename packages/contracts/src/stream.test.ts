import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LIMITS, STREAM_TIMING, SUBPROTOCOL } from "./literals.ts";
import { type ClientMessage, clientMessage, type ServerMessage, serverMessage, streamQuery } from "./stream.ts";
import { telemetryBatch } from "./telemetry.ts";

const checksum = "00000000002a";
const entry = {
  key: "redis",
  type: "boolean",
  bucketing: 1,
  variants: { on: { value: true }, off: { value: false } },
  enabled: true,
  killed: false,
  offVariant: "off",
  salt: 7,
  bucketBy: ["key"],
  pins: {},
  prerequisites: [],
  rules: [],
  fallthrough: {
    allocation: [
      ["on", 0, 25_000],
      ["off", 25_000, 100_000],
    ],
  },
  metadata: {},
  checksum,
};
const batch = {
  instance: "checkout-1",
  boot: "b-1",
  sequence: 1,
  from: 1_767_322_800_000,
  to: 1_767_322_805_000,
  ageMs: 12,
  cells: [{ flag: "redis", variant: "on", exposures: 3 }],
};

/** One good message of each type: a type without an example does not compile. */
const fromServer: Record<ServerMessage["type"], Record<string, unknown>> = {
  welcome: {
    session: "s-1",
    resume: "r-1",
    resumeTtlMs: 120_000,
    epoch: "e-1",
    revision: 7,
    checksum,
    mode: "delta",
    reason: "behind",
    resumed: true,
    telemetrySequence: 0,
    heartbeatMs: 20_000,
    ackHoldMs: 20,
    node: "n-1",
  },
  snapshot: { epoch: "e-1", revision: 7, checksum, part: 1, parts: 1, flags: { redis: entry }, segments: {} },
  patch: {
    previous: 6,
    revision: 7,
    operations: [
      { op: "put", kind: "flag", key: "redis", value: entry },
      { op: "remove", kind: "segment", key: "staff" },
    ],
    checksum,
  },
  kill: { previous: 6, revision: 7, flags: [{ key: "redis", checksum }], checksum },
  heartbeat: { revision: 7, checksum, ackHoldMs: 20, sentAt: 1_767_322_800_000 },
  telemetry_ack: { sequence: 7, nextMs: 60_000 },
  goaway: { reason: "shutdown", spreadMs: 5_000, deadlineMs: 10_000 },
  error: { code: "message_malformed", message: "Not JSON.", fatal: false },
};
const fromClient: Record<ClientMessage["type"], Record<string, unknown>> = {
  ack: { revision: 7, heldMs: 20 },
  telemetry: { batch },
  resync: { reason: "gap" },
};

describe.each([
  ["server", serverMessage, fromServer],
  ["client", clientMessage, fromClient],
] as const)("a message of the %s", (_, schema, examples) => {
  const types = Object.entries(examples);

  it.each(types)("may be: %s", (type, fields) => {
    expect(schema.parse({ type, ...fields })).toEqual({ type, ...fields });
  });

  it.each(types)("loses a field that is newer than this release, and stays good: %s", (type, fields) => {
    expect(schema.parse({ type, ...fields, addedLater: { any: 1 } })).toEqual({ type, ...fields });
  });

  it.each(types)("is malformed without one of its fields: %s", (type, fields) => {
    const optional = new Set(
      ["nextMs", "retryAfterMs", "sequence"].filter((name) => type !== "telemetry_ack" || name === "nextMs"),
    );
    for (const field of Object.keys(fields)) {
      if (optional.has(field)) continue;
      const { [field]: _removed, ...rest } = fields;
      expect([field, schema.safeParse({ type, ...rest }).success]).toEqual([field, false]);
    }
  });

  it("has a type that is known", () => {
    expect(schema.safeParse({ type: "hello" }).success).toBe(false);
    expect(schema.safeParse({}).success).toBe(false);
    expect(schema.safeParse(null).success).toBe(false);
    expect(schema.safeParse([]).success).toBe(false);
  });
});

it.each<[string, unknown]>([
  ["a revision below zero", { type: "ack", revision: -1, heldMs: 0 }],
  ["a fractional revision", { type: "ack", revision: 1.5, heldMs: 0 }],
  ["a revision that is no safe integer", { type: "ack", revision: 2 ** 53, heldMs: 0 }],
  ["a revision that is text", { type: "ack", revision: "7", heldMs: 0 }],
  ["an ack held for more than a minute", { type: "ack", revision: 7, heldMs: 60_001 }],
  ["an unknown reason to resync", { type: "resync", reason: "boredom" }],
])("the server counts as malformed: %s", (_, message) => {
  expect(clientMessage.safeParse(message).success).toBe(false);
});

it.each<[string, unknown]>([
  ["a patch without operations", { type: "patch", ...fromServer.patch, operations: [] }],
  ["an operation nobody knows", { type: "patch", ...fromServer.patch, operations: [{ op: "move", key: "a" }] }],
  ["a checksum in capitals", { type: "heartbeat", ...fromServer.heartbeat, checksum: "00000000002A" }],
  ["part 0 of a snapshot", { type: "snapshot", ...fromServer.snapshot, part: 0 }],
  ["a kill of nothing", { type: "kill", ...fromServer.kill, flags: [] }],
])("an SDK takes a fresh snapshot instead of: %s", (_, message) => {
  expect(serverMessage.safeParse(message).success).toBe(false);
});

it("an operator that is newer than this release crosses the wire, so that its rule alone fails closed", () => {
  const newer = {
    ...entry,
    rules: [{ id: "r", when: [{ attribute: "a", op: "resembles", values: ["x"] }], serve: { variant: "on" } }],
  };
  const message = {
    type: "patch",
    ...fromServer.patch,
    operations: [{ op: "put", kind: "flag", key: "redis", value: newer }],
  };
  expect(serverMessage.parse(message)).toEqual(message);
});

describe("the query of an upgrade", () => {
  it("is optional altogether", () => expect(streamQuery.parse({})).toEqual({}));

  it.each([
    ["instance", "x".repeat(LIMITS.instanceNameCharacters), true],
    ["instance", "x".repeat(LIMITS.instanceNameCharacters + 1), false],
    ["boot", "line\nbreak", false],
    ["sdk", "bunting-node/1.4.0", true],
    ["sdk", "é", false],
  ])("%s = %j", (field, value, good) => {
    expect(streamQuery.safeParse({ [field]: value }).success).toBe(good);
  });

  it("takes a position as it comes: a bad one means a snapshot, not an error", () => {
    expect(streamQuery.safeParse({ epoch: "", revision: "-1e9" }).success).toBe(true);
  });
});

describe("a telemetry batch", () => {
  it.each<[string, Record<string, unknown>]>([
    ["sequence 0", { sequence: 0 }],
    ["a negative age", { ageMs: -1 }],
    ["an empty instance", { instance: "" }],
    ["half an exposure", { cells: [{ flag: "redis", variant: "on", exposures: 0.5 }] }],
    ["too many cells", { cells: Array(LIMITS.telemetryCells + 1).fill(batch.cells[0]) }],
    [
      "too many unknown flags",
      { unknown: Array(LIMITS.telemetryUnknownFlags + 1).fill({ flag: "nope", evaluations: 1 }) },
    ],
  ])("is refused with %s", (_, change) => {
    expect(telemetryBatch.safeParse(batch).success).toBe(true);
    expect(telemetryBatch.safeParse({ ...batch, ...change }).success).toBe(false);
  });
});

describe("the protocol", () => {
  it("has a history beside its schemas that knows the current version", () => {
    const source = readFileSync(new URL("stream.ts", import.meta.url), "utf8");
    const history = /\* History\n((?: \* {3}.*\n)+)/.exec(source)?.[1] ?? "";
    expect(history).toContain(`  ${SUBPROTOCOL.replace("bunting.", "")} `);
  });

  it("is late only after two heartbeats were, and retries faster than it goes stale", () => {
    expect(2 * STREAM_TIMING.heartbeatMs).toBeLessThan(STREAM_TIMING.staleAfterMs);
    expect(STREAM_TIMING.backoffCapMs).toBeLessThan(STREAM_TIMING.staleAfterMs);
    expect(STREAM_TIMING.silenceFactor).toBeGreaterThan(1);
    expect(STREAM_TIMING.ackHoldMinMs).toBeLessThan(STREAM_TIMING.ackHoldMaxMs);
  });
});
