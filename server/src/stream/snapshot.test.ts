import { gunzipSync } from "node:zlib";
import type { EnvironmentKey, RulesetFlag, RulesetSegment, Snapshot as SnapshotMessage } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EnvironmentState } from "../ledger/state.ts";
import { SnapshotFactory } from "./snapshot.ts";

const flag = (key: string, bytes: number): RulesetFlag =>
  ({ key, metadata: { padding: "x".repeat(bytes) }, checksum: "000000000001" }) as unknown as RulesetFlag;
const segment = (key: string): RulesetSegment =>
  ({ key, when: [], checksum: "000000000002" }) as unknown as RulesetSegment;

const environment = (flags: readonly RulesetFlag[], segments: readonly RulesetSegment[] = []): EnvironmentState =>
  ({
    key: "production" as EnvironmentKey,
    revision: 7,
    checksum: "0123456789ab",
    flags: new Map(flags.map((each) => [each.key, each])),
    segments: new Map(segments.map((each) => [each.key, each])),
  }) as unknown as EnvironmentState;

const messagesOf = (state: EnvironmentState): SnapshotMessage[] =>
  new SnapshotFactory()
    .make("e1", state)
    .blocks(false)
    .map(
      ({ frame }) =>
        JSON.parse(frame.toString("utf8", frame[1] === 127 ? 10 : frame[1] === 126 ? 4 : 2)) as SnapshotMessage,
    );

describe("ST-26 a snapshot comes in disjoint parts", () => {
  it("of at most 256 KiB, with everything in exactly one of them", () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 120_000 }), { maxLength: 12 });
    fc.assert(
      fc.property(sizes, fc.nat(3), (flagBytes, segmentCount) => {
        const flags = flagBytes.map((bytes, index) => flag(`flag-${index}`, bytes));
        const segments = Array.from({ length: segmentCount }, (_, index) => segment(`segment-${index}`));
        const state = environment(flags, segments);
        const messages = messagesOf(state);
        expect(messages.flatMap((message) => Object.keys(message.flags))).toEqual(flags.map(({ key }) => key));
        expect(messages.flatMap((message) => Object.keys(message.segments))).toEqual(segments.map(({ key }) => key));
        for (const [index, message] of messages.entries()) {
          const { epoch, revision, checksum, part, parts } = message;
          expect({ epoch, revision, checksum, part, parts }).toEqual({
            epoch: "e1",
            revision: 7,
            checksum: "0123456789ab",
            part: index + 1,
            parts: messages.length,
          });
          expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThanOrEqual(LIMITS.snapshotPartBytes);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("gives an entry that is larger than a part one of its own", () => {
    const messages = messagesOf(environment([flag("a", 10), flag("giant", 400_000), flag("b", 10)]));
    expect(messages.map((message) => Object.keys(message.flags))).toEqual([["a"], ["giant"], ["b"]]);
  });

  it("is one empty part where there is nothing", () => {
    expect(messagesOf(environment([]))).toMatchObject([{ part: 1, parts: 1, flags: {}, segments: {} }]);
  });

  it("counts bytes, not characters", () => {
    const wide = { key: "wide", metadata: { padding: "ü".repeat(140_000) } } as unknown as RulesetFlag;
    expect(messagesOf(environment([flag("a", 1_000), wide]))).toHaveLength(2);
  });
});

describe("ST-10 only the last part moves the position", () => {
  it("so that half a snapshot is none", () => {
    const snapshot = new SnapshotFactory().make("e1", environment([flag("a", 200_000), flag("b", 200_000)]));
    expect(snapshot.blocks(false).map(({ reaches }) => reaches)).toEqual([null, 7]);
    expect(snapshot.blocks(true).map(({ reaches }) => reaches)).toEqual([null, 7]);
  });
});

describe("ST-66 the body for pollers", () => {
  it("is everything in one part, plain and compressed", async () => {
    const snapshot = new SnapshotFactory().make("e1", environment([flag("a", 200_000), flag("b", 200_000)]));
    const body = JSON.parse(snapshot.body().toString()) as SnapshotMessage;
    expect(body).toMatchObject({ part: 1, parts: 1 });
    expect(Object.keys(body.flags)).toEqual(["a", "b"]);
    expect(gunzipSync(await snapshot.gzippedBody()).equals(snapshot.body())).toBe(true);
    expect(snapshot.body()).toBe(snapshot.body()); // made once
  });
});
