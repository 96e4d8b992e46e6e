import { gunzipSync } from "node:zlib";
import type { ServerMessage, Snapshot, TelemetryBatch } from "@bunting/contracts";
import { snapshot as snapshotSchema, telemetryAck } from "@bunting/contracts";
import { eventually, openStreamClient, type StreamClient } from "@bunting/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ServerUnderTest, startServerUnderTest } from "../http/server-under-test.ts";
import { createFlag, position, setPercent } from "./stream-rig.ts";

let under: ServerUnderTest;
let token = "";
let clients: StreamClient[] = [];

beforeEach(async () => {
  under = await startServerUnderTest();
  token = (under.firstRun.sdkTokens as Record<string, string>)["production"] ?? "";
  clients = [];
});

afterEach(async () => {
  for (const client of clients) await client.drop();
  await under.dispose();
});

const poll = (query = "", headers: Record<string, string> = {}, as = token) =>
  under.request("GET", `/sdk/v1/ruleset${query}`, { token: as, headers });

const report = (body: unknown, as = token) => under.request("POST", "/sdk/v1/telemetry", { token: as, body });

const openNamed = async (instance: string): Promise<StreamClient> => {
  const client = await openStreamClient({ url: under.url, token, query: { instance, boot: "b" } });
  clients.push(client);
  return client;
};

const batch = (sequence: number, more: Partial<TelemetryBatch> = {}): TelemetryBatch => ({
  instance: "i",
  boot: "b",
  sequence,
  from: 0,
  to: 0,
  ageMs: 0,
  cells: [{ flag: "a", variant: "on", exposures: 1 }],
  ...more,
});

const exposures = async (): Promise<unknown> =>
  (await under.request("GET", "/api/v1/environments/production/flags/a/exposures")).body.variants;

describe("ST-66 the polled ruleset", () => {
  it("is one snapshot message with the position as its tag", async () => {
    await createFlag(under, "a");
    const { epoch, revision } = await position(under);
    const { status, headers, body } = await poll();
    expect(status).toBe(200);
    expect(headers.get("etag")).toBe(`"${epoch}:${revision}"`);
    const message = snapshotSchema.parse(body) satisfies Snapshot;
    expect(message).toMatchObject({ type: "snapshot", epoch, revision, part: 1, parts: 1 });
    expect(Object.keys(message.flags)).toEqual(["a"]);
    const stream = await openNamed("one");
    await stream.reaches(revision);
    expect(stream.model.state?.flags.get("a")).toEqual(message.flags["a" as keyof typeof message.flags]);
  });

  it.each(["exact", "weak", "among others"])("answers 304 to its own tag (%s)", async (form) => {
    const tag = (await poll()).headers.get("etag") ?? "";
    const sent = { exact: tag, weak: `W/${tag}`, "among others": `"x", ${tag}` }[form] ?? "";
    const { status, text } = await poll("", { "if-none-match": sent });
    expect([status, text]).toEqual([304, ""]);
    await createFlag(under, "a");
    expect((await poll("", { "if-none-match": sent })).status).toBe(200);
  });

  it("is compressed for those who take it", async () => {
    await createFlag(under, "a");
    const raw = async (encoding: string) => {
      const { request } = await import("node:http");
      return new Promise<{ encoding: string | undefined; bytes: Buffer }>((resolve) => {
        const headers = { authorization: `Bearer ${token}`, "accept-encoding": encoding };
        request(`${under.url}/sdk/v1/ruleset`, { headers }, (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () =>
            resolve({ encoding: response.headers["content-encoding"], bytes: Buffer.concat(chunks) }),
          );
        }).end();
      });
    };
    const zipped = await raw("deflate, gzip;q=0.8");
    expect(zipped.encoding).toBe("gzip");
    const plain = await raw("gzip;q=0, deflate");
    expect(plain.encoding).toBeUndefined();
    expect(gunzipSync(zipped.bytes).equals(plain.bytes)).toBe(true);
  });

  it("is for server tokens of a living environment", async () => {
    const clientToken = await under.createToken("client", ["production"]);
    expect(await poll("", {}, clientToken)).toMatchObject({ status: 403, body: { code: "forbidden" } });
    expect(await poll("", {}, `${token}x`)).toMatchObject({ status: 401 });
    expect(await poll("?waitMs=30001")).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    expect(await poll("?later=parameter")).toMatchObject({ status: 200 });
    const { epoch, revision } = await position(under);
    await poll("", { "if-none-match": `"${epoch}:${revision + 2}"` }); // begins a new epoch
    const renewed = await position(under);
    const ahead = await poll("", { "if-none-match": `"${renewed.epoch}:${renewed.revision + 2}"` });
    expect(ahead).toMatchObject({ status: 503, body: { code: "position_ahead" } });
  });
});

