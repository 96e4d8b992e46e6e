import type { EnvironmentKey, FlagKey } from "@bunting/contracts";
import { killMessage, patch } from "@bunting/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Commit } from "../ledger/state.ts";
import { areSendable, blockBytes, ChangeLog, frameCommit, type LogEntry } from "./change-log.ts";

const roomy = { entries: 1_024, bytes: 4 * 1024 * 1024, ageMs: 600_000 };

const entry = (revision: number, bytes = 10, at = 0): LogEntry => ({
  previous: revision - 1,
  reaches: revision,
  frame: Buffer.alloc(bytes, revision % 256),
  at,
});

function filled(from: number, to: number, limits = roomy, bytes = 10): ChangeLog {
  const log = new ChangeLog(from, limits);
  for (let revision = from + 1; revision <= to; revision++) log.append(entry(revision, bytes));
  return log;
}

describe("ST-13 the log continues from any position it covers", () => {
  it("gives every frame after the position, each once and in order", () => {
    fc.assert(
      fc.property(fc.nat(50), fc.nat(60), fc.nat(120), fc.nat(120), (start, length, pruned, from) => {
        const log = filled(start, start + length);
        log.prune(pruned, 0);
        const entries = log.since(from);
        expect(entries !== null).toBe(from >= log.base && from <= log.head);
        const revisions = entries?.map(({ previous, reaches }) => [previous, reaches]) ?? [];
        const expected = Array.from({ length: revisions.length }, (_, index) => [from + index, from + index + 1]);
        expect(revisions).toEqual(expected);
        if (entries) expect(entries.at(-1)?.reaches ?? from).toBe(log.head);
      }),
    );
  });

  it("shares its frames with everyone who continues", () => {
    const log = filled(0, 10);
    expect(log.since(3)?.at(-1)?.frame).toBe(log.since(9)?.[0]?.frame);
    const entries = log.since(0) ?? [];
    expect(areSendable(entries) && blockBytes(entries)).toBe(100);
  });

  it("does not continue by patches across a commit that is too large for one", () => {
    const log = filled(0, 3);
    log.append({ previous: 3, reaches: 4, frame: null, at: 0 });
    log.append(entry(5));
    expect(areSendable(log.since(3) ?? [])).toBe(false);
    expect(areSendable(log.since(4) ?? [])).toBe(true);
  });
});

describe("ST-54 the log is bounded", () => {
  it.each([
    { what: "entries", limits: { ...roomy, entries: 10 }, kept: 10 },
    { what: "bytes", limits: { ...roomy, bytes: 55 }, kept: 5 },
  ])("by $what", ({ limits, kept }) => {
    const log = filled(0, 100, limits);
    expect(log.length).toBe(kept);
    expect(log.base).toBe(100 - kept);
    expect(log.head).toBe(100);
  });

  it("by age", () => {
    const log = new ChangeLog(0, { ...roomy, ageMs: 1_000 });
    log.append(entry(1, 10, 0));
    log.append(entry(2, 10, 900));
    log.prune(0, 1_500);
    expect(log.base).toBe(1);
    log.prune(0, 5_000);
    expect([log.base, log.head, log.length]).toEqual([2, 2, 0]);
  });

  it("gives nothing of a history that was rewritten", () => {
    const log = filled(0, 10);
    log.reset(40);
    expect(log.since(5)).toBeNull();
    expect(log.since(40)).toEqual([]);
  });
});

const commit = (more: Partial<Commit>): Commit => ({
  environment: "production" as EnvironmentKey,
  epoch: "e1",
  previous: 4,
  revision: 5,
  operations: [{ op: "remove", kind: "flag", key: "a" as FlagKey }],
  checksum: "0123456789ab",
  kill: null,
  committedAt: 0,
  ...more,
});

const payload = (frame: Buffer | null): unknown =>
  JSON.parse((frame ?? Buffer.alloc(0)).subarray(2 + (frame?.[1] === 126 ? 2 : 0)).toString());

describe("ST-24 one transaction is one message", () => {
  it("is a patch", () => {
    expect(patch.parse(payload(frameCommit(commit({}))))).toMatchObject({ previous: 4, revision: 5 });
  });

  it("is a kill if it is nothing else", () => {
    const kill = [{ key: "a" as FlagKey, checksum: "0123456789ab" }];
    expect(killMessage.parse(payload(frameCommit(commit({ kill }))))).toMatchObject({
      previous: 4,
      revision: 5,
      flags: kill,
    });
  });

  it("is a patch if it kills more flags than a kill message may hold", () => {
    const kills = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ key: `f${index}` as FlagKey, checksum: "0123456789ab" }));
    expect(killMessage.safeParse(payload(frameCommit(commit({ kill: kills(1_000) })))).success).toBe(true);
    expect(patch.safeParse(payload(frameCommit(commit({ kill: kills(1_001) })))).success).toBe(true);
  });
});

describe("ST-27 a patch that is too large is not framed", () => {
  it.each([
    { characters: 200_000, framed: true },
    { characters: 262_144, framed: false },
  ])("$characters characters", ({ characters, framed }) => {
    const large = commit({ operations: [{ op: "remove", kind: "flag", key: "k".repeat(characters) as FlagKey }] });
    expect(frameCommit(large) !== null).toBe(framed);
  });
});
