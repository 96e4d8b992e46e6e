import { once } from "node:events";
import { createConnection } from "node:net";
import { describe, expect, it } from "vitest";
import { startRedisProcess, whyNoRedis } from "./redis-process.ts";

describe("a real Redis", () => {
  it("answers, dies without a goodbye, and is empty after a restart on the same port", {
    timeout: 60_000,
  }, async (test) => {
    const missing = whyNoRedis();
    test.skip(missing !== undefined, missing);
    const redis = await startRedisProcess();
    try {
      expect(await ask(redis.port, "SET session live\r\n")).toBe("+OK\r\n");
      expect(await redis.kill()).toEqual({ code: null, signal: "SIGKILL" });
      await expect(ask(redis.port, "PING\r\n")).rejects.toMatchObject({ code: "ECONNREFUSED" });
      await redis.restart();
      expect(await ask(redis.port, "GET session\r\n")).toBe("$-1\r\n");
    } finally {
      await redis.dispose();
    }
  });
});

/** One command in Redis' inline form; the answer as it comes. */
async function ask(port: number, command: string): Promise<string> {
  const socket = createConnection({ port, host: "127.0.0.1" });
  socket.write(command);
  const [answer] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return answer.toString();
}
