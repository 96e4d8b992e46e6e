import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Child, type ChildExit, startChild } from "./child.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";

/** What a server writes for whoever starts it for the first time. */
export interface FirstRun {
  readonly adminToken: string;
  readonly sdkTokens: Readonly<Record<string, string>>;
}

/** The real server, from sources, in a process of its own: what a test kills, stops and restarts. */
export interface ServerProcess {
  readonly url: string;
  readonly port: number;
  readonly dataFolder: string;
  readonly firstRun: FirstRun;
  readonly pid: number;
  /** Settles when the present process has ended, however it came to that. */
  readonly exited: Promise<ChildExit>;
  /** What the present process printed. */
  output(): string;
  /** SIGKILL: no goodbye, no flush. */
  kill(): Promise<ChildExit>;
  /** SIGTERM, and waits: as a deployment does it. */
  terminate(): Promise<ChildExit>;
  /** SIGSTOP: sockets stay open and silent, as with a process that hangs. */
  suspend(): void;
  /** SIGCONT. */
  resume(): void;
  /** Starts it again on the same port and data folder, with `env` added; kills it first if it still runs. */
  restart(env?: NodeJS.ProcessEnv): Promise<void>;
  /** Asks the admin API with the admin token. `body` goes as JSON. The answer's status is the caller's to check. */
  request(method: string, pathAndQuery: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Kills it and removes a data folder that {@link startServerProcess} made. */
  dispose(): Promise<void>;
}

export interface ServerProcessOptions {
  /** Added to the environment; `BUNTING_…` variables of the test's own process are not passed on. */
  readonly env?: NodeJS.ProcessEnv;
  /** @default a new temporary folder, removed by dispose() */
  readonly dataFolder?: string;
  /** @default a free one */
  readonly port?: number;
  /** From start to `/readyz` answering 200. @default 60_000: two busy cores compile and load slowly */
  readonly readyWithinMs?: number;
}

const ROOT = path.resolve(import.meta.dirname, "../../..");

export async function startServerProcess(options: ServerProcessOptions = {}): Promise<ServerProcess> {
  const port = options.port ?? (await freePort());
  const dataFolder = options.dataFolder ?? (await mkdtemp(path.join(os.tmpdir(), "bunting-server-")));
  const url = `http://127.0.0.1:${port}`;
  const readyWithinMs = options.readyWithinMs ?? 60_000;
  let env: NodeJS.ProcessEnv = {
    ...withoutBunting(process.env),
    BUNTING_HOST: "127.0.0.1",
    BUNTING_PORT: String(port),
    BUNTING_DATA_DIR: dataFolder,
    ...options.env,
  };

  const start = async (): Promise<Child> => {
    const started = await startChild({
      command: process.execPath,
      args: ["--conditions=@bunting/source", "--import", "tsx", "server/src/main.ts"],
      env,
      cwd: ROOT,
    });
    await ready(started, { url, withinMs: readyWithinMs });
    return started;
  };
  const removeFolder = async (): Promise<void> => {
    if (options.dataFolder === undefined) await rm(dataFolder, { recursive: true, force: true });
  };

  let child: Child;
  let firstRun: FirstRun;
  try {
    child = await start();
    firstRun = JSON.parse(await readFile(path.join(dataFolder, "first-run.json"), "utf8")) as FirstRun;
  } catch (error) {
    await removeFolder();
    throw error;
  }

  return {
    url,
    port,
    dataFolder,
    firstRun,
    get pid() {
      return child.pid;
    },
    get exited() {
      return child.exited;
    },
    output: () => child.output(),
    kill: () => child.end("SIGKILL"),
    terminate: () => child.end("SIGTERM"),
    suspend: () => child.signal("SIGSTOP"),
    resume: () => child.signal("SIGCONT"),
    async restart(more = {}) {
      await child.end("SIGKILL");
      env = { ...env, ...more };
      child = await start();
    },
    request: (method, pathAndQuery, body, headers = {}) =>
      fetch(url + pathAndQuery, {
        method,
        headers: {
          authorization: `Bearer ${firstRun.adminToken}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    async dispose() {
      await child.end("SIGKILL");
      await removeFolder();
    },
  };
}

/** Until `/readyz` answers 200. A server that ends first is reported at once, with what it printed. */
async function ready(child: Child, { url, withinMs }: { url: string; withinMs: number }): Promise<void> {
  const endedEarly = child.exited.then(({ code, signal }) => {
    throw new Error(`The server ended (${code ?? signal}) before it was ready. Its output:\n${child.output()}`);
  });
  const isReady = eventually(async () => child.isRunning && (await fetch(`${url}/readyz`)).ok, {
    withinMs,
    everyMs: 25,
    what: `${url}/readyz to answer 200`,
  }).catch(async (error: unknown) => {
    if (!child.isRunning) return; // endedEarly says it better.
    const output = child.output();
    await child.end("SIGKILL");
    throw new Error(`The server did not become ready in ${withinMs} ms. Its output:\n${output}`, { cause: error });
  });
  await Promise.race([isReady, endedEarly]);
}

function withoutBunting(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("BUNTING_")));
}
