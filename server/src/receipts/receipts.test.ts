import { type EnvironmentKey, receipt as receiptSchema } from "@bunting/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Roster } from "../stream/roster.ts";
import { Session } from "../stream/session.ts";
import { RECEIPTS_KEPT, Receipts } from "./receipts.ts";

/** An environment whose sessions come, go and ack as told. */
function setUp() {
  const receipts = new Receipts("production" as EnvironmentKey);
  const roster = new Roster(receipts);
  let head = 0;
  const world = {
    roster,
    receipts,
    get head() {
      return head;
    },
    commit(at = 0) {
      head += 1;
      receipts.committed({ epoch: "e1", revision: head, committedAt: 1_000, at, connected: roster.present });
      return head;
    },
    arrive(name: string, held: number | null = null): Session {
      const identity = { token: "t", instance: name, boot: "b", sdk: "test" };
      const session = roster.find(name) ?? new Session({ id: name, identity, acknowledged: held ?? 0, now: 0 });
      roster.enter(session, held, head, 0);
      return session;
    },
    drop: (session: Session) => roster.leave(session, head, 1_000),
    receipt(revision: number) {
      const found = roster.receipt(revision);
      if (found) receiptSchema.parse(found);
      return found;
    },
  };
  return world;
}

const names = (receipt: { pending: readonly { instance: string }[] } | undefined) =>
  receipt?.pending.map(({ instance }) => instance).sort();

describe("ST-46 a receipt counts those who were connected at the commit", () => {
  it("tells who has applied it from who has not, by name", () => {
    const world = setUp();
    const [one, two, three] = [world.arrive("one"), world.arrive("two"), world.arrive("three")];
    const revision = world.commit(100);
    world.roster.acknowledge(one, revision, 110);
    world.drop(three);
    const receipt = world.receipt(revision);
    expect(receipt).toMatchObject({ connected: 3, applied: 1, pendingCount: 2, late: 0, complete: false });
    expect(names(receipt)).toEqual(["three", "two"]);
    expect(receipt?.pending.find(({ instance }) => instance === "three")?.connected).toBe(false);
    world.roster.acknowledge(two, revision, 120);
    world.arrive("three", revision);
    expect(world.receipt(revision)).toMatchObject({ connected: 3, applied: 3, pendingCount: 0, complete: true });
  });

  it("counts those who come later with an older position as late, never as pending", () => {
    const world = setUp();
    const early = world.arrive("early");
    const revision = world.commit();
    world.roster.acknowledge(early, revision, 0);
    const late = world.arrive("late", 0);
    expect(world.receipt(revision)).toMatchObject({ connected: 1, applied: 1, late: 1, complete: true });
    world.roster.acknowledge(late, revision, 0);
    expect(world.receipt(revision)).toMatchObject({ connected: 1, applied: 1, late: 1 });
  });

  it("does not count as late who was connected at the commit and came back", () => {
    const world = setUp();
    const session = world.arrive("one", 0);
    const first = world.commit();
    world.drop(session);
    const second = world.commit();
    world.arrive("one", 0);
    expect(world.receipt(first)).toMatchObject({ connected: 1, applied: 0, late: 0 });
    expect(world.receipt(second)).toMatchObject({ connected: 0, applied: 0, late: 1, complete: true });
    world.drop(session);
    world.arrive("one", 0);
    expect(world.receipt(second)).toMatchObject({ late: 1 });
  });

  it("does not count a fresh instance, which never held anything older", () => {
    const world = setUp();
    const revision = world.commit();
    world.arrive("fresh", null);
    expect(world.receipt(revision)).toMatchObject({ connected: 0, late: 0, complete: true });
  });

  it("is complete at once where nobody listens", () => {
    const world = setUp();
    expect(world.receipt(world.commit())).toMatchObject({ connected: 0, complete: true, latencyMs: null });
  });
});

describe("ST-45 the position a client comes with is an ack", () => {
  it("settles what it missed while it was away", () => {
    const world = setUp();
    const session = world.arrive("one", 0);
    const revision = world.commit();
    world.drop(session);
    world.arrive("one", revision);
    expect(world.receipt(revision)).toMatchObject({ applied: 1, complete: true });
  });
});

describe("ST-47 a session that ended is waited for no more", () => {
  it("is neither pending nor connected", () => {
    const world = setUp();
    const [one, two] = [world.arrive("one"), world.arrive("two")];
    const revision = world.commit();
    world.roster.acknowledge(one, revision, 0);
    world.roster.end(two);
    expect(world.receipt(revision)).toMatchObject({ connected: 1, applied: 1, pendingCount: 0, complete: true });
  });

  it("still counts where it had applied the revision", () => {
    const world = setUp();
    const session = world.arrive("one");
    const revision = world.commit();
    world.roster.acknowledge(session, revision, 0);
    world.roster.end(session);
    expect(world.receipt(revision)).toMatchObject({ connected: 1, applied: 1 });
  });

  it("ends by itself when its time is over", () => {
    const world = setUp();
    const session = world.arrive("one");
    const revision = world.commit();
    world.drop(session);
    world.roster.expire(999);
    expect(world.receipt(revision)?.pendingCount).toBe(1);
    world.roster.expire(1_000);
    expect(world.receipt(revision)).toMatchObject({ connected: 0, pendingCount: 0, complete: true });
  });
});

