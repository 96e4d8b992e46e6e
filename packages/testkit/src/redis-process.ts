import { type Program, startProgram, whyNotInstalled } from "./program.ts";

/** A real Redis with nothing on disk: what it held is gone with its process, and a restart starts an empty one. */
export interface RedisProcess extends Program {
  readonly url: string;
}

/** Why tests that need Redis cannot run here, or undefined if they can. */
export function whyNoRedis(): string | undefined {
  return whyNotInstalled("redis-server", "apt-get install redis-server, brew install redis");
}

export async function startRedisProcess(): Promise<RedisProcess> {
  const redis = await startProgram({
    command: "redis-server",
    args({ port, folder }) {
      const options = { port, bind: "127.0.0.1", dir: folder, save: "", appendonly: "no" };
      return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    },
    ready: /Ready to accept connections/,
  });
  return { ...redis, url: `redis://127.0.0.1:${redis.port}` };
}
