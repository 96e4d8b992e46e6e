import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { freePort } from "@bunting/testkit";
import type { Hono } from "hono";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Database, openDatabase } from "./database.ts";
import { createMetrics } from "./metrics.ts";
import { createGameSessionRegistry } from "./registry.ts";
import { createResumeTokens } from "./resume-token.ts";
import { createService } from "./service.ts";
import type { GameEvent, Session } from "./session.ts";
import { createSessionCache, type SessionCache } from "./session-cache.ts";
import { createSuspects } from "./suspects.ts";

let folder: string;
let database: Database;
let cache: SessionCache;
let service: Hono;

/** The flag is on for everyone and there is no Redis at all: nothing of what follows may notice. */
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "game-sessions-"));
  database = openDatabase(path.join(folder, "sessions.sqlite"));
  const log = pino({ level: "silent" });
  const metrics = createMetrics({ replayBacklog: () => database.backlog() });
  const redis = { url: `redis://127.0.0.1:${await freePort()}`, namespace: "gsr", ttlMs: 60_000, timeoutMs: 50 };
  cache = createSessionCache({ redis, metrics, log });
  const suspects = createSuspects({ ttlMs: redis.ttlMs });
  const registry = createGameSessionRegistry({ database, cache, metrics, suspects, readsThrough: () => true });
  const resumeTokens = createResumeTokens(database.secret(Buffer.alloc(32, 1)));
  service = createService({ registry, database, resumeTokens, metrics, log });
});
afterEach(async () => {
  cache.close();
  database.close();
  await rm(folder, { recursive: true });
});

describe("the runbook: join, play, drop, come back, acknowledge", () => {
  it.each(["once", "and once more"])("is played %s", async () => {
    const { ann, bob } = await join();
    expect((await bob.get("")).body.session).toMatchObject({ players: ["ann", "bob"], sequence: 0, lastMove: null });

    for (const move of ["e4", "e5", "Nf3"]) expect((await ann.say({ type: "GAME_MOVE", move })).status).toBe(201);
    // Bob was away. He shows his resume token and gets what he missed, in order, once.
    const replay = await bob.get("/replay?after=0");
    expect(replay.body.events?.map((event) => event.move)).toEqual(["e4", "e5", "Nf3"]);
    expect((await bob.get("/replay?after=3")).body.events).toEqual([]);
    expect(await backlog()).toBe(3);

    await ann.say({ type: "GAME_ACK", sequence: 3 });
    expect((await bob.say({ type: "GAME_ACK", sequence: 3 })).body).toEqual({
      outcome: "acknowledged",
      acknowledged: { ann: 3, bob: 3 },
    });
    expect(await backlog()).toBe(0);
    expect((await bob.get("/replay?after=0")).body).toMatchObject({ code: "replay_pruned", prunedUpTo: 3 });
  });
});

describe("what is not in order", () => {
  it("is answered with a code and leaves the session as it was", async () => {
    const { ann, bob, session } = await join();
    await ann.say({ type: "GAME_MOVE", move: "e4" });
    await bob.say({ type: "GAME_ACK", sequence: 1 });
    const before = (await ann.get("")).body;

    const forged = await playerWith(session.id, "Ym9i.AAAA");
    const stranger = await playerWith("another-session", ann.token);
    const wrong = [
      await forged.get(""),
      await stranger.get(""),
      await forged.say({ type: "GAME_MOVE", move: "e5" }),
      await ann.say({ type: "GAME_ACK", sequence: 99 }),
      await ann.say({ type: "GAME_ACK", sequence: -1 }),
      await ann.say({ type: "GAME_ACK", sequence: "1" }),
      await ann.say({ type: "GAME_OVER" }),
      await ann.say({ type: "GAME_MOVE", move: "x".repeat(257) }),
      await ann.say({ type: "GAME_MOVE", move: "e5", cheat: true }),
      await ann.post("/messages", "{"),
      await ann.post("/messages", JSON.stringify("x".repeat(20_000))),
      await ann.get("/replay?after=2"),
      await ann.get("/replay?after=none"),
    ];
    expect(wrong.map(({ status, body }) => [status, body.code])).toEqual([
      [401, "resume_token_invalid"],
      [401, "resume_token_invalid"],
      [401, "resume_token_invalid"],
      [422, "sequence_ahead"],
      [422, "invalid"],
      [422, "invalid"],
      [422, "invalid"],
      [422, "invalid"],
      [422, "invalid"],
      [400, "body_not_json"],
      [413, "body_too_large"],
      [422, "sequence_ahead"],
      [422, "invalid"],
    ]);
    expect((await bob.say({ type: "GAME_ACK", sequence: 0 })).body.outcome).toBe("ignored");
    expect((await ann.get("")).body).toEqual(before);
  });

  it("includes a session that nobody opened", async () => {
    const nobody = createResumeTokens(database.secret(Buffer.alloc(32, 1))).issue("s-0", "ann");
    const { status, body } = await (await playerWith("s-0", nobody)).get("");
    expect([status, body.code]).toEqual([404, "session_not_found"]);
  });

  it("includes players who would join twice", async () => {
    const answer = await service.request("/sessions", { method: "POST", body: '{"players":["ann","ann"]}' });
    expect(answer.status).toBe(422);
  });
});

it("finds sessions again after a restart, and knows its resume tokens", async () => {
  const { ann, session } = await join();
  database.close();
  database = openDatabase(path.join(folder, "sessions.sqlite"));
  expect(database.session(session.id)).toEqual(session);
  const tokens = createResumeTokens(database.secret(Buffer.alloc(32, 2)));
  expect(tokens.verify(session.id, ann.token)).toBe("ann");
});

/** Everything the service ever answers with. */
interface Answered {
  readonly session?: Session;
  readonly events?: readonly GameEvent[];
  readonly outcome?: string;
  readonly acknowledged?: Record<string, number>;
  readonly code?: string;
}

async function join() {
  const answer = await service.request("/sessions", { method: "POST", body: '{"players":["ann","bob"]}' });
  const { session, resumeTokens } = (await answer.json()) as {
    session: Session;
    resumeTokens: { ann: string; bob: string };
  };
  const [ann, bob] = [await playerWith(session.id, resumeTokens.ann), await playerWith(session.id, resumeTokens.bob)];
  return { session, ann, bob };
}

async function playerWith(session: string, token: string) {
  const request = async (where: string, init: RequestInit) => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await service.request(`/sessions/${session}${where}`, { ...init, headers });
    return { status: answer.status, body: (await answer.json()) as Answered };
  };
  const post = (where: string, body: string) => request(where, { method: "POST", body });
  return {
    token,
    post,
    get: (where: string) => request(where, {}),
    say: (sent: object) => post("/messages", JSON.stringify(sent)),
  };
}

async function backlog(): Promise<number> {
  const text = await (await service.request("/metrics")).text();
  return Number(/^game_session_replay_backlog (\d+)$/m.exec(text)?.[1]);
}
