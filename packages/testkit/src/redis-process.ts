import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Child, type ChildExit, startChild } from "./child.ts";
import { freePort } from "./free-port.ts";

/** A real Redis with nothing on disk: what it held is gone with its process. */
export interface RedisProcess {
  readonly url: string;
  readonly port: number;
  /** SIGKILL. */
  kill(): Promise<ChildExit>;
  /** SIGSTOP: connections stay open and nothing answers, which only a time limit notices. */
  suspend(): void;
  /** SIGCONT. */
  resume(): void;
  /** Starts an empty one on the same port; kills the present one first if it still runs. */
  restart(): Promise<void>;
  /** Kills it and removes its folder. */
  dispose(): Promise<void>;
}

/** Why tests that need Redis cannot run here, or undefined if they can. */
export function whyNoRedis(): string | undefined {
  const { error, status } = spawnSync("redis-server", ["--version"], { stdio: "ignore" });
  if (status === 0) return undefined;
  const reason = error ? "is not on the PATH" : `ended with ${status}`;
  return `redis-server ${reason}. Install Redis (apt-get install redis-server, brew install redis) to run this.`;
}

export async function startRedisProcess(): Promise<RedisProcess> {
  const port = await freePort();
  const folder = await mkdtemp(path.join(os.tmpdir(), "bunting-redis-"));
  const options = { port, bind: "127.0.0.1", dir: folder, save: "", appendonly: "no" };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);

  const start = async (): Promise<Child> => {
    const started = await startChild({ command: "redis-server", args });
    await started.printed(/Ready to accept connections/, 20_000);
    return started;
  };

  let child = await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill: () => child.end("SIGKILL"),
    suspend: () => child.signal("SIGSTOP"),
    resume: () => child.signal("SIGCONT"),
    async restart() {
      await child.end("SIGKILL");
      child = await start();
    },
    async dispose() {
      await child.end("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}
