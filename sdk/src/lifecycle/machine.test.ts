import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { begin, type Effect, type Event, type EventType, type State, type StateName, transition } from "./machine.ts";
import type { Failure } from "./retry.ts";

const DEAD: Failure = { kind: "closed", code: 1006 };
const tries = { opened: 2, failed: 3 };
const connected = { ...tries, connection: 2, welcomedAt: 1_000 };

/** One of each state. Connection 2 is the state's own; in `moving` 3 is the next. */
const STATES: { readonly [Name in StateName]: Extract<State, { readonly name: Name }> } = {
  offline: { name: "offline" },
  connecting: { name: "connecting", ...tries, connection: 2 },
  syncing: { name: "syncing", ...connected, follows: null },
  live: { name: "live", ...connected },
  leaving: { name: "leaving", ...connected, spreadMs: 10_000 },
  moving: { name: "moving", ...connected, opened: 3, next: 3, spreadMs: 10_000 },
  waiting: { name: "waiting", ...tries, wish: "resume" },
  closed: { name: "closed" },
};

/** One of each event, of connection 2, 2 s after its welcome. */
const EVENTS: { readonly [Type in EventType]: Extract<Event, { readonly type: Type }> } = {
  welcomed: { type: "welcomed", connection: 2, now: 3_000 },
  caught_up: { type: "caught_up", connection: 2 },
  fell_behind: { type: "fell_behind", connection: 2 },
  failed: { type: "failed", connection: 2, failure: DEAD, now: 3_000, random: 0.5 },
  goaway: { type: "goaway", connection: 2, spreadMs: 10_000, random: 0.5 },
  timer: { type: "timer" },
  close: { type: "close" },
};

/** The table of docs/spec/sdk-lifecycle.md. "stay" is no change and no effect. */
const TABLE: { readonly [Name in StateName]: { readonly [Type in EventType]: StateName | "stay" } } = {
  offline: {
    welcomed: "stay",
    caught_up: "stay",
    fell_behind: "stay",
    failed: "stay",
    goaway: "stay",
    timer: "stay",
    close: "closed",
  },
  connecting: {
    welcomed: "syncing",
    caught_up: "stay",
    fell_behind: "stay",
    failed: "waiting",
    goaway: "stay",
    timer: "stay",
    close: "closed",
  },
  syncing: {
    welcomed: "stay",
    caught_up: "live",
    fell_behind: "stay",
    failed: "waiting",
    goaway: "leaving",
    timer: "stay",
    close: "closed",
  },
  live: {
    welcomed: "stay",
    caught_up: "stay",
    fell_behind: "syncing",
    failed: "waiting",
    goaway: "leaving",
    timer: "stay",
    close: "closed",
  },
  leaving: {
    welcomed: "stay",
    caught_up: "stay",
    fell_behind: "stay",
    failed: "waiting",
    goaway: "stay",
    timer: "moving",
    close: "closed",
  },
  moving: {
    welcomed: "stay",
    caught_up: "stay",
    fell_behind: "stay",
    failed: "connecting",
    goaway: "stay",
    timer: "stay",
    close: "closed",
  },
  waiting: {
    welcomed: "stay",
    caught_up: "stay",
    fell_behind: "stay",
    failed: "stay",
    goaway: "stay",
    timer: "connecting",
    close: "closed",
  },
  closed: {
    welcomed: "stay",
    caught_up: "stay",
    fell_behind: "stay",
    failed: "stay",
    goaway: "stay",
    timer: "stay",
    close: "stay",
  },
};

const cells = Object.values(STATES).flatMap((state) =>
  Object.values(EVENTS).map((event) => ({ state, event, next: TABLE[state.name][event.type] })),
);

describe("LC-1 the lifecycle is a total function of state and event", () => {
  it.each(cells)("$state.name, $event.type → $next", ({ state, event, next }) => {
    const before = structuredClone(state);
    const after = transition(state, event);
    expect(state).toEqual(before);
    expect(after.state.name).toBe(next === "stay" ? state.name : next);
    if (next === "stay") expect(after).toEqual({ state, effects: [] });
  });

  it("begins with one connection, or offline", () => {
    expect(begin("given")).toEqual({
      state: { name: "connecting", connection: 1, opened: 1, failed: 0 },
      effects: [{ type: "open", connection: 1, wish: "resume" }],
    });
    expect(begin("missing")).toEqual({ state: { name: "offline" }, effects: [] });
  });
});

describe("LC-3 an event of a connection that is not the state's own changes nothing", () => {
  const foreign = Object.values(EVENTS).filter((event) => "connection" in event);
  it.each(Object.values(STATES).flatMap((state) => foreign.map((event) => ({ state, event }))))(
    "$state.name, $event.type of another",
    ({ state, event }) => {
      expect(transition(state, { ...event, connection: 99 })).toEqual({ state, effects: [] });
    },
  );
});

