import { describe, expect, it } from "vitest";
import { acknowledge, appendMove, backlogOf, type GameEvent, newSession, prunableUpTo, replayFrom } from "./session.ts";

const players = ["ann", "bob"];
const fresh = newSession({ id: "s-1", players, now: 0 });

function played(moves: number): { session: typeof fresh; events: GameEvent[] } {
  let session = fresh;
  const events: GameEvent[] = [];
  for (let number = 1; number <= moves; number++) {
    const next = appendMove(session, { player: players[number % 2] ?? "ann", move: `move ${number}`, now: number });
    session = next.session;
    events.push(next.event);
  }
  return { session, events };
}

describe("events", () => {
  it("are numbered from 1 without a hole", () => {
    expect(played(3).events.map((event) => event.sequence)).toEqual([1, 2, 3]);
  });

  it("make the session a newer one each", () => {
    expect(played(3).session.version).toBe(fresh.version + 3);
  });
});

describe("GAME_ACK", () => {
  const { session } = played(5);

  it("lets events go once every player has them", () => {
    const first = acknowledge(session, { player: "ann", sequence: 5 }).session;
    expect([prunableUpTo(first), backlogOf(first)]).toEqual([0, 5]);
    const both = acknowledge(first, { player: "bob", sequence: 3 }).session;
    expect([prunableUpTo(both), backlogOf(both)]).toEqual([3, 2]);
  });

  it("is cumulative: a repeated or older one is ignored and changes nothing", () => {
    const at4 = acknowledge(session, { player: "ann", sequence: 4 }).session;
    for (const sequence of [4, 2, 0]) {
      expect(acknowledge(at4, { player: "ann", sequence })).toEqual({ kind: "ignored", session: at4 });
    }
  });

  it("of an event that never happened is refused and changes nothing", () => {
    expect(acknowledge(session, { player: "ann", sequence: 6 })).toEqual({ kind: "ahead", session });
  });
});

describe("a replay", () => {
  const { session, events } = played(5);
  const sequences = (after: number): number[] | string | undefined => {
    const replay = replayFrom(session, after, events);
    return replay?.kind === "complete" ? replay.events.map((event) => event.sequence) : replay?.kind;
  };

  it("holds what came after, in order, and nothing else", () => {
    expect(sequences(2)).toEqual([3, 4, 5]);
    expect(sequences(5)).toEqual([]);
    expect(sequences(6)).toBe("ahead");
  });

  it("is never given with a hole, whichever part is missing", () => {
    for (let lost = 1; lost <= 5; lost++) {
      const rest = events.filter((event) => event.sequence !== lost);
      expect(replayFrom(session, 0, rest)).toBeUndefined();
    }
    expect(replayFrom(session, 2, events.slice(2))?.kind).toBe("complete");
  });

  it("leaves out events that are newer than the session it belongs to", () => {
    const before = played(3).session;
    expect(replayFrom(before, 1, events)).toEqual({ kind: "complete", events: events.slice(1, 3) });
  });

  it("of events that everyone acknowledged is the snapshot's business", () => {
    const both = players.reduce((now, player) => acknowledge(now, { player, sequence: 2 }).session, session);
    expect(replayFrom(both, 1, events)).toEqual({ kind: "pruned", prunedUpTo: 2 });
    expect(replayFrom(both, 2, events)?.kind).toBe("complete");
  });
});