describe("ST-67 a poll that waits", () => {
  /** Its answer, if `meanwhile` happens while it waits, and then a change. */
  const whileItWaits = async (meanwhile: () => Promise<unknown>) => {
    const tag = (await poll()).headers.get("etag") ?? "";
    const waiting = poll("?waitMs=20000&instance=waiting&boot=b", { "if-none-match": tag });
    await eventually(async () => {
      const { body } = await under.request("GET", "/api/v1/environments/production/instances");
      return (body.items as unknown[]).length === 1;
    });
    await meanwhile();
    await createFlag(under, "new");
    return (await waiting).body;
  };

  it("is not told of what was committed after its token was revoked", async () => {
    const id = token.split("_")[2];
    const body = await whileItWaits(() => under.request("DELETE", `/api/v1/tokens/${id}`));
    expect(body).toMatchObject({ status: 401, code: "unauthenticated" });
  });

  it("is told what was committed while nothing else happened", async () => {
    expect(await whileItWaits(() => Promise.resolve())).toMatchObject({ type: "snapshot" });
  });
});

describe("ST-69 a polled answer says when it was made", () => {
  it.each(["changed", "unchanged"])("by the server's clock, where the ruleset has %s", async (what) => {
    const { epoch, revision } = await position(under);
    const tag = `"${epoch}:${what === "changed" ? revision - 1 : revision}"`;
    const before = Date.now();
    const { status, headers } = await poll("", { "if-none-match": tag });
    const sentAt = Number(headers.get("bunting-sent-at"));
    expect(status).toBe(what === "changed" ? 200 : 304);
    expect(sentAt).toBeGreaterThanOrEqual(before);
    expect(sentAt).toBeLessThanOrEqual(Date.now());
  });

  it("after its wait and not before", async () => {
    const { epoch, revision } = await position(under);
    const answer = poll("?waitMs=30000&instance=w&boot=b", { "if-none-match": `"${epoch}:${revision}"` });
    await eventually(async () => {
      const { body } = await under.request("GET", "/api/v1/environments/production/instances");
      return JSON.stringify(body).includes('"w"');
    });
    const committedAt = Date.now();
    await createFlag(under, "a");
    expect(Number((await answer).headers.get("bunting-sent-at"))).toBeGreaterThanOrEqual(committedAt);
  });
});

describe("ST-67 a poll that waits", () => {
  it("is answered by the next commit", async () => {
    await createFlag(under, "a");
    const tag = (await poll()).headers.get("etag") ?? "";
    const waiting = poll("?waitMs=30000&instance=waiting&boot=b", { "if-none-match": tag });
    await eventually(async () => {
      const { text } = await under.request("GET", "/api/v1/environments/production/instances");
      return text.includes("waiting");
    });
    const revision = await setPercent(under, "a", 30);
    const { status, body } = await waiting;
    expect(status).toBe(200);
    expect(body.revision).toBe(revision);
  });

  it("is answered at once if it is behind, and 304 when its time is over", async () => {
    expect((await poll("?waitMs=30000")).status).toBe(200);
    const tag = (await poll()).headers.get("etag") ?? "";
    expect((await poll("?waitMs=50", { "if-none-match": tag })).status).toBe(304);
  });
});

describe("ST-68 pollers are instances", () => {
  it("and prove what they have applied", async () => {
    await createFlag(under, "a");
    const first = await poll("?instance=poller&boot=b&sdk=test/1");
    const tag = first.headers.get("etag") ?? "";
    await poll("?instance=poller&boot=b&sdk=test/1", { "if-none-match": tag });
    const instances = async () => (await under.request("GET", "/api/v1/environments/production/instances")).body.items;
    const { revision } = await position(under);
    expect(await instances()).toMatchObject([
      { instance: "poller", transport: "poll", connected: true, acknowledged: revision, backlog: 0, sdk: "test/1" },
    ]);

    const next = await setPercent(under, "a", 60);
    const receipt = async () => (await under.request("GET", `/api/v1/environments/production/receipts/${next}`)).body;
    expect(await receipt()).toMatchObject({ connected: 1, applied: 0, pending: [{ instance: "poller" }] });
    const changed = (await poll("?instance=poller&boot=b", { "if-none-match": tag })).headers.get("etag") ?? "";
    expect(await receipt()).toMatchObject({ applied: 0 }); // it was sent, but who knows whether it arrived
    await poll("?instance=poller&boot=b", { "if-none-match": changed });
    expect(await receipt()).toMatchObject({ connected: 1, applied: 1, complete: true });

    await openNamed("poller"); // the same process, now with a stream: one instance, not two
    expect(await instances()).toMatchObject([{ instance: "poller", transport: "stream" }]);
  });
});

