import { once } from "node:events";
import { createServer, type IncomingMessage, request as open, type Server, type ServerResponse } from "node:http";
import {
  type ClientHttp2Stream,
  connect as connectSecond,
  constants,
  createServer as createSecondServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { EvidenceCell } from "@bunting/contracts";
import { booleanFlag, createOrigin, eventually, type StreamServer, startStreamServer } from "@bunting/testkit";
import { createAdaptorServer, serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { type Handler, Hono } from "hono";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createFlags } from "./create-flags.ts";
import type { Flags, OutcomesOptions } from "./types.ts";

/*
 * The four kinds of servers, on real sockets, with an application that knows nothing of evidence: it reads a flag somewhere
 * deep in asynchronous code and answers.
 */

const ROLLOUT = {
  id: "r-1",
  attempt: 1,
  stage: 0,
  canary: "on",
  control: "off",
  rule: null,
  groupSalt: 7,
  metrics: [],
};

/** What a request asks the application to do. */
type Wish = "ok" | "broken" | "throws" | "missing" | "hangs" | "twice" | "posted" | "cut";

interface App {
  readonly port: number;
  close(): Promise<void>;
}

let server: StreamServer;
let flags: Flags;

/** Somewhere deep: after a timer, a promise and a callback. */
async function readFlag(user: string): Promise<boolean> {
  await setImmediate();
  return new Promise((resolve) => {
    process.nextTick(() => resolve(flags.isEnabled("redis", user)));
  });
}

async function work(wish: Wish): Promise<number> {
  await readFlag("u-1");
  if (wish === "twice") {
    await readFlag("u-1");
    await readFlag("u-2");
  }
  if (wish === "throws") throw new Error("as asked");
  return wish === "broken" ? 503 : wish === "missing" ? 404 : 200;
}

/** Ends in an error as soon as the client has been promised a 200. */
async function* brokenBody(response: ServerResponse): AsyncGenerator<string> {
  yield "part";
  await readFlag("u-1");
  while (!response.headersSent) await setImmediate();
  throw new Error("as asked");
}

const wishOf = (url: string | undefined): Wish => (url ?? "/").slice(1) as Wish;

const APPS: Readonly<Record<string, (options: OutcomesOptions) => Promise<App>>> = {
  "node:http": (options) => {
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      const wish = wishOf(request.url);
      request.resume().on("end", () => {
        if (wish === "hangs") return void readFlag("u-1");
        if (wish === "cut") {
          response.write("part");
          return void readFlag("u-1").then(() => request.socket.destroy());
        }
        work(wish).then(
          (status) => response.writeHead(status).end("done"),
          () => response.writeHead(500).end("failed"),
        );
      });
    };
    return listening(createServer(flags.outcomes(options)(listener)));
  },
  express: (options) => {
    const app = express();
    app.use(flags.outcomes(options));
    app.use(express.json());
    app.all("/:wish", async (request, response) => {
      const wish = wishOf(request.url);
      if (wish === "hangs") return void (await readFlag("u-1"));
      if (wish === "cut") {
        response.write("part");
        await work("throws");
      }
      response.status(await work(wish)).send("done");
    });
    // Otherwise express prints what a route throws.
    app.set("env", "test");
    app.use((error: unknown, _request: express.Request, response: express.Response, next: express.NextFunction) => {
      if (response.headersSent) return next(error);
      response.status(500).end();
    });
    return listening(createServer(app));
  },
  fastify: async (options) => {
    const app = fastify();
    await app.register(flags.outcomes(options));
    app.all("/:wish", async (request, reply) => {
      const wish = wishOf(request.url);
      if (wish === "hangs") {
        await readFlag("u-1");
        return new Promise(() => {});
      }
      if (wish === "cut") return reply.send(Readable.from(brokenBody(reply.raw)));
      return reply.code(await work(wish)).send("done");
    });
    await app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = app.server.address() as AddressInfo;
    return { port, close: () => app.close() };
  },
  hono: (options) => {
    const app = new Hono();
    app.use(flags.outcomes(options));
    app.all("/:wish", async (context) => {
      if (context.req.method === "POST") await context.req.json();
      const wish = context.req.param("wish") as Wish;
      if (wish === "hangs") {
        await readFlag("u-1");
        return new Promise(() => {});
      }
      return context.body("done", (await work(wish)) as 200);
    });
    app.onError((_error, context) => context.body(null, 500));
    return new Promise((resolve) => {
      const listener = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) =>
        resolve({ port, close: () => new Promise((closed) => listener.close(() => closed())) }),
      );
    });
  },
};

beforeAll(async () => {
  server = await startStreamServer({ origin: createOrigin([booleanFlag("redis", { entry: { rollout: ROLLOUT } })]) });
});
afterAll(() => server.stop());

