import { createFakeTime } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { WaitingRoom } from "./waiting-room.ts";

const nothing = () => () => {};

/** Whether it is over, after everything that is due now has run. */
async function isOver(waiting: Promise<void>): Promise<boolean> {
  let over = false;
  void waiting.then(() => (over = true));
  await new Promise((resolve) => setImmediate(resolve));
  return over;
}

describe("ST-49 waiting ends", () => {
  it("when what it waits for happens", async () => {
    const time = createFakeTime();
    const room = new WaitingRoom(time.scheduler, 100);
    let happen = (): void => {};
    let cancelled = 0;
    const waiting = room.wait(1_000, undefined, (done) => {
      happen = done;
      return () => void cancelled++;
    });
    expect(await isOver(waiting)).toBe(false);
    happen();
    expect(await isOver(waiting)).toBe(true);
    expect([room.waiting, cancelled, time.pending]).toEqual([0, 1, 0]);
  });

  it("at its limit, when the client goes away, and when the server stops", async () => {
    const time = createFakeTime();
    const room = new WaitingRoom(time.scheduler, 100);
    const client = new AbortController();
    const [timed, aborted, cleared] = [
      room.wait(1_000, undefined, nothing),
      room.wait(60_000, client.signal, nothing),
      room.wait(60_000, undefined, nothing),
    ];
    time.advance(1_000);
    expect([await isOver(timed), await isOver(aborted)]).toEqual([true, false]);
    client.abort();
    expect([await isOver(aborted), await isOver(cleared)]).toEqual([true, false]);
    room.clear();
    expect(await isOver(cleared)).toBe(true);
    expect([room.waiting, time.pending]).toEqual([0, 0]);
  });

  it("at once if it has happened already, or there is no time to wait", async () => {
    const time = createFakeTime();
    const room = new WaitingRoom(time.scheduler, 100);
    await room.wait(1_000, undefined, (done) => {
      done();
      return () => {};
    });
    await room.wait(0, undefined, nothing);
    await room.wait(1_000, AbortSignal.abort(), nothing);
    expect([room.waiting, time.pending]).toEqual([0, 0]);
  });
});

describe("ST-49, ST-67 at most 100 wait at a time", () => {
  it("and the next one is answered at once", async () => {
    const room = new WaitingRoom(createFakeTime().scheduler, 100);
    const waiting = Array.from({ length: 100 }, () => room.wait(1_000, undefined, nothing));
    expect(await isOver(room.wait(1_000, undefined, nothing))).toBe(true);
    expect(room.waiting).toBe(100);
    expect(await isOver(waiting[99] ?? Promise.resolve())).toBe(false);
    room.clear();
    await Promise.all(waiting);
  });
});