describe("ST-48 latency is from commit to ack, less the time the ack was held", () => {
  it("is never negative", () => {
    const world = setUp();
    const session = world.arrive("one");
    const revision = world.commit(1_000);
    world.roster.acknowledge(session, revision, 1_030 - 60_000);
    expect(world.receipt(revision)?.latencyMs?.max).toBe(0);
  });

  it("covers every revision a cumulative ack settles", () => {
    const world = setUp();
    const session = world.arrive("one");
    const [first, second] = [world.commit(1_000), world.commit(1_100)];
    world.roster.acknowledge(session, second, 1_150);
    expect(world.receipt(first)?.latencyMs?.max).toBe(150);
    expect(world.receipt(second)?.latencyMs?.max).toBe(50);
  });

  it("keeps the last 256 and answers nothing for older and for unknown ones", () => {
    const world = setUp();
    for (let count = 0; count < RECEIPTS_KEPT + 10; count++) world.commit();
    expect(world.receipt(10)).toBeUndefined();
    expect(world.receipt(11)).toBeDefined();
    expect(world.receipt(world.head)).toBeDefined();
    expect(world.receipt(world.head + 1)).toBeUndefined();
    expect(world.receipt(0)).toBeUndefined();
  });
});

describe("ST-49 waiting for a receipt", () => {
  it("ends when the last one has applied it, and not before", () => {
    const world = setUp();
    const [one, two] = [world.arrive("one"), world.arrive("two")];
    const revision = world.commit();
    let done = 0;
    world.receipts.whenComplete(revision, () => done++);
    world.roster.acknowledge(one, revision, 0);
    expect(done).toBe(0);
    world.roster.acknowledge(two, revision, 0);
    expect(done).toBe(1);
  });

  it.each(["complete", "unknown"])("ends at once where the receipt is %s", (kind) => {
    const world = setUp();
    let done = 0;
    world.receipts.whenComplete(kind === "complete" ? world.commit() : 999, () => done++);
    expect(done).toBe(1);
  });

  it("ends when the receipt is dropped, or history is rewritten", () => {
    const world = setUp();
    world.arrive("one");
    let done = 0;
    world.receipts.whenComplete(world.commit(), () => done++);
    for (let count = 0; count < RECEIPTS_KEPT; count++) world.commit();
    expect(done).toBe(1);
    world.receipts.whenComplete(world.head, () => done++);
    world.roster.clear();
    expect(done).toBe(2);
  });
});

describe("ST-46 counters agree with counting", () => {
  it("whatever sessions do", () => {
    const action = fc.record({
      what: fc.constantFrom("commit", "commit", "arrive", "drop", "ack", "end"),
      who: fc.nat(4),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const world = setUp();
        // The plain book: for each revision the sessions (not instances) that were there, and who of them has applied it.
        const cohorts = new Map<number, Set<Session>>();
        const acknowledged = new Map<Session, number>();
        const over = new Set<Session>();
        const sessions = new Map<number, Session>();
        for (const { what, who, part } of actions) {
          const session = sessions.get(who);
          const connected = session !== undefined && session.connected && !over.has(session);
          if (what === "commit") {
            const revision = world.commit();
            const there = [...sessions.values()].filter((each) => each.connected && !over.has(each));
            cohorts.set(revision, new Set(there));
          } else if (what === "arrive" && !connected) {
            const held = session && !over.has(session) ? (acknowledged.get(session) ?? 0) : null;
            const arrived = world.arrive(String(who), held);
            sessions.set(who, arrived);
            if (!acknowledged.has(arrived)) acknowledged.set(arrived, 0);
          } else if (what === "drop" && session && connected) world.drop(session);
          else if (what === "end" && session && !over.has(session)) {
            world.roster.end(session);
            over.add(session);
          } else if (what === "ack" && session && connected) {
            const from = acknowledged.get(session) ?? 0;
            const to = from + Math.round(part * (world.head - from));
            if (to > from) world.roster.acknowledge(session, to, 0);
            acknowledged.set(session, to);
          }
        }
        for (const [revision, cohort] of cohorts) {
          const applied = [...cohort].filter((session) => (acknowledged.get(session) ?? 0) >= revision);
          const pending = [...cohort].filter((session) => !applied.includes(session) && !over.has(session));
          const receipt = world.receipt(revision);
          expect(receipt).toMatchObject({
            connected: applied.length + pending.length,
            applied: applied.length,
            pendingCount: pending.length,
            complete: pending.length === 0,
          });
          expect(names(receipt)).toEqual(pending.map(({ instance }) => instance).sort());
        }
      }),
      { numRuns: 500 },
    );
  });
});