beforeEach(async () => {
  flags = createFlags({ url: server.url, token: server.token, cacheFile: false });
  await flags.ready();
});
afterEach(() => flags.close());

describe.each(Object.keys(APPS))("TE-36 outcomes() in %s", (name) => {
  it("gives every flag that a request reads the request's status and latency", async () => {
    const cells = await evidenceOf(name, ["ok", "broken", "throws", "missing", "ok"]);
    expect(totals(cells)).toEqual({ exposures: 5, outcomes: 5, errors: 2, latencies: 5 });
  });

  it("counts one outcome for a flag that is read twice for the same user", async () => {
    const cells = await evidenceOf(name, ["twice"]);
    expect(totals(cells)).toEqual({ exposures: 3, outcomes: 2, errors: 0, latencies: 2 });
  });

  it("follows a request whose body is read", async () => {
    const cells = await evidenceOf(name, ["posted"], {}, "POST");
    expect(totals(cells)).toEqual({ exposures: 1, outcomes: 1, errors: 0, latencies: 1 });
  });

  it("lets the application say what an error is", async () => {
    const cells = await evidenceOf(name, ["ok", "missing", "broken"], { isError: (status) => status === 404 });
    expect(totals(cells)).toMatchObject({ outcomes: 3, errors: 1 });
  });
});

describe.each(Object.keys(APPS))("TE-36 a request that its client gives up, in %s", (name) => {
  it.each([
    ["ignored", 0, 0],
    ["error", 1, 1],
  ] as const)("is %s", async (aborted, outcomes, errors) => {
    const app = await appOf(name, { aborted });
    const request = open({ port: app.port, host: "127.0.0.1", path: "/hangs" }).end();
    request.on("error", () => {});
    await eventually(() => expect(flags.status().counters.evidencePending).toBeGreaterThan(0));
    request.destroy();
    if (outcomes > 0) await eventually(() => expect(flags.status().counters.evidencePending).toBe(2));
    await app.close();
    expect(totals(await flushed())).toMatchObject({ exposures: 1, outcomes, errors });
  });
});

describe.each(["node:http", "express", "fastify"])("TE-36 a response that the server breaks off, in %s", (name) => {
  it("is an error, whatever status its headers promised", async () => {
    const app = await appOf(name);
    const response = await fetch(`http://127.0.0.1:${app.port}/cut`);
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow("terminated");
    await eventually(() => expect(flags.status().counters.evidencePending).toBe(2));
    await app.close();
    expect(totals(await flushed())).toMatchObject({ exposures: 1, outcomes: 1, errors: 1 });
  });
});

describe("TE-36 outcomes() over HTTP/2", () => {
  type Cut = (parts: { response: Http2ServerResponse; stream: ClientHttp2Stream; socket: Socket }) => void;

  it.each<[string, Cut, { outcomes: number; errors: number }]>([
    [
      "its client cancels: no outcome",
      ({ stream }) => stream.close(constants.NGHTTP2_CANCEL),
      { outcomes: 0, errors: 0 },
    ],
    ["is lost with its connection: no outcome", ({ socket }) => socket.resetAndDestroy(), { outcomes: 0, errors: 0 }],
    [
      "the server breaks off: an error",
      ({ response }) => response.stream.destroy(new Error("as asked")),
      { outcomes: 1, errors: 1 },
    ],
  ])("a request that %s", async (_how, cut, expected) => {
    let served: (response: Http2ServerResponse) => void = () => {};
    const serving = new Promise<Http2ServerResponse>((resolve) => {
      served = resolve;
    });
    const application = createSecondServer(
      flags.outcomes()((_request: Http2ServerRequest, response: Http2ServerResponse) => {
        response.write("part");
        void readFlag("u-1").then(() => served(response));
      }),
    );
    application.on("sessionError", () => {});
    await new Promise<void>((resolve) => application.listen(0, "127.0.0.1", resolve));
    const { port } = application.address() as AddressInfo;
    const socket = connect({ port, host: "127.0.0.1" });
    const client = connectSecond(`http://127.0.0.1:${port}`, { createConnection: () => socket });
    const stream = client.request().resume();
    for (const each of [client, stream, socket]) each.on("error", () => {});
    const response = await serving;
    const closed = once(response, "close");
    cut({ response, stream, socket });
    await closed;
    client.destroy();
    await new Promise((resolve) => application.close(resolve));
    expect(totals(await flushed())).toMatchObject({ exposures: 1, ...expected });
  });
});

