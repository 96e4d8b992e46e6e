import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { until } from "./until.ts";

/** The flag server as the demonstration drives it: a process like any other, started, killed and started again. */
export interface FlagServer {
  readonly url: string;
  readonly adminToken: string;
  readonly sdkToken: string;
  /** SIGKILL: it has no chance to write anything any more. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** A start takes a second or two. A machine on which it takes this long tells no story. */
const START_MS = 120_000;

const ROOT = path.resolve(import.meta.dirname, "../../../..");

/** Starts a server with its data in `folder`, which must be empty, and waits until it answers. */
export async function startServer(folder: string): Promise<FlagServer> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let running = await launch({ port, folder, url });
  const { adminToken, sdkTokens } = JSON.parse(readFileSync(path.join(folder, "first-run.json"), "utf8"));

  return {
    url,
    adminToken,
    sdkToken: sdkTokens.production,
    async kill() {
      if (running.exitCode !== null || running.signalCode !== null) return;
      running.kill("SIGKILL");
      await once(running, "exit");
    },
    async start() {
      running = await launch({ port, folder, url });
    },
  };
}

async function launch(at: { port: number; folder: string; url: string }): Promise<ChildProcess> {
  const server = spawn(process.execPath, ["--conditions=@bunting/source", "--import", "tsx", "server/src/main.ts"], {
    cwd: ROOT,
    env: {
      ...process.env,
      BUNTING_HOST: "127.0.0.1",
      BUNTING_PORT: String(at.port),
      BUNTING_DATA_DIR: at.folder,
      BUNTING_LOG_LEVEL: "warn",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [server.stdout, server.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      printed = (printed + text).slice(-16_384);
    });
  }
  const killWithUs = (): void => void server.kill("SIGKILL");
  process.once("exit", killWithUs);
  server.once("exit", () => process.off("exit", killWithUs));

  // It says so once it serves. Its own word, and not an answer on the port: on a machine that is busy enough a server calls
  // itself overloaded for minutes, and the port may be somebody else's.
  await until(`the server at ${at.url}`, START_MS, () => {
    if (server.exitCode !== null || server.signalCode !== null) throw new Error("It ended before it served.");
    return printed.includes("Bunting serves ");
  }).catch((error: unknown) => {
    server.kill("SIGKILL");
    throw new Error(`${String(error)} The server said:\n${printed}`, { cause: error });
  });
  return server;
}

/**
 * Below the ports that the kernel gives to outgoing connections: in there, one of 200 clients that keep knocking at a dead
 * server's port would sooner or later be given that very port as its own, and keep the server from coming back.
 */
async function freePort(): Promise<number> {
  for (let port = 10_100 + (process.pid % 20_000); port < 32_000; port++) {
    const listener = createServer().listen(port, "127.0.0.1");
    const isFree = await once(listener, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    listener.close();
    await once(listener, "close");
    return port;
  }
  throw new Error("No port between 10100 and 32000 is free.");
}
