import { describe, expect, it } from "vitest";
import type { Block } from "./change-log.ts";
import { Connection, LAGGING_BYTES, type Wire } from "./connection.ts";
import { Session } from "./session.ts";

const FRAME_BYTES = 10_000;

function setUp() {
  let backlog = 0;
  let written = 0;
  const wire: Wire = {
    writable: true,
    get backlogBytes() {
      return backlog;
    },
    write: (frame) => {
      backlog += frame.length;
      written += 1;
    },
    together: (writes) => writes(),
    end: () => {},
    destroy: () => {},
  };
  const identity = { token: "t", instance: "i", boot: "b", sdk: "" };
  const session = new Session({ id: "s", identity, acknowledged: 0, now: 0 });
  const connection = new Connection(session, wire, { deflated: false, sent: 0, batches: { tokens: 0, filledAt: 0 } });
  return { connection, written: () => written, backlog: () => backlog, drain: () => (backlog = 0) };
}

const blocks = (count: number): Block[] =>
  Array.from({ length: count }, (_, index) => ({ frame: Buffer.alloc(FRAME_BYTES), reaches: index + 1 }));

describe("ST-51 what a connection lacks is written as fast as its socket takes it", () => {
  it("and no faster: at most the lagging limit and one frame wait in it", () => {
    const { connection, written, backlog, drain } = setUp();
    connection.feed(blocks(50), 7);
    expect(backlog()).toBeGreaterThan(LAGGING_BYTES);
    expect(backlog()).toBeLessThanOrEqual(LAGGING_BYTES + FRAME_BYTES);
    expect(connection).toMatchObject({ keepsUp: false, feeding: true, laggingSince: 7, sent: written() });
    const before = written();
    drain();
    expect(connection.drained(8)).toBe(false);
    expect(written()).toBe(2 * before);
    for (let round = 0; round < 20; round++) {
      drain();
      connection.drained(9);
    }
    expect(written()).toBe(50);
    expect(connection).toMatchObject({ keepsUp: true, feeding: false, laggingSince: null, sent: 50 });
  });

  it("moves the position with the last part of a snapshot only", () => {
    const { connection, drain } = setUp();
    const parts = blocks(14).map(({ frame }, index) => ({ frame, reaches: index === 13 ? 99 : null }));
    connection.feed(parts, 0);
    expect(connection.sent).toBe(0);
    drain();
    connection.drained(0);
    expect(connection.sent).toBe(99);
  });

  it("does not deliver into a socket that is full, and says since when", () => {
    const { connection, drain } = setUp();
    connection.feed(blocks(7), 0);
    expect(connection.keepsUp).toBe(true);
    expect(connection.deliver(Buffer.alloc(1), 8, 5)).toBe(false);
    expect(connection).toMatchObject({ laggingSince: 5, sent: 7 });
    drain();
    expect(connection.drained(6)).toBe(true);
    expect(connection.deliver(Buffer.alloc(1), 8, 7)).toBe(true);
    expect(connection.sent).toBe(8);
  });
});
