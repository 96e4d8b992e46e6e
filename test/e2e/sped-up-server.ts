import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer, readConfig } from "@bunting/server";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import { Registry } from "prom-client";

/**
 * A real server, its sockets and databases included, whose clock and timers are the test's. An hour takes as long as what is
 * done in it.
 */
export interface SpedUpServer {
  readonly url: string;
  readonly adminToken: string;
  /** Of the environment `production`. */
  readonly sdkToken: string;
  /** Unix ms, by the server's clock. */
  now(): number;
  /** Lets time pass. It stands still while the server waits for somebody else's answer, a Prometheus' for instance. */
  advance(ms: number): Promise<void>;
  /** Sets the server's clock: nothing that was to happen meanwhile happens. */
  travelTo(unixMs: number): void;
  /** Asks over HTTP, with the admin token unless another is given. */
  request(method: string, at: string, body?: unknown, token?: string): Promise<Response>;
  /** The same for what is answered only after a timer of the server. */
  requestInTime(method: string, at: string, body: unknown, token: string): Promise<Response>;
  close(): Promise<void>;
}

export interface SpedUpServerOptions {
  /** Unix ms. */
  readonly startsAt: number;
  readonly prometheusUrl?: string;
}

/** Answers of others are waited for after each of these steps, so that no time-out of the server can be missed. */
const STEP_MS = 1_000;
/** Of the server's time, for each millisecond that an answer takes. */
const WHILE_ASKED_MS = 25;

export async function startSpedUpServer({ startsAt, prometheusUrl }: SpedUpServerOptions): Promise<SpedUpServer> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), "bunting-sped-up-"));
  const time = createFakeTime(startsAt);
  const requests = followRequests();
  const server = createServer({
    config: readConfig({
      BUNTING_DATA_DIR: dataDir,
      BUNTING_PORT: "0",
      BUNTING_LOG_LEVEL: "silent",
      ...(prometheusUrl !== undefined && { BUNTING_PROMETHEUS_URL: prometheusUrl }),
    }),
    clock: time.clock,
    scheduler: time.scheduler,
    random: createSeededRandom(startsAt),
    logger: SILENT,
    registry: new Registry(),
    node: "sped-up",
  });
  const url = `http://127.0.0.1:${await server.listen()}`;
  const adminToken = server.firstRun?.adminToken ?? "";
  const request = (method: string, at: string, body?: unknown, token = adminToken): Promise<Response> =>
    fetch(url + at, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  return {
    url,
    adminToken,
    sdkToken: server.firstRun?.sdkTokens.production ?? "",
    now: () => time.clock.now(),
    async advance(ms) {
      for (let left = ms; left > 0; left -= STEP_MS) {
        await time.advanceAsync(Math.min(left, STEP_MS));
        await requests.answered();
      }
    },
    travelTo: (unixMs) => time.jumpWallClock(unixMs - time.clock.now()),
    request,
    async requestInTime(method, at, body, token) {
      let isAnswered = false;
      const asked = request(method, at, body, token).finally(() => {
        isAnswered = true;
      });
      while (!isAnswered) {
        await sleep(1);
        await time.advanceAsync(WHILE_ASKED_MS);
      }
      return asked;
    },
    async close() {
      let isClosed = false;
      const closed = server.close().finally(() => {
        isClosed = true;
      });
      while (!isClosed) {
        await sleep(1);
        await time.advanceAsync(STEP_MS);
      }
      await closed;
      requests.stop();
      await rm(dataDir, { recursive: true });
    },
  };
}

/** Requests of this process through `node:http` that have no answer yet. What the test asks goes through `fetch`, and is not among them. */
function followRequests() {
  const open = new Set<unknown>();
  const started = (message: unknown): void => void open.add((message as { request: unknown }).request);
  const ended = (message: unknown): void => void open.delete((message as { request: unknown }).request);
  const channels = [
    ["http.client.request.start", started],
    ["http.client.response.finish", ended],
    ["http.client.request.error", ended],
  ] as const;
  for (const [channel, listener] of channels) subscribe(channel, listener);
  return {
    async answered(): Promise<void> {
      if (open.size === 0) return;
      while (open.size > 0) await sleep(1);
      // What follows from the answer happens after it.
      await sleep(0);
    },
    stop(): void {
      for (const [channel, listener] of channels) unsubscribe(channel, listener);
    },
  };
}

const SILENT = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };
