import { once } from "node:events";
import { createServer } from "node:net";

/**
 * A loopback port on which nobody listens, from below the range the kernel takes source ports from (32768 and up on
 * Linux, 49152 elsewhere). Inside that range a client that keeps trying to reach a dead server can be given the
 * server's port as its own and connect to itself, and any connection can occupy the port while a server restarts.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = 10_100 + Math.floor(Math.random() * 21_900); // Not 10080: fetch refuses it, as a port of another protocol.
    if (await isFree(port)) return port;
  }
  throw new Error("Found no free port between 10100 and 32000 in 100 tries");
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen({ port, host: "127.0.0.1" });
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
