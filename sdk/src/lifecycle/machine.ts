import { type Attempt, type Failure, failedAfter, isFirstTry, retryDelayMs } from "./retry.ts";

/*
 * The lifecycle as a pure function: docs/spec/sdk-lifecycle.md has the diagram and the table in words. Nothing here reads a
 * clock, draws a number or touches a socket; `runner.ts` performs the effects and decides nothing.
 *
 * Connections are numbered from 1 as they are opened. An event of a connection that the state does not own changes nothing.
 */

/** What the next connection asks for: what it misses since its position, or the whole. */
export type Wish = "resume" | "snapshot";

interface Tries {
  /** Connections opened so far; the number of the newest. */
  readonly opened: number;
  /** Failed tries since the last minute of health. */
  readonly failed: number;
}

interface Connected extends Tries {
  readonly connection: number;
  /** Monotonic ms. */
  readonly welcomedAt: number;
}

export type State =
  | { readonly name: "offline" }
  | ({ readonly name: "connecting"; readonly connection: number } & Tries)
  | ({ readonly name: "syncing"; readonly follows: number | null } & Connected)
  | ({ readonly name: "live" } & Connected)
  | ({ readonly name: "leaving"; readonly spreadMs: number } & Connected)
  | ({ readonly name: "moving"; readonly next: number; readonly spreadMs: number } & Connected)
  | ({ readonly name: "waiting"; readonly wish: Wish } & Tries)
  | { readonly name: "closed" };

export type StateName = State["name"];

export type Event =
  | { readonly type: "welcomed"; readonly connection: number; readonly now: number }
  | { readonly type: "caught_up"; readonly connection: number }
  | { readonly type: "fell_behind"; readonly connection: number }
  | {
      readonly type: "failed";
      readonly connection: number;
      readonly failure: Failure;
      readonly now: number;
      readonly random: number;
    }
  | { readonly type: "goaway"; readonly connection: number; readonly spreadMs: number; readonly random: number }
  | { readonly type: "timer" }
  | { readonly type: "close" };

export type EventType = Event["type"];

export type Effect =
  | { readonly type: "open"; readonly connection: number; readonly wish: Wish }
  /** Close politely: 1000. */
  | { readonly type: "hang_up"; readonly connection: number }
  /** Cut without a handshake; nothing if it is gone already. */
  | { readonly type: "cut"; readonly connection: number }
  /** The one timer: replaces an earlier one. */
  | { readonly type: "schedule"; readonly delayMs: number }
  | { readonly type: "unschedule" }
  | { readonly type: "start_polling" }
  | { readonly type: "stop_polling" }
  /** The resume token belongs to somebody else. */
  | { readonly type: "forget_session" };

export interface Transition {
  readonly state: State;
  readonly effects: readonly Effect[];
}

type StateOf<Name extends StateName> = Extract<State, { readonly name: Name }>;
type EventOf<Type extends EventType> = Extract<Event, { readonly type: Type }>;
type Failed = EventOf<"failed">;

type Table = {
  readonly [Name in StateName]: {
    readonly [Type in EventType]: (state: StateOf<Name>, event: EventOf<Type>) => Transition;
  };
};

/** Where a client begins: with an address it connects, without one it stays offline. */
export function begin(address: "given" | "missing"): Transition {
  if (address === "missing") return { state: { name: "offline" }, effects: [] };
  return {
    state: { name: "connecting", connection: 1, opened: 1, failed: 0 },
    effects: [{ type: "open", connection: 1, wish: "resume" }],
  };
}

export function transition(state: State, event: Event): Transition {
  // The compiler cannot see that row and state, column and event belong together; the type of TABLE is what guarantees it.
  const cell = TABLE[state.name][event.type] as (state: State, event: Event) => Transition;
  return cell(state, event);
}

const stay = (state: State): Transition => ({ state, effects: [] });
const close = (...effects: Effect[]): Transition => ({ state: { name: "closed" }, effects });

