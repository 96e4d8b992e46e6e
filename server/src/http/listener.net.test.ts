import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import { Registry } from "prom-client";
import { expect, it, onTestFinished } from "vitest";
import { createLogger } from "../ops/log.ts";
import { createMetrics } from "../ops/metrics.ts";
import { createApp } from "./app.ts";
import { createListener, listen, stopListening } from "./listener.ts";

function createEmptyListener() {
  const app = createApp({
    authenticate: () => ({ ok: false, refusal: { code: "unauthenticated", detail: "" } }),
    state: () => ({
      epoch: "e",
      environments: new Map(),
      flags: new Map(),
      segments: new Map(),
      tokens: new Map(),
      rollouts: new Map(),
      webhooks: new Map(),
    }),
    clock: createFakeTime().clock,
    random: createSeededRandom(1),
    logger: createLogger("silent", () => {}),
    metrics: createMetrics(new Registry()),
  });
  app.finish();
  const listener = createListener(app, () => "req_1");
  onTestFinished(() => void listener.close());
  return listener;
}

it("waits for nobody longer than it should", () => {
  expect(createEmptyListener()).toMatchObject({
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 5_000,
    maxHeadersCount: 65, // one more than are allowed, so that the one too many is seen
  });
});

it("refuses a port that is taken, as the system says it", async () => {
  const port = await listen(createEmptyListener(), { host: "127.0.0.1", port: 0 });
  expect(port).toBeGreaterThan(0);
  await expect(listen(createEmptyListener(), { host: "127.0.0.1", port })).rejects.toMatchObject({
    code: "EADDRINUSE",
  });
});

it("cuts off at the end whoever does not finish", async () => {
  const listener = createEmptyListener();
  const port = await listen(listener, { host: "127.0.0.1", port: 0 });
  let cutOff = (): void => {};
  const reply = fetch(`http://127.0.0.1:${port}/`, {
    method: "POST",
    body: new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) }),
    duplex: "half",
  } as RequestInit);
  await new Promise((resolve) => listener.once("request", resolve));
  const stopped = stopListening(listener, (task) => {
    cutOff = task;
    return () => {};
  });
  cutOff();
  await stopped;
  // It was answered before the end, or its connection was cut: in no case does it hold up the stop.
  await reply.catch(() => {});
  expect(listener.listening).toBe(false);
});