describe("TE-36 outcomes() that is mounted twice", () => {
  const isMissing: OutcomesOptions = { isError: (status) => status === 404 };

  it("gives one outcome, by what the middleware nearest to the route calls an error, in express", async () => {
    const app = express();
    app.use(flags.outcomes());
    app.use((_request, _response, next) => void readFlag("u-1").then(() => next()));
    const router = express.Router().use(flags.outcomes(isMissing));
    router.get("/missing", async (_request, response) => {
      response.status(await work("missing")).end();
    });
    app.use("/api", router);
    expect(await outcomesOf(await listening(createServer(app)))).toEqual({ exposures: 2, outcomes: 1, errors: 1 });
  });

  it("gives one outcome, by what the middleware nearest to the route calls an error, in hono", async () => {
    const app = new Hono();
    app.use(flags.outcomes());
    app.use(async (_context, next) => {
      await readFlag("u-1");
      await next();
    });
    app.use("/api/*", flags.outcomes(isMissing));
    app.get("/api/missing", async (context) => context.body(null, (await work("missing")) as 404));
    expect(await outcomesOf(await listening(createAdaptorServer(app) as Server))).toEqual({
      exposures: 2,
      outcomes: 1,
      errors: 1,
    });
  });

  async function outcomesOf(app: App) {
    await fetch(`http://127.0.0.1:${app.port}/api/missing`);
    await app.close();
    const { exposures, outcomes, errors } = totals(await flushed());
    return { exposures, outcomes, errors };
  }
});

describe("TE-36 outcomes() in hono", () => {
  it("gives the status that is sent to a handler that forgets its response", async () => {
    const app = new Hono();
    app.use(flags.outcomes());
    app.onError((_error, context) => context.body(null, 500));
    const forgetful = async (): Promise<void> => void (await readFlag("u-1"));
    app.get("/", forgetful as unknown as Handler);
    expect((await app.request("/")).status).toBe(500);
    expect(totals(await flushed())).toMatchObject({ exposures: 1, outcomes: 1, errors: 1 });
  });

  it("gives no outcome to a handler that stops because its client has gone", async () => {
    const app = new Hono();
    app.use(flags.outcomes());
    app.onError((_error, context) => context.body(null, 500));
    const stopped = new Promise<void>((resolve) => {
      app.get("/", async (context) => {
        await readFlag("u-1");
        const { signal } = context.req.raw;
        await new Promise((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(new Error("stopped"))),
        ).finally(resolve);
        return context.body("done");
      });
    });
    const { port, close } = await listening(createAdaptorServer(app) as Server);
    const request = open({ port, host: "127.0.0.1" }).end();
    request.on("error", () => {});
    await eventually(() => expect(flags.status().counters.evidencePending).toBe(1));
    request.destroy();
    await stopped;
    await close();
    expect(totals(await flushed())).toMatchObject({ exposures: 1, outcomes: 0 });
  });
});

describe("TE-36 what is no framework", () => {
  it("is refused", () => {
    const outcomes = flags.outcomes() as (...given: unknown[]) => unknown;
    expect(() => outcomes({}, {})).toThrow("not called by a framework");
  });

  it("nothing is told of a flag that is read outside of a request", async () => {
    flags.outcomes();
    await readFlag("u-1");
    expect(totals(await flushed())).toMatchObject({ exposures: 1, outcomes: 0 });
  });
});

async function appOf(name: string, options: OutcomesOptions = {}): Promise<App> {
  const app = await APPS[name]?.(options);
  if (app === undefined) throw new Error(`There is no ${name}.`);
  return app;
}

async function evidenceOf(
  name: string,
  wishes: readonly Wish[],
  options: OutcomesOptions = {},
  method = "GET",
): Promise<readonly EvidenceCell[]> {
  const app = await appOf(name, options);
  for (const wish of wishes) {
    const body = method === "POST" ? { body: JSON.stringify({ large: "x".repeat(100_000) }) } : {};
    const headers = { "content-type": "application/json", connection: "close" };
    const response = await fetch(`http://127.0.0.1:${app.port}/${wish}`, { method, headers, ...body });
    await response.text();
  }
  await app.close();
  return flushed();
}

async function flushed(): Promise<readonly EvidenceCell[]> {
  const before = server.telemetry.batches.length;
  await flags.flush();
  return server.telemetry.batches.slice(before).flatMap(({ evidence = [] }) => evidence);
}

function totals(cells: readonly EvidenceCell[]) {
  const total = (count: (cell: EvidenceCell) => number): number => cells.reduce((sum, cell) => sum + count(cell), 0);
  return {
    exposures: total(({ exposureCount }) => exposureCount),
    outcomes: total(({ outcomeCount }) => outcomeCount),
    errors: total(({ errorCount }) => errorCount),
    latencies: total(({ sketch }) => sketch.reduce((sum, [, count]) => sum + count, 0)),
  };
}

async function listening(application: Server): Promise<App> {
  await new Promise<void>((resolve) => application.listen(0, "127.0.0.1", resolve));
  const { port } = application.address() as AddressInfo;
  // Waits for its connections: cutting them would be the server's doing, where a client is to be seen going.
  return { port, close: () => new Promise((resolve) => application.close(() => resolve())) };
}
