import { STREAM_TIMING } from "@bunting/contracts/literals";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ackHoldMs, type Claim, judgeAck, parseClaim, placeClaim, prunableRevision } from "./backlog.ts";

const range = { epoch: "e1", base: 10, head: 20 };
const at = (revision: number, epoch = "e1"): Claim => ({ epoch, revision });

describe("ST-11 a position gets exactly what it lacks", () => {
  it.each([
    { held: null, gets: "snapshot", because: "first" },
    { held: at(15, "e0"), gets: "snapshot", because: "epoch" },
    { held: at(999, "e0"), gets: "snapshot", because: "epoch" },
    { held: at(9), gets: "snapshot", because: "compacted" },
    { held: at(0), gets: "snapshot", because: "compacted" },
    { held: at(10), gets: "delta", because: "behind" }, // exactly at the compaction edge
    { held: at(19), gets: "delta", because: "behind" },
    { held: at(20), gets: "none", because: "current" },
  ])("$held -> $gets ($because)", ({ held, gets, because }) => {
    expect(placeClaim(held, range, () => true)).toEqual({ mode: gets, reason: because });
  });

  it("finds a position by range, wherever the log was cut", () => {
    fc.assert(
      fc.property(fc.nat(100), fc.nat(100), fc.nat(300), (base, length, revision) => {
        const head = base + length;
        const placement = placeClaim(at(revision), { epoch: "e1", base, head }, () => true);
        const expected =
          revision > head ? "ahead" : revision === head ? "none" : revision < base ? "snapshot" : "delta";
        expect(placement.mode).toBe(expected);
      }),
    );
  });
});

describe("ST-12 a delta that costs more than the snapshot is not sent", () => {
  it("sends the snapshot instead", () => {
    expect(placeClaim(at(15), range, () => false)).toEqual({ mode: "snapshot", reason: "cheaper" });
  });

  it("does not compare where there is nothing to compare", () => {
    let compared = 0;
    for (const held of [null, at(20), at(9), at(21), at(15, "e0")]) placeClaim(held, range, () => ++compared > 0);
    expect(compared).toBe(0);
  });
});

describe("ST-14 a client ahead of the head is told apart", () => {
  it.each([21, 22, 1_000_000])("%i of the same epoch is ahead", (revision) => {
    expect(placeClaim(at(revision), range, () => true)).toEqual({ mode: "ahead" });
  });
});

describe("ST-7 a position that makes no sense is no position", () => {
  it.each([
    ["e1", "-1"],
    ["e1", "1.5"],
    ["e1", "1e3"],
    ["e1", "007"],
    ["e1", " 7"],
    ["e1", ""],
    ["e1", "9007199254740993"],
    ["e1", "99999999999999999999"],
    ["e1", "NaN"],
    ["", "7"],
    ["e".repeat(65), "7"],
    ["e1", undefined],
    [undefined, "7"],
  ])("(%s, %s)", (epoch, revision) => {
    expect(parseClaim(epoch, revision)).toBeNull();
  });

  it("reads one that does", () => {
    expect(parseClaim("e1", "0")).toEqual({ epoch: "e1", revision: 0 });
    expect(parseClaim("e1", "9007199254740991")).toEqual({ epoch: "e1", revision: Number.MAX_SAFE_INTEGER });
  });
});

describe("ST-43 an ack counts only forward and only for what was sent", () => {
  it.each([
    { revision: 6, verdict: "accepted" },
    { revision: 8, verdict: "accepted" },
    { revision: 5, verdict: "repeated" },
    { revision: 4, verdict: "ignored" },
    { revision: 0, verdict: "ignored" },
    { revision: 9, verdict: "ignored" },
  ])("$revision is $verdict when 5 is acknowledged and 8 was sent", ({ revision, verdict }) => {
    expect(judgeAck(revision, 5, 8)).toBe(verdict);
  });

  it("accepts nothing before anything was sent", () => {
    expect(judgeAck(3, 0, -1)).toBe("ignored");
  });
});

describe("ST-44 acks are held longer the more connections there are", () => {
  it.each([
    [1, 20],
    [1_000, 20],
    [5_000, 100],
    [10_000, 200],
    [50_000, 1_000],
    [500_000, 1_000],
  ])("%i connections: %i ms", (connections, holdMs) => {
    expect(ackHoldMs(connections, STREAM_TIMING.ackHoldMinMs, STREAM_TIMING.ackHoldMaxMs)).toBe(holdMs);
  });
});

describe("ST-54 what everybody has may go", () => {
  it.each([
    { acknowledged: [], head: 100, margin: 5, upTo: 95 },
    { acknowledged: [100, 100], head: 100, margin: 5, upTo: 95 },
    { acknowledged: [100, 40], head: 100, margin: 5, upTo: 40 },
    { acknowledged: [98], head: 100, margin: 5, upTo: 95 },
    { acknowledged: [], head: 3, margin: 5, upTo: 0 },
  ])("$acknowledged of $head: up to $upTo", ({ acknowledged, head, margin, upTo }) => {
    expect(prunableRevision(acknowledged, head, margin)).toBe(upTo);
  });
});

describe("ST-41 the intervals fit each other", () => {
  it("notices a dead server before its state counts as stale, and tries again before that", () => {
    expect(2 * STREAM_TIMING.heartbeatMs).toBeLessThan(STREAM_TIMING.staleAfterMs);
    expect(STREAM_TIMING.backoffCapMs).toBeLessThan(STREAM_TIMING.staleAfterMs);
  });
});
