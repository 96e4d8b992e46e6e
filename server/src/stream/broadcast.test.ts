import { createFakeTime } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { Broadcast } from "./broadcast.ts";

/** A broadcast over items that are visited by name, and a loop that turns only when it is told to. */
function setUp(count: number, chunk: number) {
  const time = createFakeTime();
  const items = Array.from({ length: count }, (_, index) => index);
  const visited: string[] = [];
  const ordered: string[] = [];
  const broadcast = new Broadcast(items, {
    chunk,
    scheduler: time.scheduler,
    takeOrdered: () => {
      const name = ordered.shift();
      return name === undefined ? null : (item: number) => void visited.push(`${name}${item}`);
    },
  });
  return { time, items, visited, ordered, broadcast };
}

describe("ST-50 a broadcast goes in chunks with the event loop in between", () => {
  it("visits the first chunk at once and everybody exactly once", () => {
    const { time, visited, ordered, broadcast } = setUp(5, 2);
    ordered.push("a");
    broadcast.wake();
    expect(visited).toEqual(["a0", "a1"]);
    expect(broadcast.running).toBe(true);
    time.advance(0);
    expect(visited).toEqual(["a0", "a1", "a2", "a3", "a4"]);
    expect(broadcast.running).toBe(false);
  });

  it("keeps the order of ordered passes", () => {
    const { time, visited, ordered, broadcast } = setUp(3, 2);
    ordered.push("a");
    broadcast.wake();
    ordered.push("b");
    broadcast.wake();
    time.advance(0);
    expect(visited).toEqual(["a0", "a1", "a2", "b0", "b1", "b2"]);
  });

  it("visits those who join during the pass", () => {
    const { time, items, visited, ordered, broadcast } = setUp(2, 1);
    ordered.push("a");
    broadcast.wake();
    items.push(2);
    time.advance(0);
    expect(visited).toEqual(["a0", "a1", "a2"]);
  });

  it("goes on behind a visit that throws, and does not come back to it", () => {
    const { time, visited, ordered, broadcast } = setUp(3, 2);
    const visit = (item: number): void => {
      visited.push(`u${item}`);
      if (item === 0) throw new Error("a defect of one connection");
    };
    expect(() => broadcast.urge(visit)).toThrow("a defect of one connection");
    ordered.push("a");
    time.advance(0);
    expect(visited).toEqual(["u0", "u1", "u2", "a0", "a1", "a2"]);
  });

  it("does nothing for nobody, and is not stuck after it", () => {
    const { time, items, visited, ordered, broadcast } = setUp(0, 2);
    ordered.push("a");
    broadcast.wake();
    time.advance(0);
    items.push(7);
    ordered.push("b");
    broadcast.wake();
    time.advance(0);
    expect(visited).toEqual(["b7"]);
  });
});

describe("ST-33 an urgent pass goes ahead of a running broadcast", () => {
  it("visits everybody first, and the other continues where it was", () => {
    const { time, visited, ordered, broadcast } = setUp(4, 2);
    ordered.push("a");
    broadcast.wake();
    broadcast.urge((item) => void visited.push(`k${item}`));
    expect(visited).toEqual(["a0", "a1", "k0", "k1"]);
    time.advance(0);
    expect(visited).toEqual(["a0", "a1", "k0", "k1", "k2", "k3", "a2", "a3"]);
  });
});
