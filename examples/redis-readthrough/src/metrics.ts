import { Counter, Gauge, Registry } from "prom-client";

/** What was asked of the cache. */
export type CacheOperation = "lookup" | "replay_fetch" | "hydrate" | "replay_append" | "prune";

export type Metrics = ReturnType<typeof createMetrics>;

/** Names and labels that dashboards and alerts rely on: renaming one is a breaking change. */
export function createMetrics({ replayBacklog }: { replayBacklog: () => number }) {
  const registry = new Registry();
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter({ name, help, labelNames: [...labelNames], registers });

  new Gauge({
    name: "game_session_replay_backlog",
    help: "Events that at least one player has not acknowledged, over all sessions",
    registers,
    collect() {
      this.set(replayBacklog());
    },
  });
  return {
    registry,
    lookups: counter("game_session_lookups_total", "Sessions and replays found, by where they came from", [
      "operation",
      "source",
    ]),
    hits: counter("game_session_cache_hits_total", "Answers found in Redis", ["operation"]),
    misses: counter("game_session_cache_misses_total", "Answers that Redis did not have", ["operation"]),
    errors: counter("game_session_cache_errors_total", "Commands that Redis refused or did not answer in time", [
      "operation",
    ]),
    hydrates: counter("game_session_cache_hydrates_total", "Sessions copied from the database into Redis"),
    prunes: counter("game_session_cache_prunes_total", "Events removed from Redis because everyone acknowledged them"),
    acknowledgements: counter("game_session_acks_total", "GAME_ACK messages", ["outcome"]),
    circuitOpen: new Gauge({
      name: "game_session_cache_circuit_open",
      help: "1 while Redis is left alone because it failed",
      registers,
    }),
  };
}
