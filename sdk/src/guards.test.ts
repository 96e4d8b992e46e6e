import { ruleset, type ServerMessage, serverMessage } from "@bunting/contracts";
import { booleanFlag } from "@bunting/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { asRuleset, parseServerMessage, parseSnapshot } from "./guards.ts";

const FLAG = booleanFlag("redis", {
  entry: {
    pins: { on: ["qa"] },
    prerequisites: [{ flag: "other", variants: ["on"] }],
    rules: [
      {
        id: "eu",
        when: [{ attribute: "country", op: "in", values: ["FR", 1, true] }, { segment: "staff" }],
        serve: { variant: "on" },
      },
    ],
    metadata: { owner: "team", level: 3, hot: true },
    rollout: {
      id: "r-1",
      attempt: 2,
      stage: 0,
      canary: "on",
      control: "off",
      rule: "eu",
      groupSalt: 4_294_967_295,
      metrics: ["conversion"],
    },
  },
});
const SEGMENT = {
  key: "staff",
  when: [{ attribute: "email", op: "ends_with", values: ["@x"] }],
  checksum: "0123456789ab",
};
const CHECKSUM = "8fe15e7f3e43";

/** One valid message of each type, with every field. */
const VALID: Record<ServerMessage["type"], object> = {
  welcome: {
    type: "welcome",
    session: "s",
    resume: "r",
    resumeTtlMs: 1,
    epoch: "e",
    revision: 3,
    checksum: CHECKSUM,
    mode: "delta",
    reason: "behind",
    resumed: true,
    telemetrySequence: 0,
    heartbeatMs: 20_000,
    ackHoldMs: 20,
    node: "n",
    sentAt: 1_767_225_600_000,
  },
  snapshot: {
    type: "snapshot",
    epoch: "e",
    revision: 3,
    checksum: CHECKSUM,
    part: 1,
    parts: 2,
    flags: { redis: FLAG },
    segments: { staff: SEGMENT },
  },
  patch: {
    type: "patch",
    previous: 1,
    revision: 2,
    checksum: CHECKSUM,
    operations: [
      { op: "put", kind: "flag", key: "redis", value: FLAG },
      { op: "put", kind: "segment", key: "staff", value: SEGMENT },
      { op: "remove", kind: "flag", key: "old" },
    ],
  },
  kill: { type: "kill", previous: 1, revision: 2, flags: [{ key: "redis", checksum: CHECKSUM }], checksum: CHECKSUM },
  heartbeat: { type: "heartbeat", revision: 2, checksum: CHECKSUM, ackHoldMs: 20, sentAt: 1 },
  telemetry_ack: { type: "telemetry_ack", sequence: 4, nextMs: 5_000 },
  goaway: { type: "goaway", reason: "shutdown", spreadMs: 3_000, deadlineMs: 8_000 },
  error: { type: "error", code: "message_rate", message: "slow down", fatal: false, retryAfterMs: 5, sequence: 3 },
};

const accepts = (message: unknown): boolean => {
  const parsed = parseServerMessage(JSON.stringify(message));
  return parsed !== null && "message" in parsed;
};

describe("LC-46 only what is valid gets in", () => {
  it.each(Object.entries(VALID))("accepts %s, and unknown fields with it (ST-22)", (_type, message) => {
    expect(accepts(message)).toBe(true);
    expect(accepts({ ...message, added_in_2031: { deep: [1] } })).toBe(true);
    expect(serverMessage.safeParse(message).success).toBe(true);
  });

  it("names an unknown type instead of refusing it (ST-23)", () => {
    expect(parseServerMessage('{"type":"greeting"}')).toEqual({ unknown: "greeting" });
  });

  it.each(["", "null", "[]", "1", '"welcome"', "{", '{"type":1}', "{}", "<html>", "\u0000"])("refuses %j", (text) => {
    expect(parseServerMessage(text)).toBeNull();
    expect(parseSnapshot(text)).toBeNull();
  });

  it.each(["__proto__", "constructor", "prototype", "", "a b", "é", "x".repeat(129)])("refuses %j as a key", (key) => {
    const flags = `{${JSON.stringify(key)}:${JSON.stringify(FLAG)}}`;
    const text = `{"type":"snapshot","epoch":"e","revision":1,"checksum":"${CHECKSUM}","part":1,"parts":1,"segments":{},"flags":${flags}}`;
    expect(parseServerMessage(text)).toBeNull();
  });

  it("refuses values too deep to be written down again, and numbers that are none", () => {
    const deep = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;
    const withValue = (value: string): string =>
      JSON.stringify(VALID.patch).replace('"on":{"value":true}', `"on":{"value":${value}}`);
    expect(parseServerMessage(withValue(deep(64)))).not.toBeNull();
    expect(parseServerMessage(withValue(deep(66)))).toBeNull();
    expect(parseServerMessage(withValue("1e400"))).toBeNull();
    expect(parseServerMessage(withValue(deep(30_000)))).toBeNull();
  });
});

describe("guards and schemas come to the same verdict", () => {
  /** Values that are near enough to be mistaken. */
  const strange = fc.oneof(
    fc.constantFrom(
      null,
      true,
      "",
      "x",
      0,
      -1,
      1.5,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      "0123456789ab",
      "0123456789AB",
      [],
      {},
      [[]],
      "on",
      "clicks_2",
      "a b",
      1,
      2 ** 32,
      "\ud800",
    ),
    fc.jsonValue({ maxDepth: 3 }),
    fc.string(),
    fc.integer(),
  );

  it("on every message with one place changed, removed or added", () => {
    const places = Object.entries(VALID).flatMap(([type, message]) => pathsOf(message).map((path) => ({ type, path })));
    fc.assert(
      fc.property(
        fc.constantFrom(...places),
        fc.oneof(fc.constant("removed" as const), strange),
        ({ type, path }, value) => {
          const message = structuredClone(VALID[type as ServerMessage["type"]]);
          change(message, path, value);
          const text = JSON.stringify(message);
          const valid = serverMessage.safeParse(JSON.parse(text)).success;
          const parsed = parseServerMessage(text);
          if (parsed !== null && "unknown" in parsed) return;
          expect(parsed !== null, `${type} ${path.join(".")} ← ${JSON.stringify(value)}`).toBe(valid);
        },
      ),
      { numRuns: 6_000 },
    );
  });

  it("on rulesets, which files and applications bring", () => {
    const whole = { epoch: "e", revision: 3, checksum: CHECKSUM, flags: { redis: FLAG }, segments: { staff: SEGMENT } };
    fc.assert(
      fc.property(fc.constantFrom(...pathsOf(whole)), strange, (path, value) => {
        const changed = structuredClone(whole);
        change(changed, path, value);
        const parsed: unknown = JSON.parse(JSON.stringify(changed));
        expect(asRuleset(parsed) !== null).toBe(ruleset.safeParse(parsed).success);
      }),
      { numRuns: 2_000 },
    );
  });
});

function pathsOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.keys(value).flatMap((key) => [
    [...path, key],
    ...pathsOf((value as Record<string, unknown>)[key], [...path, key]),
  ]);
}

function change(message: object, path: readonly string[], value: unknown): void {
  let place = message as Record<string, unknown>;
  for (const step of path.slice(0, -1)) place = place[step] as Record<string, unknown>;
  const last = path.at(-1) ?? "";
  if (value === "removed") delete place[last];
  else place[last] = value;
}
