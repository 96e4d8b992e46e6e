import { Redis, type Result } from "ioredis";
import type { Logger } from "pino";
import { z } from "zod";
import { admit, type Circuit, type CircuitPolicy, CLOSED, failed, succeeded } from "./circuit.ts";
import type { CacheOperation, Metrics } from "./metrics.ts";
import { type GameEvent, prunableUpTo, type Replay, replayFrom, type Session } from "./session.ts";
import type { Settings } from "./settings.ts";

/**
 * Copies of sessions and their replays in Redis. Nothing here ever throws or waits longer than the time limit of one
 * command: whatever goes wrong is a miss, is counted, and the caller reads the database.
 */
export interface SessionCache {
  session(id: string): Promise<Session | undefined>;
  replay(id: string, after: number): Promise<{ session: Session; replay: Replay } | undefined>;
  /** Stores a copy unless a newer one is there, adds the events and removes the acknowledged ones. False: Redis was not told. */
  save(operation: CacheOperation, session: Session, events: readonly GameEvent[]): Promise<boolean>;
  close(): void;
}

export interface SessionCacheOptions {
  readonly redis: Settings["redis"];
  readonly metrics: Metrics;
  readonly log: Logger;
}

const POLICY: CircuitPolicy = { failures: 5, openMs: 1000 };

/** Both keys of a session in one hash slot; the replay is a sorted set, scored by sequence. Answers how many events went. */
const SAVE = `
  local version = redis.call("HGET", KEYS[1], "version")
  if version and tonumber(version) > tonumber(ARGV[1]) then return 0 end
  redis.call("HSET", KEYS[1], "version", ARGV[1], "document", ARGV[2])
  redis.call("PEXPIRE", KEYS[1], ARGV[3])
  for index = 5, #ARGV, 2 do
    redis.call("ZREMRANGEBYSCORE", KEYS[2], ARGV[index], ARGV[index])
    redis.call("ZADD", KEYS[2], ARGV[index], ARGV[index + 1])
  end
  local pruned = redis.call("ZREMRANGEBYSCORE", KEYS[2], "-inf", ARGV[4])
  redis.call("PEXPIRE", KEYS[2], ARGV[3])
  return pruned
`;

/** Session and events of one moment. */
const FETCH_REPLAY = `
  return { redis.call("HGET", KEYS[1], "document"), redis.call("ZRANGEBYSCORE", KEYS[2], "(" .. ARGV[1], "+inf") }
`;

declare module "ioredis" {
  interface RedisCommander<Context> {
    saveSession(...keysAndArguments: (string | number)[]): Result<number, Context>;
    fetchReplay(session: string, replay: string, after: number): Result<[string | null, string[]], Context>;
  }
}

/** An entry of an earlier release, or of somebody else, is a miss and not an exception in a request handler. */
const cachedSession: z.ZodType<Session> = z.object({
  id: z.string(),
  players: z.array(z.string()),
  sequence: z.int(),
  acknowledged: z.record(z.string(), z.int()),
  lastMove: z.object({ player: z.string(), move: z.string() }).nullable(),
  version: z.int(),
  createdAt: z.int(),
});
const cachedEvent: z.ZodType<GameEvent> = z.object({
  sequence: z.int(),
  player: z.string(),
  move: z.string(),
  at: z.int(),
});

export function createSessionCache({ redis: settings, metrics, log }: SessionCacheOptions): SessionCache {
  const redis = connect(settings);
  const guard = createGuard({ metrics, log });
  redis.on("error", (error) => log.debug({ err: error }, "Redis connection failed"));
  redis.on("ready", () => log.info({ redis: redactedUrl(settings.url) }, "Connected to Redis"));

  const keysOf = (id: string): [string, string] => [
    `${settings.namespace}:{${id}}:session`,
    `${settings.namespace}:{${id}}:replay`,
  ];
  /** Counts a hit or a miss; a failed command is neither, it was counted as an error. */
  const found = <Answer>(operation: CacheOperation, answer: Answer | undefined): Answer | undefined => {
    (answer === undefined ? metrics.misses : metrics.hits).inc({ operation });
    return answer;
  };

  return {
    async session(id) {
      const asked = await guard("lookup", () => redis.hget(keysOf(id)[0], "document"));
      return asked.answered ? found("lookup", parse(cachedSession, asked.answer)) : undefined;
    },
    async replay(id, after) {
      const asked = await guard("replay_fetch", () => redis.fetchReplay(...keysOf(id), after));
      if (!asked.answered) return undefined;
      const [document, events] = asked.answer;
      const session = parse(cachedSession, document);
      const replay = session && replayFrom(session, after, parseAll(cachedEvent, events));
      return found("replay_fetch", replay && { session, replay });
    },
    async save(operation, session, events) {
      const pairs = events.flatMap((event) => [event.sequence, JSON.stringify(event)]);
      const head = [session.version, JSON.stringify(session), Math.ceil(settings.ttlMs), prunableUpTo(session)];
      const saved = await guard(operation, () => redis.saveSession(...keysOf(session.id), ...head, ...pairs));
      if (!saved.answered) return false;
      if (operation === "hydrate") metrics.hydrates.inc();
      metrics.prunes.inc(saved.answer);
      return true;
    },
    close: () => redis.disconnect(),
  };
}

function connect({ url, timeoutMs }: Settings["redis"]): Redis {
  return new Redis(url, {
    commandTimeout: timeoutMs,
    connectTimeout: 1000,
    // Without a connection a command fails at once. Queued, it would hold up a player until Redis is back.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.random() * Math.min(2000, 50 * 2 ** Math.min(attempt, 10)),
    scripts: {
      saveSession: { lua: SAVE, numberOfKeys: 2 },
      fetchReplay: { lua: FETCH_REPLAY, numberOfKeys: 2 },
    },
  });
}

type Asked<Answer> = { readonly answered: true; readonly answer: Answer } | { readonly answered: false };

/** Runs commands while Redis works and leaves it alone for a while when it does not. Logs each change, not each failure. */
function createGuard({ metrics, log }: Pick<SessionCacheOptions, "metrics" | "log">) {
  let circuit: Circuit = CLOSED;
  const become = (next: Circuit, error?: unknown): void => {
    const before = circuit.state;
    circuit = next;
    metrics.circuitOpen.set(next.state === "closed" ? 0 : 1);
    if (next.state === "open" && before === "closed") {
      log.warn({ err: error }, "Redis fails; sessions are read from the database");
    }
    if (next.state === "closed" && before !== "closed") log.info({}, "Redis works again; sessions are read through it");
  };
  return async <Answer>(operation: CacheOperation, command: () => Promise<Answer>): Promise<Asked<Answer>> => {
    const leave = admit(circuit, performance.now(), POLICY);
    circuit = leave.circuit;
    if (!leave.admitted) return { answered: false };
    try {
      const answer = await command();
      become(succeeded(circuit));
      return { answered: true, answer };
    } catch (error) {
      metrics.errors.inc({ operation });
      become(failed(circuit, performance.now(), POLICY), error);
      return { answered: false };
    }
  };
}

function parse<Document>(schema: z.ZodType<Document>, text: string | null): Document | undefined {
  if (text === null) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Leaves out what cannot be read; the hole that leaves makes the replay a miss. */
function parseAll<Document>(schema: z.ZodType<Document>, texts: readonly string[]): Document[] {
  return texts.map((text) => parse(schema, text)).filter((document) => document !== undefined);
}

function redactedUrl(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
