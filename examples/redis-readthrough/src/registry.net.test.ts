import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import {
  eventually,
  type RedisProcess,
  startRedisProcess,
  startTcpProxy,
  type TcpProxy,
  whyNoRedis,
} from "@bunting/testkit";
import { Redis } from "ioredis";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Database, openDatabase } from "./database.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { createGameSessionRegistry, type GameSessionRegistry } from "./registry.ts";
import { newSession, type Session } from "./session.ts";
import { createSessionCache, type SessionCache } from "./session-cache.ts";
import { createSuspects } from "./suspects.ts";

const TTL_MS = 60_000;
const whyNot = whyNoRedis();
if (whyNot) console.warn(`Skipped: reading sessions through Redis. ${whyNot}`);

/** Redis in a process of its own behind a network that can fail, and a database file. The flag is a variable of the test. */
describe.skipIf(whyNot)("sessions read through Redis", () => {
  let redis: RedisProcess;
  let network: TcpProxy;
  let direct: Redis;
  let folder: string;
  let database: Database;
  let metrics: Metrics;
  let cache: SessionCache;
  let registry: GameSessionRegistry;
  let session: Session;
  let readers: Set<string>;
  let logged: string[];
  let namespace = 0;

  beforeAll(async () => {
    redis = await startRedisProcess();
    network = await startTcpProxy({ port: redis.port });
    folder = await mkdtemp(path.join(os.tmpdir(), "game-sessions-"));
    direct = new Redis(redis.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    direct.on("error", () => {}); // It is killed on purpose.
  });
  afterAll(async () => {
    direct.disconnect();
    await network.close();
    await redis.dispose();
    await rm(folder, { recursive: true });
  });

  beforeEach(async () => {
    const number = namespace++;
    readers = new Set(["ann", "bob"]);
    logged = [];
    database = openDatabase(path.join(folder, `${number}.sqlite`));
    metrics = createMetrics({ replayBacklog: () => database.backlog() });
    cache = createSessionCache({
      redis: { url: `redis://127.0.0.1:${network.port}`, namespace: `gsr-${number}`, ttlMs: TTL_MS, timeoutMs: 500 },
      metrics,
      log: pino({ base: null }, { write: (line) => void logged.push(line) }),
    });
    registry = createGameSessionRegistry({
      database,
      cache,
      metrics,
      suspects: createSuspects({ ttlMs: TTL_MS }),
      readsThrough: (player) => readers.has(player),
    });
    session = newSession({ id: "s-1", players: ["ann", "bob"], now: 0 });
    database.insert(session);
    await eventually(() => logged.some((line) => line.includes("Connected to Redis")), { what: "the connection" });
  });
  afterEach(() => {
    cache.close();
    database.close();
  });

  it("hydrates Redis at the first look-up and answers the next from it", async () => {
    expect(await registry.lookUp("s-1", "ann")).toEqual(session);
    await hydrated(1);
    expect(await registry.lookUp("s-1", "ann")).toEqual(session);
    expect(await count("game_session_lookups_total", { source: "cache" })).toBe(1);
    expect(await count("game_session_cache_misses_total", { operation: "lookup" })).toBe(1);
    expect(await count("game_session_cache_hits_total", { operation: "lookup" })).toBe(1);
  });

  it("does not touch Redis for a player whose flag is off", async () => {
    readers.clear();
    await registry.lookUp("s-1", "ann");
    await registry.move("s-1", "ann", "e4");
    await registry.replay("s-1", "ann", 0);
    await registry.acknowledge("s-1", "ann", 1);
    expect(await direct.keys(`gsr-${namespace - 1}:*`)).toEqual([]);
    for (const name of ["hits", "misses", "errors", "hydrates", "prunes"]) {
      expect(await count(`game_session_cache_${name}_total`)).toBe(0);
    }
  });

  it("lets a copy expire", async () => {
    await registry.lookUp("s-1", "ann");
    await hydrated(1);
    const [key = ""] = await direct.keys(`gsr-${namespace - 1}:*:session`);
    const left = await direct.pttl(key);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(TTL_MS);
  });

  it("shows a move to whoever looks after it was answered", async () => {
    await registry.lookUp("s-1", "ann");
    await hydrated(1);
    await registry.move("s-1", "bob", "e4");
    expect((await registry.lookUp("s-1", "ann"))?.lastMove).toEqual({ player: "bob", move: "e4" });
    expect(await count("game_session_lookups_total", { source: "cache" })).toBe(1);
  });

  it.each(["ann", "bob"])("shows a move in another process, where only %s reads through Redis", async (reader) => {
    readers = new Set([reader]);
    await registry.lookUp("s-1", reader);
    await hydrated(1);
    const elsewhere = createGameSessionRegistry({
      database,
      cache,
      metrics,
      suspects: createSuspects({ ttlMs: TTL_MS }),
      readsThrough: (player) => readers.has(player),
    });
    await elsewhere.move("s-1", "ann", "e4");
    expect((await registry.lookUp("s-1", reader))?.sequence).toBe(1);
    expect(await count("game_session_lookups_total", { source: "cache" })).toBe(1);
  });

  it("never replaces a newer copy by an older one", async () => {
    await registry.move("s-1", "ann", "e4");
    expect(await cache.save("hydrate", session, [])).toBe(true);
    expect((await cache.session("s-1"))?.sequence).toBe(1);
  });

  it("treats an entry it cannot read as a miss", async () => {
    await registry.lookUp("s-1", "ann");
    await hydrated(1);
    const [key = ""] = await direct.keys(`gsr-${namespace - 1}:*:session`);
    for (const [number, document] of ["{", "null", '{"id":"s-1"}'].entries()) {
      await direct.hset(key, "document", document);
      expect(await cache.session("s-1")).toBeUndefined();
      expect(await registry.lookUp("s-1", "ann")).toEqual(session);
      await hydrated(2 + number);
    }
  });

  describe("a replay", () => {
    it("grows by replay_append, is fetched whole and in order, and shrinks after GAME_ACK in store and gauge", async () => {
      for (const move of ["e4", "d4", "c4"]) await registry.move("s-1", "ann", move);
      expect(await sequences("bob", 0)).toEqual([1, 2, 3]);
      expect(await sequences("bob", 1)).toEqual([2, 3]);
      expect(await count("game_session_lookups_total", { operation: "replay_fetch", source: "cache" })).toBe(2);
      expect(await count("game_session_replay_backlog")).toBe(3);

      await registry.acknowledge("s-1", "ann", 3);
      expect(await count("game_session_replay_backlog")).toBe(3); // Bob has not confirmed any of them.
      await registry.acknowledge("s-1", "bob", 2);
      expect(await count("game_session_replay_backlog")).toBe(1);
      expect(await count("game_session_cache_prunes_total")).toBe(2);
      expect(database.events("s-1", 0).map((event) => event.sequence)).toEqual([3]);
      const [key = ""] = await direct.keys(`gsr-${namespace - 1}:*:replay`);
      expect(await direct.zcard(key)).toBe(1);
      expect(await registry.replay("s-1", "bob", 1)).toEqual({ kind: "pruned", prunedUpTo: 2 });
      expect(await sequences("bob", 2)).toEqual([3]);
    });

    it("that lost events in Redis comes whole from the database", async () => {
      for (const move of ["e4", "d4", "c4"]) await registry.move("s-1", "ann", move);
      const [key = ""] = await direct.keys(`gsr-${namespace - 1}:*:replay`);
      await direct.zremrangebyscore(key, 2, 2);
      expect(await sequences("bob", 0)).toEqual([1, 2, 3]);
      expect(await count("game_session_cache_misses_total", { operation: "replay_fetch" })).toBe(1);
      await hydrated(1);
      expect(await sequences("bob", 0)).toEqual([1, 2, 3]);
      expect(await count("game_session_cache_hits_total", { operation: "replay_fetch" })).toBe(1);
    });

    it("is not harmed by acknowledgements out of order or of the future", async () => {
      for (const move of ["e4", "d4"]) await registry.move("s-1", "ann", move);
      expect((await registry.acknowledge("s-1", "bob", 2))?.kind).toBe("acknowledged");
      expect((await registry.acknowledge("s-1", "bob", 1))?.kind).toBe("ignored");
      expect((await registry.acknowledge("s-1", "bob", 99))?.kind).toBe("ahead");
      expect(await sequences("ann", 0)).toEqual([1, 2]);
    });
  });

  describe("when Redis fails", () => {
    it("answers from the database when it is gone, and from Redis again when it is back", async () => {
      await redis.kill();
      for (let look = 0; look < 50; look++) expect(await registry.lookUp("s-1", "ann")).toEqual(session);
      const errors = await count("game_session_cache_errors_total");
      expect(errors).toBeGreaterThan(0);
      expect(errors).toBeLessThan(50); // The circuit opened: not every look-up tries.
      expect(logged.filter((line) => line.includes("Redis fails"))).toHaveLength(1);

      await redis.restart();
      await eventually(
        async () => {
          await registry.lookUp("s-1", "ann");
          return (await count("game_session_cache_hits_total")) > 0;
        },
        { what: "a hit", withinMs: 20_000 },
      );
      expect(await count("game_session_cache_circuit_open")).toBe(0);
      expect(logged.filter((line) => line.includes("Redis works again"))).toHaveLength(1);
    });

    it("does not wait for one that hangs", async () => {
      await registry.lookUp("s-1", "ann");
      await hydrated(1);
      redis.suspend();
      try {
        await registry.move("s-1", "ann", "e4");
        expect((await registry.lookUp("s-1", "bob"))?.sequence).toBe(1);
        expect(await sequences("bob", 0)).toEqual([1]);
        expect(await count("game_session_cache_errors_total", { operation: "replay_append" })).toBe(1);
      } finally {
        redis.resume();
      }
    });

    it("shows no copy that a change went past while Redis could not be told", async () => {
      const other = newSession({ id: "s-2", players: ["ann"], now: 0 });
      database.insert(other);
      for (const id of ["s-1", "s-2"]) await registry.lookUp(id, "ann");
      await hydrated(2);
      await network.inject({ kind: "blackhole" });
      await registry.move("s-1", "ann", "e4");
      await network.heal();

      const hits = await count("game_session_cache_hits_total");
      await eventually(
        async () => {
          await registry.lookUp("s-2", "ann");
          return (await count("game_session_cache_hits_total")) > hits;
        },
        { what: "Redis to be read again" },
      );
      expect((await cache.session("s-1"))?.sequence).toBe(0); // The old copy is still there,
      expect((await registry.lookUp("s-1", "bob"))?.sequence).toBe(1); // and nobody is shown it.
      await registry.move("s-1", "bob", "e5"); // Now Redis is told, and trusted again.
      const lookups = await count("game_session_lookups_total", { source: "cache" });
      expect((await registry.lookUp("s-1", "ann"))?.sequence).toBe(2);
      expect(await count("game_session_lookups_total", { source: "cache" })).toBe(lookups + 1);
    });

    it("shows no copy that a change went past while the flag was off", async () => {
      await registry.lookUp("s-1", "ann");
      await hydrated(1);
      readers.clear();
      await registry.move("s-1", "ann", "e4");
      readers.add("bob");
      expect((await registry.lookUp("s-1", "bob"))?.sequence).toBe(1);
    });
  });

  const hydrated = (times: number) =>
    eventually(async () => (await count("game_session_cache_hydrates_total")) === times, { what: "hydration" });

  /** Over all label values that are not given. */
  async function count(name: string, labels: Record<string, string> = {}): Promise<number> {
    const metric = (await metrics.registry.getMetricsAsJSON()).find((candidate) => candidate.name === name);
    if (!metric) throw new Error(`There is no metric ${name}`);
    return metric.values
      .filter((value) => Object.entries(labels).every(([label, wanted]) => value.labels[label] === wanted))
      .reduce((sum, { value }) => sum + value, 0);
  }

  async function sequences(player: string, after: number): Promise<number[] | undefined> {
    const replay = await registry.replay("s-1", player, after);
    return replay?.kind === "complete" ? replay.events.map((event) => event.sequence) : undefined;
  }
});
