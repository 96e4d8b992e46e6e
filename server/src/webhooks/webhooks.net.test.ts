import { readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { createFakeTime, eventually, type FakeTime } from "@bunting/testkit";
import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServerUnderTest, startServerUnderTest } from "../http/server-under-test.ts";
import { signatureOf } from "./signature.ts";

/*
 * The whole way: an API call, the change, the outbox, a real request to a real receiver, and what the API says of it. Time is
 * the test's, so that nobody waits for a retry.
 */

interface Received {
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

let time: FakeTime;
let under: ServerUnderTest;
let receiver: Server;
let port: number;
const registry = new Registry();
const received: Received[] = [];
/** How many of the next requests fail. */
let failures = 0;

const URL_CANARY = "canary-in-an-address";
const SECRET_CANARY = "canary-secret-of-a-receiver";
const ANSWER_CANARY = "canary-in-an-answer";
/** Everything the API answered. */
const answers: string[] = [];
/** Secrets that the server made. */
const made: string[] = [];

beforeAll(async () => {
  time = createFakeTime();
  receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      received.push({ url: request.url, headers: request.headers, body });
      response.writeHead(failures-- > 0 ? 503 : 200).end(ANSWER_CANARY);
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  ({ port } = receiver.address() as AddressInfo);
  under = await startServerUnderTest({
    environment: { BUNTING_OUTGOING_ALLOW: `127.0.0.1:${port}` },
    deps: { clock: time.clock, scheduler: time.scheduler, registry },
  });
  await ask("POST", "/api/v1/flags", { key: "told" });
});
afterAll(async () => {
  const closed = under.dispose();
  await eventually(async () => {
    time.advance(1_000);
    return Promise.race([closed.then(() => true), new Promise((resolve) => setImmediate(resolve, false))]);
  });
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

async function ask(method: string, target: string, body?: unknown, headers?: Record<string, string>) {
  const reply = await under.request(method, target, { body, ...(headers && { headers }) });
  const { secret, ...rest } = reply.body;
  if (typeof secret === "string") made.push(secret);
  answers.push(JSON.stringify([...reply.headers, rest]), secret === undefined ? reply.text : "");
  return reply;
}

const hook = (name: string) => ({ name, url: `http://127.0.0.1:${port}/${URL_CANARY}?x=${URL_CANARY}` });
const deliveriesOf = async (name: string) =>
  (await ask("GET", `/api/v1/webhooks/${name}/deliveries`)).body.items as readonly Record<string, unknown>[];

/** A day of the test's time is thousands of tasks of the server: seconds, and on a busy machine many of them. */
const PATIENCE_MS = 50_000;

/** Lets time go on until it is so. */
const onceTimePasses = (what: string, probe: () => boolean | Promise<boolean>) =>
  eventually(
    () => {
      time.advance(1_000);
      return probe();
    },
    { what, withinMs: PATIENCE_MS },
  );

describe("webhooks over HTTP", () => {
  it("NO-16 are created with a secret that is shown once, and an address that is never shown", async () => {
    const headers = { "idempotency-key": "create-releases" };
    const created = await ask("POST", "/api/v1/webhooks", hook("releases"), headers);
    expect(created.status).toBe(201);
    expect(created.headers.get("location")).toBe("/api/v1/webhooks/releases");
    expect(created.body).toMatchObject({ name: "releases", origin: `http://127.0.0.1:${port}`, format: "json" });
    expect(made).toHaveLength(1);
    const again = await ask("POST", "/api/v1/webhooks", hook("releases"), headers);
    expect(again.body.code).toBe("secret_shown_once");
    expect((await ask("POST", "/api/v1/webhooks", hook("releases"))).body.code).toBe("webhook_exists");
    const own = { ...hook("chat"), format: "slack", secret: SECRET_CANARY, kinds: ["flag.killed"] };
    expect((await ask("POST", "/api/v1/webhooks", own)).body.secret).toBeUndefined();
    const { items } = (await ask("GET", "/api/v1/webhooks")).body as { items: { name: string }[] };
    expect(items.map(({ name }) => name)).toEqual(["chat", "releases"]);
    expect((await ask("GET", "/api/v1/webhooks/releases")).body).toMatchObject({ name: "releases" });
    expect((await ask("GET", "/api/v1/webhooks/nobody")).body.code).toBe("webhook_not_found");
  });

  it("NO-18 take no address inside that is not listed", async () => {
    for (const url of ["https://10.0.0.1/", `http://127.0.0.1:${port + 1}/`, "https://u:p@hooks.example.com/"]) {
      const { status, body } = await ask("POST", "/api/v1/webhooks", { name: "inside", url });
      expect([status, body.code]).toEqual([422, "outgoing_address_refused"]);
    }
    const retired = { ...hook("inside"), environments: ["nowhere"] };
    expect((await ask("POST", "/api/v1/webhooks", retired)).body.code).toBe("webhook_scope_invalid");
  });

  it("NO-7 NO-8 are told of a kill although the receiver fails three times, each time with the same id", async () => {
    failures = 3;
    await ask("DELETE", "/api/v1/webhooks/chat");
    const killed = await ask("POST", "/api/v1/environments/production/flags/told/kill", { reason: "p99 at 4 s" });
    expect(killed.status).toBe(200);
    await onceTimePasses("a delivery", async () => (await deliveriesOf("releases"))[0]?.state === "delivered");
    expect(received).toHaveLength(4);
    expect(new Set(received.map(({ headers }) => headers["bunting-delivery"])).size).toBe(1);
    expect(new Set(received.map(({ body }) => body)).size).toBe(1);
    const [first] = received;
    expect(first?.url).toBe(`/${URL_CANARY}?x=${URL_CANARY}`);
    expect(JSON.parse(first?.body ?? "")).toMatchObject({
      kind: "flag.killed",
      environment: "production",
      flags: ["told"],
      reason: "p99 at 4 s",
    });
  });

  it("NO-14 with a signature that the secret of the answer proves", () => {
    for (const { headers, body } of received) {
      const seconds = Number(/^t=(\d+),/.exec(String(headers["bunting-signature"]))?.[1]);
      expect(headers["bunting-signature"]).toBe(signatureOf(body, made.slice(0, 1), seconds));
    }
  });

  it("NO-12 and the API says what became of it, without a word of the answers", async () => {
    const [delivery] = await deliveriesOf("releases");
    expect(delivery).toMatchObject({
      webhook: "releases",
      kind: "flag.killed",
      state: "delivered",
      tryCount: 4,
      nextTryAt: null,
      lastTry: { statusClass: "2xx", failure: null, answerBytes: ANSWER_CANARY.length },
    });
    expect(await registry.metrics()).toContain('bunting_webhook_tries_total{outcome="status"} 3');
  });

  it("NO-2 are tested on demand, once in ten seconds, in their own format", async () => {
    const own = { ...hook("chat"), format: "slack", secret: SECRET_CANARY, kinds: ["rollout.completed"] };
    await ask("POST", "/api/v1/webhooks", own);
    received.length = 0;
    const tested = await ask("POST", "/api/v1/webhooks/chat/test");
    expect(tested.status).toBe(200);
    expect(tested.body).toMatchObject({ webhook: "chat", kind: "webhook.test", state: "waiting" });
    const impatient = await ask("POST", "/api/v1/webhooks/chat/test");
    expect([impatient.status, impatient.body.code]).toEqual([429, "webhook_tested_recently"]);
    await onceTimePasses("a test", () => received.length === 1);
    expect(JSON.parse(received[0]?.body ?? "")).toMatchObject({
      text: expect.stringContaining("first admin tests the webhook chat.") as string,
      blocks: expect.any(Array) as unknown[],
    });
  });

  it("NO-12 page their deliveries, newest first", async () => {
    for (const action of ["restore", "kill", "restore"]) {
      await ask("POST", `/api/v1/environments/production/flags/told/${action}`, { reason: "again" });
    }
    const kinds: unknown[] = [];
    for (let cursor = ""; ; ) {
      const { body } = await ask("GET", `/api/v1/webhooks/releases/deliveries?limit=3${cursor}`);
      kinds.push(...(body.items as { kind: string }[]).map(({ kind }) => kind));
      if (typeof body.nextCursor !== "string") break;
      cursor = `&cursor=${body.nextCursor}`;
    }
    expect(kinds).toEqual(["flag.restored", "flag.killed", "flag.restored", "flag.killed"]);
    expect((await ask("GET", "/api/v1/webhooks/releases/deliveries?cursor=x")).status).toBe(400);
  });

  it("NO-22 are switched off and on, and go to another address", async () => {
    const patch = (body: object) => ask("PATCH", "/api/v1/webhooks/releases", body);
    const countOf = async () => (await deliveriesOf("releases")).length;
    await onceTimePasses("an empty outbox", async () =>
      (await deliveriesOf("releases")).every(({ state }) => state === "delivered"),
    );
    const before = await countOf();
    expect((await patch({ enabled: false })).body).toMatchObject({ name: "releases", enabled: false });
    await ask("POST", "/api/v1/environments/production/flags/told/kill", { reason: "off" });
    expect(await countOf()).toBe(before);
    expect((await ask("POST", "/api/v1/webhooks/releases/test")).body.code).toBe("webhook_disabled");

    expect((await patch({ enabled: true, url: `http://127.0.0.1:${port}/moved` })).status).toBe(200);
    received.length = 0;
    await ask("POST", "/api/v1/environments/production/flags/told/restore", { reason: "on" });
    await onceTimePasses("a delivery to the new address", () => received.some(({ url }) => url === "/moved"));
    expect((await patch({ url: "https://10.0.0.1/" })).body.code).toBe("outgoing_address_refused");
    expect((await patch({})).status).toBe(400);
    expect((await ask("PATCH", "/api/v1/webhooks/nobody", { enabled: true })).body.code).toBe("webhook_not_found");
  });

  it("NO-23 are told again what was given up, under the same id, and nothing else", async () => {
    const again = (id: unknown) => ask("POST", `/api/v1/webhooks/releases/deliveries/${String(id)}/redeliver`);
    const [delivered] = await deliveriesOf("releases");
    expect((await again(delivered?.id)).body.code).toBe("delivery_not_dead");
    expect((await again("nothing")).body.code).toBe("delivery_not_found");

    failures = Number.POSITIVE_INFINITY;
    received.length = 0;
    await ask("POST", "/api/v1/environments/production/flags/told/kill", { reason: "lost at first" });
    const deadOnes = async () =>
      (await ask("GET", "/api/v1/webhooks/releases/deliveries?state=dead")).body.items as { id: string }[];
    await eventually(
      async () => {
        time.advance(600_000);
        await new Promise((resolve) => setImmediate(resolve));
        return (await deadOnes()).length === 1;
      },
      { what: "a delivery that is given up", withinMs: PATIENCE_MS },
    );
    failures = 0;
    const [dead] = await deadOnes();
    await ask("PATCH", "/api/v1/webhooks/releases", { enabled: false });
    expect((await again(dead?.id)).body.code).toBe("webhook_disabled");
    await ask("PATCH", "/api/v1/webhooks/releases", { enabled: true });
    expect((await again(dead?.id)).body).toMatchObject({ id: dead?.id, state: "waiting", tryCount: 0 });
    await onceTimePasses("its delivery", async () => (await deliveriesOf("releases"))[0]?.state === "delivered");
    expect(await deadOnes()).toEqual([]);
    expect(new Set(received.map(({ headers }) => headers["bunting-delivery"]))).toEqual(new Set([dead?.id]));
    expect(new Set(received.map(({ body }) => body)).size).toBe(1);
    const audited = (await ask("GET", "/api/v1/audit?limit=5")).body.items as { action: string }[];
    expect(audited.map(({ action }) => action)).toContain("redeliver");
  });

  it("NO-15 get another secret", async () => {
    const rotated = await ask("POST", "/api/v1/webhooks/releases/rotate", { overlapSeconds: 60 });
    expect(rotated.status).toBe(200);
    expect(rotated.body.secrets).toHaveLength(2);
    expect(made.at(-1)).not.toBe(made[0]);
  });

  it("NO-16 leave no address, secret or answer in the database, the log, the audit, the export, a metric or another answer", async () => {
    await onceTimePasses("an empty outbox", async () =>
      (await registry.metrics()).includes('bunting_webhook_deliveries{state="waiting"} 0'),
    );
    for (const target of [
      "/api/v1/audit?limit=200",
      "/api/v1/export",
      "/metrics",
      "/openapi.json",
      "/api/v1/webhooks",
    ]) {
      await ask("GET", target);
    }
    const canaries = [URL_CANARY, SECRET_CANARY, ANSWER_CANARY, ...made];
    const files = readdirSync(under.dataDir).map((name) => readFileSync(path.join(under.dataDir, name), "latin1"));
    expect(files.join("").length).toBeGreaterThan(100_000);
    const leaksIn = (texts: readonly string[]) =>
      canaries.filter((canary) => texts.some((text) => text.includes(canary)));
    expect(made.length).toBeGreaterThan(1);
    expect(leaksIn(files)).toEqual([]);
    expect(leaksIn(under.log)).toEqual([]);
    expect(leaksIn(answers)).toEqual([]);
    expect(under.log.join("")).toContain("releases");
  });
});
