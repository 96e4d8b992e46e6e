import { randomBytes } from "node:crypto";
import { createFlags } from "@bunting/sdk";
import { serve } from "@hono/node-server";
import { pino } from "pino";
import { openDatabase } from "./database.ts";
import { createMetrics } from "./metrics.ts";
import { createGameSessionRegistry } from "./registry.ts";
import { createResumeTokens } from "./resume-token.ts";
import { createService } from "./service.ts";
import { createSessionCache } from "./session-cache.ts";
import { readSettings } from "./settings.ts";
import { createSuspects } from "./suspects.ts";

const settings = readSettings(process.env);
const log = pino({ level: settings.logLevel });

const flags = createFlags({
  // This variable switched the feature before there were flags. It still does, and wins over everything but a kill.
  overrideEnv: { "redis-readthrough": "SESSION_REDIS_READTHROUGH_ENABLED" },
});
flags.on("error", ({ code, message }) => log.warn({ code, message }, "Flags are not fresh"));

const database = openDatabase(settings.databaseFile);
const metrics = createMetrics({ replayBacklog: () => database.backlog() });
const cache = createSessionCache({
  redis: settings.redis,
  metrics,
  log: log.child({ context: "GameSessionRegistryRedis" }),
});
const registry = createGameSessionRegistry({
  database,
  cache,
  metrics,
  // A copy that was on its way when the cache was not told expires a little later than the others.
  suspects: createSuspects({ ttlMs: settings.redis.ttlMs + settings.redis.timeoutMs }),
  readsThrough: (player) => flags.value("redis-readthrough", player, settings.readThroughByDefault),
});
const resumeTokens = createResumeTokens(database.secret(randomBytes(32)));
const service = createService({ registry, database, resumeTokens, metrics, log });

log.info({ source: await flags.ready({ timeoutMs: 2000 }) }, "Flags are ready");
const server = serve({ fetch: service.fetch, hostname: settings.host, port: settings.port }, ({ port }) => {
  log.info({ port }, "Serving game sessions");
});
server.on("error", (error) => {
  log.fatal({ err: error }, "Cannot listen");
  process.exit(1);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close(() => {
      cache.close();
      void flags.close().then(() => database.close());
    });
  });
}
