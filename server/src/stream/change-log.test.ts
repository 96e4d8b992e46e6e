import type { EnvironmentKey, FlagKey } from "@bunting/contracts";
import { killMessage, patch } from "@bunting/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Commit } from "../ledger/state.ts";
import { BLOCK_BYTES, blockBytes, ChangeLog, frameCommit, type LogEntry } from "./change-log.ts";

const roomy = { entries: 1_024, bytes: 4 * 1024 * 1024, ageMs: 600_000 };

const entry = (revision: number, bytes = 10, at = 0): LogEntry => ({
  previous: revision - 1,
  revision,
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
        const blocks = log.since(from);
        const covered = from >= log.base && from <= log.head;
        expect(blocks !== null).toBe(covered);
        if (!blocks) return;
        const frames = Buffer.concat(blocks.map(({ frame }) => frame));
        const expected = Array.from({ length: log.head - from }, (_, index) =>
          Buffer.alloc(10, (from + index + 1) % 256),
        );
        expect(frames.equals(Buffer.concat(expected))).toBe(true);
        expect(blocks.at(-1)?.reaches ?? from).toBe(log.head);
      }),
    );
  });

  it("writes many small frames as few blocks", () => {
    const blocks = filled(0, 100, roomy, 5_000).since(0) ?? [];
    expect(blocks.length).toBe(Math.ceil(500_000 / (BLOCK_BYTES - (BLOCK_BYTES % 5_000))));
    expect(blockBytes(blocks)).toBe(500_000);
    expect(Math.max(...blocks.map(({ frame }) => frame.length))).toBeLessThanOrEqual(BLOCK_BYTES);
  });

  it("cannot continue across a commit that is not sent as a patch", () => {
    const log = filled(0, 3);
    log.append({ previous: 3, revision: 4, frame: null, at: 0 });
    log.append(entry(5));
    expect(log.since(3)).toBeNull();
    expect(log.since(4)).toHaveLength(1);
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
