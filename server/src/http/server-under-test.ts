import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TokenKind } from "@bunting/contracts";
import { Registry } from "prom-client";
import { readConfig } from "../config.ts";
import type { FirstRun } from "../ledger/first-run.ts";
import { createLogger } from "../ops/log.ts";
import { createNodeClock, createNodeRandom, createNodeScheduler } from "../platform/node.ts";
import { createServer, type Server, type ServerDeps } from "../server.ts";

/*
 * A real server on a free port with a real database, for tests of this package. It talks to nobody but the test.
 */

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed, if it is JSON. */
  readonly body: JsonBody;
}

/** Loosely typed on purpose: tests compare with what they expect, and a wrong shape is a failed comparison. */
export interface JsonBody {
  readonly [name: string]: unknown;
}

export interface ServerUnderTest {
  readonly server: Server;
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly firstRun: FirstRun;
  /** Everything that was logged. */
  readonly log: readonly string[];
  /** With the admin's token, unless another or null is given. A body that is no string goes as JSON. */
  request(method: string, target: string, options?: RequestOptions): Promise<Reply>;
  createToken(kind: TokenKind, environments: readonly string[] | null): Promise<string>;
  /** Stops it and removes its folder. */
  dispose(): Promise<void>;
}

export interface RequestOptions {
  readonly token?: string | null;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Setup {
  readonly environment?: Readonly<Record<string, string>>;
  readonly deps?: Partial<ServerDeps>;
  readonly dataDir?: string;
}

export async function startServerUnderTest({
  environment,
  deps,
  dataDir: given,
}: Setup = {}): Promise<ServerUnderTest> {
  const dataDir = given ?? mkdtempSync(path.join(tmpdir(), "bunting-http-"));
  const log: string[] = [];
  const server = createServer({
    config: readConfig({ BUNTING_PORT: "0", BUNTING_DATA_DIR: dataDir, ...environment }),
    clock: createNodeClock(),
    scheduler: createNodeScheduler(),
    random: createNodeRandom(),
    logger: createLogger("debug", (line) => log.push(line)),
    registry: new Registry(),
    node: "under-test",
    // Nobody outside is asked for an address.
    resolve: () => Promise.resolve([]),
    ...deps,
  });
  const port = await server.listen();
  const url = `http://127.0.0.1:${port}`;
  const firstRun = server.firstRun ?? { adminToken: "", sdkTokens: {} };

  const request: ServerUnderTest["request"] = async (method, target, options = {}) => {
    const { token = firstRun.adminToken, body, headers } = options;
    const response = await fetch(url + target, {
      method,
      redirect: "manual",
      headers: {
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = text !== "" && (response.headers.get("content-type")?.includes("json") ?? false);
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? (JSON.parse(text) as JsonBody) : {},
    };
  };

  return {
    server,
    url,
    port,
    dataDir,
    firstRun,
    log,
    request,
    async createToken(kind, environments) {
      const { status, body, text } = await request("POST", "/api/v1/tokens", {
        body: { kind, name: `a ${kind}`, environments },
      });
      if (status !== 201) throw new Error(`No token was made: ${text}`);
      return body.secret as string;
    },
    async dispose() {
      await server.close();
      if (given === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
