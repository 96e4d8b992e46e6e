import { z } from "zod";

const port = z.coerce.number().int().min(1).max(65_535);

/** The environment variables this service reads. The SDK reads its own, BUNTING_URL and BUNTING_TOKEN among them. */
const environment = z.object({
  HOST: z.string().default("127.0.0.1"),
  PORT: port.default(8080),
  NODE_ENV: z.string().default("development"),
  LOG_LEVEL: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  SESSION_DATABASE_FILE: z.string().default("game-sessions.sqlite"),
  SESSION_REDIS_URL: z.url({ protocol: /^rediss?$/ }).optional(),
  SESSION_REDIS_HOST: z.string().default("127.0.0.1"),
  SESSION_REDIS_PORT: port.default(6379),
  SESSION_REDIS_NAMESPACE: z.string().min(1).default("gsr"),
  SESSION_REDIS_TTL_SECONDS: z.coerce.number().positive().default(300),
  SESSION_REDIS_TIMEOUT_MS: z.coerce.number().int().positive().default(50),
});

export interface Settings {
  readonly host: string;
  readonly port: number;
  readonly logLevel: string;
  readonly databaseFile: string;
  readonly redis: {
    readonly url: string;
    readonly namespace: string;
    /** How long a cached copy lives, and hence the longest a reader can be behind a writer whose Redis had failed. */
    readonly ttlMs: number;
    /** An answer that takes longer than this is a failure: the database is faster. */
    readonly timeoutMs: number;
  };
  /** What `redis-readthrough` is while nobody has decided it: no such flag, or no word from Bunting ever. */
  readonly readThroughByDefault: boolean;
}

/** Throws one error that names every variable that is wrong. An empty variable counts as unset. */
export function readSettings(variables: Readonly<Record<string, string | undefined>>): Settings {
  const set = Object.entries(variables).filter(([, value]) => value !== "");
  const parsed = environment.safeParse(Object.fromEntries(set));
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new Error(`Cannot start with these settings. ${problems.join("; ")}`);
  }
  const { data } = parsed;
  return {
    host: data.HOST,
    port: data.PORT,
    logLevel: data.LOG_LEVEL,
    databaseFile: data.SESSION_DATABASE_FILE,
    redis: {
      url: data.SESSION_REDIS_URL ?? `redis://${data.SESSION_REDIS_HOST}:${data.SESSION_REDIS_PORT}`,
      namespace: data.SESSION_REDIS_NAMESPACE,
      ttlMs: data.SESSION_REDIS_TTL_SECONDS * 1000,
      timeoutMs: data.SESSION_REDIS_TIMEOUT_MS,
    },
    readThroughByDefault: data.NODE_ENV === "staging",
  };
}