describe("TE-12 telemetry by POST", () => {
  it("is counted once, however often and in whatever order it is sent", async () => {
    await createFlag(under, "a");
    const answers: unknown[] = [];
    for (const sequence of [1, 1, 3, 2, 2, 1, 3]) {
      const { status, body } = await report(batch(sequence));
      expect(status).toBe(200);
      answers.push(telemetryAck.parse(body).sequence);
    }
    expect(answers).toEqual([1, 1, 1, 2, 2, 2, 3]);
    expect(await exposures()).toEqual({ on: 3 });
    const together = await Promise.all(Array.from({ length: 20 }, () => report(batch(4))));
    expect(together.every(({ body }) => body.sequence === 4)).toBe(true);
    expect(await exposures()).toEqual({ on: 4 });
  });

  it("is for server tokens, bounded, and strict about its shape (TE-6)", async () => {
    await createFlag(under, "a");
    const clientToken = await under.createToken("client", ["production"]);
    expect(await report(batch(1), clientToken)).toMatchObject({ status: 403 });
    expect(await report({ nothing: true })).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    expect(await report("[".repeat(1_000))).toMatchObject({ status: 400 });
    expect(await report(batch(1, { boot: "x".repeat(300_000) }))).toMatchObject({ status: 413 });
    const cells = [{ flag: "a", variant: "on", exposures: -5 }];
    expect(await report(batch(1, { cells }))).toMatchObject({ status: 400 });
    expect(await report(batch(2))).toMatchObject({ status: 200, body: { sequence: 2 } }); // the first took its number
    expect(await report(batch(9, { boot: "old", ageMs: 4_000_000 }))).toMatchObject({
      status: 409,
      body: { code: "telemetry_too_old" },
    });
    expect(await exposures()).toEqual({ on: 1 });
  });
});

describe("TE-11 telemetry over the stream", () => {
  const acknowledged = async (client: StreamClient, sequence: number) =>
    client.next("telemetry_ack", (message) => message.sequence === sequence);

  it("is acknowledged, and goes on by POST and after a reconnect (TE-13)", async () => {
    await createFlag(under, "a");
    const client = await openNamed("i");
    expect(client.messages[0]).toMatchObject({ telemetrySequence: 0 });
    client.send({ type: "telemetry", batch: batch(1) });
    await acknowledged(client, 1);
    client.send({ type: "telemetry", batch: batch(1) });
    await acknowledged(client, 1);
    await client.drop();
    expect((await report(batch(2))).body).toMatchObject({ sequence: 2 });
    const again = await openNamed("i");
    expect(again.messages[0]).toMatchObject({ telemetrySequence: 2 });
    again.send({ type: "telemetry", batch: batch(3) });
    await acknowledged(again, 3);
    expect(await exposures()).toEqual({ on: 3 });
  });

  it("is refused for another boot, and for content that does not fit, by its sequence", async () => {
    await createFlag(under, "a");
    const client = await openNamed("i");
    client.send({ type: "telemetry", batch: batch(1, { boot: "another" }) });
    expect(await client.next("error")).toMatchObject({ code: "message_malformed", sequence: 1, fatal: false });
    const cells = Array.from({ length: 1_001 }, () => ({ flag: "a", variant: "on", exposures: 1 }));
    client.send({ type: "telemetry", batch: batch(1, { cells }) });
    expect(await client.next("error")).toMatchObject({ code: "message_malformed", sequence: 1 });
    client.send({ type: "telemetry", batch: batch(2) });
    await acknowledged(client, 2);
    client.send({ type: "telemetry", batch: batch(7, { ageMs: 4_000_000 }) }); // known boot: out of order, not too old
    await acknowledged(client, 2);
    expect(await exposures()).toEqual({ on: 1 });
  });

  it("is taken five at once, and then one a second", async () => {
    const client = await openNamed("i");
    for (let sequence = 1; sequence <= 6; sequence++) client.send({ type: "telemetry", batch: batch(sequence) });
    await acknowledged(client, 5);
    const error = (await client.next("error")) satisfies Extract<ServerMessage, { type: "error" }>;
    expect(error).toMatchObject({ code: "message_rate", fatal: false });
    expect(error.sequence).toBeUndefined();
    expect(error.retryAfterMs).toBeGreaterThan(0);
  });
});
