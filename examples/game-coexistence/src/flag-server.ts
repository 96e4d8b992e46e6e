import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { until } from "./until.ts";

/** A real flag server, in a process of its own. */
export interface FlagServer {
  readonly url: string;
  readonly adminToken: string;
  readonly sdkToken: string;
  close(): Promise<void>;
}

const START_MS = 120_000;
const ROOT = path.resolve(import.meta.dirname, "../../..");

/** @param folder Where it keeps its data; empty. */
export async function startFlagServer(folder: string): Promise<FlagServer> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = spawn(process.execPath, ["--conditions=@bunting/source", "--import", "tsx", "server/src/main.ts"], {
    cwd: ROOT,
    env: {
      ...process.env,
      BUNTING_HOST: "127.0.0.1",
      BUNTING_PORT: String(port),
      BUNTING_DATA_DIR: folder,
      BUNTING_LOG_LEVEL: "warn",
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  server.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-16_384);
  });
  const killWithUs = (): void => void server.kill("SIGKILL");
  process.once("exit", killWithUs);
  const close = async (): Promise<void> => {
    process.off("exit", killWithUs);
    if (server.exitCode === null && server.signalCode === null) {
      server.kill("SIGKILL");
      await once(server, "exit");
    }
  };
  try {
    await until(`${url} to be ready`, START_MS, async () => {
      if (server.exitCode !== null || server.signalCode !== null) {
        throw new Error(`The server ended before it was ready. It said:\n${said}`);
      }
      const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
      return answer?.ok === true;
    });
    const { adminToken, sdkTokens } = JSON.parse(await readFile(path.join(folder, "first-run.json"), "utf8"));
    return { url, adminToken, sdkToken: sdkTokens.production, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  listener.close();
  await once(listener, "close");
  if (address === null || typeof address === "string") throw new Error("There is no free port.");
  return address.port;
}