const TABLE: Table = {
  offline: {
    welcomed: stay,
    caught_up: stay,
    fell_behind: stay,
    failed: stay,
    goaway: stay,
    timer: stay,
    close: () => close(),
  },
  connecting: {
    welcomed(state, { connection, now }) {
      if (connection !== state.connection) return stay(state);
      const { opened, failed } = state;
      return stay({ name: "syncing", connection, opened, failed, welcomedAt: now, follows: null });
    },
    caught_up: stay,
    fell_behind: stay,
    failed: (state, event) => (event.connection === state.connection ? fail(state, event, 0) : stay(state)),
    goaway: stay,
    timer: stay,
    close: ({ connection }) => close({ type: "hang_up", connection }, { type: "stop_polling" }),
  },
  syncing: {
    welcomed: stay,
    caught_up(state, { connection }) {
      if (connection !== state.connection) return stay(state);
      const { opened, failed, welcomedAt, follows } = state;
      const effects: Effect[] = [{ type: "stop_polling" }];
      if (follows !== null) effects.push({ type: "hang_up", connection: follows });
      return { state: { name: "live", connection, opened, failed, welcomedAt }, effects };
    },
    fell_behind: stay,
    failed(state, event) {
      if (event.connection !== state.connection) return stay(state);
      const { state: next, effects } = fail(state, event, event.now - state.welcomedAt);
      if (state.follows === null) return { state: next, effects };
      return { state: next, effects: [{ type: "hang_up", connection: state.follows }, ...effects] };
    },
    goaway(state, event) {
      if (event.connection !== state.connection) return stay(state);
      const left = leave(state, event.spreadMs, event.random * event.spreadMs);
      if (state.follows === null) return left;
      return { state: left.state, effects: [{ type: "hang_up", connection: state.follows }, ...left.effects] };
    },
    timer: stay,
    close: ({ connection, follows }) =>
      follows === null
        ? close({ type: "hang_up", connection }, { type: "stop_polling" })
        : close({ type: "hang_up", connection }, { type: "hang_up", connection: follows }, { type: "stop_polling" }),
  },
  live: {
    welcomed: stay,
    caught_up: stay,
    fell_behind: (state, { connection }) =>
      connection === state.connection ? stay({ ...state, name: "syncing", follows: null }) : stay(state),
    failed: (state, event) =>
      event.connection === state.connection ? fail(state, event, event.now - state.welcomedAt) : stay(state),
    goaway: (state, event) =>
      event.connection === state.connection ? leave(state, event.spreadMs, event.random * event.spreadMs) : stay(state),
    timer: stay,
    close: ({ connection }) => close({ type: "hang_up", connection }, { type: "stop_polling" }),
  },
  leaving: {
    welcomed: stay,
    caught_up: stay,
    fell_behind: stay,
    failed(state, event) {
      if (event.connection !== state.connection) return stay(state);
      return fail(state, event, event.now - state.welcomedAt);
    },
    goaway: stay,
    timer({ connection, failed, welcomedAt, spreadMs, opened }) {
      const next = opened + 1;
      return {
        state: { name: "moving", connection, next, opened: next, failed, welcomedAt, spreadMs },
        effects: [{ type: "open", connection: next, wish: "resume" }],
      };
    },
    close: ({ connection }) => close({ type: "unschedule" }, { type: "hang_up", connection }, { type: "stop_polling" }),
  },
  moving: {
    welcomed(state, { connection, now }) {
      if (connection !== state.next) return stay(state);
      const { opened, connection: follows } = state;
      return stay({ name: "syncing", connection, opened, failed: 0, welcomedAt: now, follows });
    },
    caught_up: stay,
    fell_behind: stay,
    failed(state, event) {
      if (event.connection === state.next) return moveLater(state, event);
      if (event.connection !== state.connection) return stay(state);
      // The old one went first, perhaps replaced by the new one (4409): the new one is the only hope now.
      const { next: connection, opened, failed } = state;
      return {
        state: { name: "connecting", connection, opened, failed },
        effects: [{ type: "cut", connection: event.connection }],
      };
    },
    goaway: stay,
    timer: stay,
    close: ({ connection, next }) =>
      close({ type: "hang_up", connection }, { type: "hang_up", connection: next }, { type: "stop_polling" }),
  },
  waiting: {
    welcomed: stay,
    caught_up: stay,
    fell_behind: stay,
    failed: stay,
    goaway: stay,
    timer({ opened, failed, wish }) {
      const connection = opened + 1;
      return {
        state: { name: "connecting", connection, opened: connection, failed },
        effects: [{ type: "open", connection, wish }],
      };
    },
    close: () => close({ type: "unschedule" }, { type: "stop_polling" }),
  },
  closed: {
    welcomed: stay,
    caught_up: stay,
    fell_behind: stay,
    failed: stay,
    goaway: stay,
    timer: stay,
    close: stay,
  },
};

/** The connection is lost: wait, then try again. Polling bridges the gap unless the next try comes at once. */
function fail(state: Tries & { readonly connection: number }, event: Failed, livedMs: number): Transition {
  const { failure, random } = event;
  const attempt: Attempt = { failure, failed: state.failed, livedMs, random };
  const effects: Effect[] = [{ type: "cut", connection: state.connection }];
  if (failure.kind === "closed" && failure.code === 4409) effects.push({ type: "forget_session" });
  if (!isFirstTry(attempt)) effects.push({ type: "start_polling" });
  effects.push({ type: "schedule", delayMs: retryDelayMs(attempt) });
  const wish: Wish = failure.kind === "malformed" ? "snapshot" : "resume";
  return { state: { name: "waiting", opened: state.opened, failed: failedAfter(attempt), wish }, effects };
}

function leave(state: Connected, spreadMs: number, delayMs: number): Transition {
  const { connection, opened, failed, welcomedAt } = state;
  return {
    state: { name: "leaving", connection, opened, failed, welcomedAt, spreadMs },
    effects: [{ type: "schedule", delayMs }],
  };
}

/** Refused by the new server: the old connection still delivers, so another moment of the spread will do. */
function moveLater(state: StateOf<"moving">, { connection, failure, random }: Failed): Transition {
  const attempt: Attempt = { failure, failed: state.failed, livedMs: 0, random };
  const delayMs = Math.max(random * state.spreadMs, retryDelayMs(attempt));
  const later = leave({ ...state, failed: failedAfter(attempt) }, state.spreadMs, delayMs);
  return { state: later.state, effects: [{ type: "cut", connection }, ...later.effects] };
}
