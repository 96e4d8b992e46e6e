import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Actor } from "../ledger/command.ts";
import type { State } from "../ledger/state.ts";
import { createLogger } from "../ops/log.ts";
import { createMetrics } from "../ops/metrics.ts";
import { StorageError } from "../store/store.ts";
import { createApp } from "./app.ts";
import type { Reply, RouteHandler } from "./route.ts";

const actor: Actor = { token: "t", kind: "viewer", name: "a viewer", environments: null, roles: [], requestId: "" };
const state: State = {
  epoch: "e",
  environments: new Map(),
  flags: new Map(),
  segments: new Map(),
  tokens: new Map(),
  rollouts: new Map(),
  webhooks: new Map(),
};

/** One route at /it, and the log. */
function mount(handler: RouteHandler<object, object, { n: number }>, method: "get" | "post" = "get") {
  const log: string[] = [];
  const app = createApp({
    authenticate: () => ({ ok: true, actor }),
    state: () => state,
    clock: createFakeTime().clock,
    random: createSeededRandom(1),
    logger: createLogger("debug", (line) => log.push(line)),
    metrics: createMetrics(new Registry()),
  });
  app.add(
    {
      method,
      path: "/it",
      operationId: "it",
      tag: "it",
      summary: "",
      access: "read",
      ...(method === "post" && { body: { schema: z.object({ n: z.number() }).meta({ id: "It" }) } }),
      success: { status: 200, description: "" },
    },
    handler,
  );
  app.finish();
  return { hono: app.hono, log };
}

const SECRET = "SELECT hunter2 FROM /var/lib/bunting";

describe("a defect", () => {
  it.each<[string, () => Reply | Promise<Reply>]>([
    [
      "thrown",
      () => {
        throw new Error(SECRET);
      },
    ],
    ["rejected", () => Promise.reject(new TypeError(SECRET))],
  ])("that is %s answers 500 with the request id and nothing of the inside", async (_how, handler) => {
    const { hono, log } = mount(handler);
    const response = await hono.request("/it");
    const text = await response.text();
    expect(response.status).toBe(500);
    expect(JSON.parse(text)).toMatchObject({ code: "internal", requestId: response.headers.get("request-id") });
    expect(text).not.toContain("hunter2");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");

    const failure = log
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .find(({ msg }) => msg === "request failed");
    expect(failure).toMatchObject({ requestId: response.headers.get("request-id"), route: "/it" });
    expect(JSON.stringify(failure)).toContain("hunter2");
  });

  it("of the disk, met while reading, is not the caller's and not ours", async () => {
    const { hono } = mount(() => {
      throw new StorageError("damaged", SECRET);
    });
    const response = await hono.request("/it");
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await response.text()).not.toContain("hunter2");
  });
});

describe("a body that never comes", () => {
  it("ends as a timeout, and the handler is not called", async () => {
    const { hono } = mount(() => ({ status: 200, body: "called" }), "post");
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"n":'));
        controller.error(new Error("aborted"));
      },
    });
    const headers = { "content-type": "application/json" };
    const response = await hono.request("/it", { method: "POST", body, headers, duplex: "half" } as RequestInit);
    expect(response.status).toBe(408);
    expect(await response.json()).toMatchObject({ code: "request_timeout" });
  });

  it("is read no further than the limit", async () => {
    let pulled = 0;
    const { hono } = mount(() => ({ status: 200, body: "called" }), "post");
    const body = new ReadableStream({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(64 * 1024));
      },
    });
    const headers = { "content-type": "application/json" };
    const response = await hono.request("/it", { method: "POST", body, headers, duplex: "half" } as RequestInit);
    expect(response.status).toBe(413);
    expect(pulled).toBeLessThan(24);
  });
});

describe("an answer", () => {
  it("is logged once, with what it took", async () => {
    const { hono, log } = mount(() => ({ status: 200, body: {} }));
    await hono.request("/it?secret=1");
    expect(log.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({ msg: "request", method: "GET", route: "/it", status: 200, durationMs: 0, token: "t" }),
    ]);
  });
});