describe("LC-17 a move opens the new connection before the old one closes", () => {
  it("closes the old one when the new one has caught up, and not before", () => {
    const leaving = transition(STATES.live, EVENTS.goaway);
    expect(leaving.effects).toEqual([{ type: "schedule", delayMs: 5_000 }]);
    const moving = transition(leaving.state, EVENTS.timer);
    expect(moving.effects).toEqual([{ type: "open", connection: 3, wish: "resume" }]);
    const syncing = transition(moving.state, { type: "welcomed", connection: 3, now: 9_000 });
    expect(syncing).toMatchObject({ state: { name: "syncing", connection: 3, follows: 2 }, effects: [] });
    const live = transition(syncing.state, { type: "caught_up", connection: 3 });
    expect(live.state).toMatchObject({ name: "live", connection: 3 });
    expect(live.effects).toContainEqual({ type: "hang_up", connection: 2 });
  });

  it("stays on the old connection when the new one is refused, and draws again within the spread", () => {
    const refused: Event = {
      type: "failed",
      connection: 3,
      failure: { kind: "refused", status: 503, retryAfterMs: 1_000 },
      now: 3_000,
      random: 0.25,
    };
    const again = transition(STATES.moving, refused);
    expect(again.state).toMatchObject({ name: "leaving", connection: 2 });
    expect(again.effects).toEqual([
      { type: "cut", connection: 3 },
      { type: "schedule", delayMs: 2_500 },
    ]);
  });

  it("goes on with the new connection when the old one dies first", () => {
    const after = transition(STATES.moving, { ...EVENTS.failed, failure: { kind: "closed", code: 4409 } });
    expect(after.state).toEqual({ name: "connecting", connection: 3, opened: 3, failed: 3 });
    expect(after.effects).toEqual([{ type: "cut", connection: 2 }]);
  });

  it("lets go of both when the new one dies before it has caught up", () => {
    const syncing: State = { name: "syncing", ...connected, connection: 3, opened: 3, follows: 2 };
    const after = transition(syncing, { ...EVENTS.failed, connection: 3 });
    expect(after.state.name).toBe("waiting");
    expect(after.effects).toContainEqual({ type: "hang_up", connection: 2 });
  });
});

describe("LC-15 polling", () => {
  const starts = (effects: readonly Effect[]): boolean => effects.some(({ type }) => type === "start_polling");

  it("starts when a try fails", () => {
    expect(starts(transition(STATES.connecting, EVENTS.failed).effects)).toBe(true);
  });

  it("waits for the first try after a connection that lived", () => {
    const event = { ...EVENTS.failed, now: 1_000 + 5_000 };
    const lost = transition(STATES.live, event);
    expect(starts(lost.effects)).toBe(false);
    expect(lost.effects).toContainEqual({ type: "schedule", delayMs: 25 });
    const again = transition(lost.state, EVENTS.timer);
    expect(starts(transition(again.state, { ...EVENTS.failed, connection: 3 }).effects)).toBe(true);
  });

  it("stops when push is live", () => {
    expect(transition(STATES.syncing, EVENTS.caught_up).effects).toEqual([{ type: "stop_polling" }]);
  });
});

describe("LC-18 close code 4409 without a newer connection of one's own", () => {
  it("forgets the session", () => {
    const after = transition(STATES.live, { ...EVENTS.failed, failure: { kind: "closed", code: 4409 } });
    expect(after.effects).toContainEqual({ type: "forget_session" });
    expect(transition(STATES.live, EVENTS.failed).effects).not.toContainEqual({ type: "forget_session" });
  });
});

describe("LC-35 after a frame that cannot be understood", () => {
  it("asks for a snapshot", () => {
    const lost = transition(STATES.live, { ...EVENTS.failed, failure: { kind: "malformed" } });
    expect(transition(lost.state, EVENTS.timer).effects).toEqual([{ type: "open", connection: 3, wish: "snapshot" }]);
  });
});

describe("LC-2 nothing but close() ends the tries", () => {
  const events = fc.oneof(
    fc.record({ type: fc.constant("welcomed" as const), connection: fc.nat(8), now: fc.nat(1e6) }),
    fc.record({ type: fc.constantFrom("caught_up" as const, "fell_behind" as const), connection: fc.nat(8) }),
    fc.record({
      type: fc.constant("failed" as const),
      connection: fc.nat(8),
      failure: fc.oneof(
        fc.record({ kind: fc.constant("refused" as const), status: fc.integer({ min: 100, max: 599 }) }),
        fc.record({ kind: fc.constant("closed" as const), code: fc.integer({ min: 1000, max: 4999 }) }),
        fc.record({ kind: fc.constantFrom("silence" as const, "malformed" as const, "left_epoch" as const) }),
      ),
      now: fc.nat(1e6),
      random: fc.double({ min: 0, max: 0.999, noNaN: true }),
    }),
    fc.record({
      type: fc.constant("goaway" as const),
      connection: fc.nat(8),
      spreadMs: fc.nat(1e5),
      random: fc.constant(0.5),
    }),
    fc.constant({ type: "timer" as const }),
  );

  it("keeps a connection, or a timer for the next, in every run of events", () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 60 }), (run) => {
        let { state } = begin("given");
        let scheduled = false;
        const open = new Set<number>([1]);
        for (const event of run) {
          if (event.type === "timer") scheduled = false;
          const after = transition(state, event);
          state = after.state;
          for (const effect of after.effects) {
            if (effect.type === "open") open.add(effect.connection);
            if (effect.type === "hang_up" || effect.type === "cut") open.delete(effect.connection);
            if (effect.type === "schedule") scheduled = true;
          }
          if ("connection" in state) expect(open).toContain(state.connection);
          if (state.name === "waiting" && event.type !== "timer")
            expect(scheduled || event.type !== "failed").toBe(true);
          expect(open.size).toBeLessThanOrEqual(2);
          expect(state.name).not.toBe("closed");
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
