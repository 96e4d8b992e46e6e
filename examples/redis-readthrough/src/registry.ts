import type { Database } from "./database.ts";
import type { CacheOperation, Metrics } from "./metrics.ts";
import {
  type Acknowledgement,
  acknowledge,
  appendMove,
  type GameEvent,
  type Replay,
  replayFrom,
  type Session,
} from "./session.ts";
import type { SessionCache } from "./session-cache.ts";
import type { Suspects } from "./suspects.ts";

/** Where sessions are found and changed. Reads go through Redis or to the database, as the flag says for that player. */
export interface GameSessionRegistry {
  lookUp(id: string, player: string): Promise<Session | undefined>;
  replay(id: string, player: string, after: number): Promise<Replay | undefined>;
  move(id: string, player: string, move: string): Promise<GameEvent | undefined>;
  acknowledge(id: string, player: string, sequence: number): Promise<Acknowledgement | undefined>;
}

export interface GameSessionRegistryOptions {
  readonly database: Database;
  readonly cache: SessionCache;
  readonly suspects: Suspects;
  readonly metrics: Metrics;
  /** The flag `redis-readthrough` for this player, at this moment. */
  readonly readsThrough: (player: string) => boolean;
}

export function createGameSessionRegistry(options: GameSessionRegistryOptions): GameSessionRegistry {
  const { database, cache, suspects, metrics, readsThrough } = options;

  const mayRead = (id: string, player: string): boolean => readsThrough(player) && !suspects.has(id, performance.now());
  const from = <Answer>(source: "cache" | "database", operation: CacheOperation, answer: Answer): Answer => {
    metrics.lookups.inc({ operation, source });
    return answer;
  };
  /** In the background: the answer need not wait for it, and a newer copy is never replaced by this one. */
  const hydrate = (session: Session): void => void cache.save("hydrate", session, database.events(session.id, 0));
  /**
   * Tells Redis of a change if any player of the session reads through it, not only this one: they share the copy. Told
   * before the answer goes out, so a player who sees the answer and looks again sees the change.
   */
  const tell = async (operation: CacheOperation, session: Session, events: readonly GameEvent[]): Promise<void> => {
    const told = session.players.some(readsThrough) && (await cache.save(operation, session, events));
    if (told) suspects.clear(session.id);
    else suspects.add(session.id, performance.now());
  };

  return {
    async lookUp(id, player) {
      const through = mayRead(id, player);
      const cached = through ? await cache.session(id) : undefined;
      if (cached) return from("cache", "lookup", cached);
      const session = database.session(id);
      if (!session) return undefined;
      if (through) hydrate(session);
      return from("database", "lookup", session);
    },
    async replay(id, player, after) {
      const through = mayRead(id, player);
      const cached = through ? await cache.replay(id, after) : undefined;
      if (cached) return from("cache", "replay_fetch", cached.replay);
      const session = database.session(id);
      if (!session) return undefined;
      if (through) hydrate(session);
      return from("database", "replay_fetch", replayFrom(session, after, database.events(id, after)));
    },
    async move(id, player, move) {
      const played = database.change(id, (session) => appendMove(session, { player, move, now: Date.now() }));
      if (!played) return undefined;
      await tell("replay_append", played.session, [played.event]);
      return played.event;
    },
    async acknowledge(id, player, sequence) {
      const outcome = database.change(id, (session) => acknowledge(session, { player, sequence }));
      if (!outcome) return undefined;
      metrics.acknowledgements.inc({ outcome: outcome.kind });
      if (outcome.kind === "acknowledged") await tell("prune", outcome.session, []);
      return outcome;
    },
  };
}
