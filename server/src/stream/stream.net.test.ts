import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { RulesetFlag, ServerMessage } from "@bunting/contracts";
import { SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX } from "@bunting/contracts/literals";
import {
  checksumOf,
  createFakeTime,
  createSeededRandom,
  eventually,
  ModelClient,
  openStreamClient,
  type StreamClient,
  type StreamClientOptions,
  UpgradeRefused,
} from "@bunting/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type ServerUnderTest, startServerUnderTest } from "../http/server-under-test.ts";
import { createNodeClock } from "../platform/node.ts";
import { clientFrame, createFlag, metric, openRawStream, position, setPercent } from "./stream-rig.ts";

/*
 * The whole server on real sockets with a real database, and clients that know the protocol from its specification alone.
 */

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start(setup: Parameters<typeof startServerUnderTest>[0] = {}): Promise<ServerUnderTest> {
  const under = await startServerUnderTest(setup);
  cleanUps.push(() => under.dispose());
  return under;
}

/** With a clock and a scheduler that stand still until the test moves them. */
async function startInFakeTime() {
  const time = createFakeTime(Date.now());
  const under = await startServerUnderTest({ deps: { clock: time.clock, scheduler: time.scheduler } });
  cleanUps.push(async () => {
    const disposed = under.dispose();
    for (let seconds = 0; seconds < 30; seconds++) await time.advanceAsync(1_000);
    await disposed;
  });
  return { under, time };
}

async function open(under: ServerUnderTest, options: Partial<StreamClientOptions> = {}): Promise<StreamClient> {
  const client = await openStreamClient({ url: under.url, token: sdkToken(under), ...options });
  cleanUps.push(() => client.drop());
  return client;
}

const sdkToken = (under: ServerUnderTest, environment = "production"): string =>
  (under.firstRun.sdkTokens as Record<string, string>)[environment] ?? "";

const refusal = (attempt: Promise<unknown>): Promise<UpgradeRefused> =>
  attempt.then(
    () => {
      throw new Error("The upgrade was not refused.");
    },
    (error: UpgradeRefused) => error,
  );

const named = (instance: string) => ({ query: { instance, boot: `${instance}-boot` } });

describe("ST-10 the welcome modes, over a socket", () => {
  it("gives a snapshot, then nothing, then what was missed", async () => {
    const under = await start();
    await createFlag(under, "redis-readthrough");
    const client = await open(under);
    await client.reaches((await position(under)).revision);
    expect(client.messages[0]).toMatchObject({ mode: "snapshot", reason: "first" });
    await client.drop();

    const again = await open(under, { model: client.model });
    expect(again.messages[0]).toMatchObject({ mode: "none", reason: "current", resumed: true });
    await again.drop();

    await createFlag(under, "big-and-green");
    await setPercent(under, "redis-readthrough", 25);
    const revision = await setPercent(under, "redis-readthrough", 50);
    const behind = await open(under, { model: again.model });
    await behind.reaches(revision);
    expect(behind.messages[0]).toMatchObject({ mode: expect.stringMatching(/delta|snapshot/), resumed: true });
    expect(behind.model.problems).toEqual([]);
  });

  it("leads to the same state by delta and by snapshot, from every position (ST-13)", async () => {
    const under = await start();
    for (let count = 0; count < 6; count++) await createFlag(under, `flag-${count}`);
    const models: ModelClient[] = [];
    for (let step = 0; step < 6; step++) {
      const client = await open(under);
      await client.reaches((await position(under)).revision);
      models.push(client.model);
      await client.drop();
      if (step === 3) await under.request("DELETE", "/api/v1/flags/flag-5");
      else await setPercent(under, "flag-0", step * 10);
    }
    const { revision } = await position(under);
    const fresh = await open(under);
    await fresh.reaches(revision);
    const modes = new Set<string>();
    for (const model of models) {
      const client = await open(under, { model });
      await client.reaches(revision);
      modes.add((client.messages[0] as { mode: string }).mode);
      expect(Object.fromEntries(model.state?.flags ?? [])).toEqual(Object.fromEntries(fresh.model.state?.flags ?? []));
      expect(model.problems).toEqual([]);
    }
    expect(modes).toContain("delta");
    expect(fresh.model.state?.flags.has("flag-5")).toBe(false);
  });
});

describe("ST-24 commits arrive in order, each once", () => {
  it("through 240 random disconnects while flags change", async () => {
    const random = createSeededRandom(Math.floor(Math.random() * 1e9));
    const under = await start();
    const flags = ["flag-0", "flag-1", "flag-2"];
    for (const flag of flags) await createFlag(under, flag);
    let changing = true;
    const changes = (async () => {
      while (changing) {
        const flag = random.pick(["flag-0", "flag-1", "flag-2"]);
        if (random.next() < 0.2) {
          await under.request("POST", `/api/v1/environments/production/flags/${flag}/kill`, {
            body: { reason: "test" },
          });
          await under.request("POST", `/api/v1/environments/production/flags/${flag}/restore`, {
            body: { reason: "test" },
          });
        } else await setPercent(under, flag, random.below(100));
      }
    })();
    const models = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const model = new ModelClient();
        for (let round = 0; round < 20; round++) {
          const resume = random.next() < 0.2 ? { resume: "forged" } : {};
          const query = { instance: `i-${index}`, boot: "b", ...resume };
          const client = await openStreamClient({ url: under.url, token: sdkToken(under), model, query });
          await new Promise((resolve) => setTimeout(resolve, random.below(30)));
          if (random.next() < 0.5) await client.close();
          else await client.drop();
        }
        return model;
      }),
    );
    changing = false;
    await changes;
    const { revision } = await position(under);
    for (const model of models) {
      const client = await open(under, { model });
      await client.reaches(revision);
      expect(model.problems, `seed ${random.seed}`).toEqual([]);
      expect(model.state?.revision).toBe(revision);
      // One after the other: nothing was lost, doubled or reordered, and no snapshot had to repair anything.
      expect(model.applied).toEqual([...new Set(model.applied)].sort((one, other) => one - other));
      expect(model.resyncCount).toBe(0);
      expect(model.overlays.size).toBe(0);
      await client.close();
    }
  });
});

describe("ST-1, ST-7 who may not come in is told why", () => {
  it("refuses with plain HTTP answers that carry a code, and leaves nothing behind (ST-3, ST-5)", async () => {
    const under = await start();
    const url = under.url;
    const viewer = await under.createToken("viewer", null);
    const client = await under.createToken("client", ["production"]);
    const right = sdkToken(under);
    const wrong = `${right.slice(0, -1)}${right.endsWith("x") ? "y" : "x"}`;
    for (const [token, status, code] of [
      ["", 401, "unauthenticated"],
      [wrong, 401, "unauthenticated"],
      [viewer, 403, "forbidden"],
      [client, 403, "forbidden"],
    ] as const) {
      const refused = await refusal(openStreamClient({ url, token }));
      expect(refused).toMatchObject({ status, problem: { code, status } });
      expect(refused.headers).toMatchObject({ connection: "close", "content-type": "application/problem+json" });
    }
    const badName = await refusal(
      openStreamClient({ url, token: sdkToken(under), query: { instance: "x".repeat(65) } }),
    );
    expect(badName).toMatchObject({ status: 400, problem: { code: "invalid_request" } });
    const unprintable = await refusal(openStreamClient({ url, token: sdkToken(under), query: { boot: "a\nb" } }));
    expect(unprintable).toMatchObject({ status: 400 });
    const { body } = await under.request("GET", "/api/v1/environments/production/instances");
    expect(body.items).toEqual([]);
    expect(under.log.join("")).not.toContain(sdkToken(under));
  });

  it.each([
    "/sdk/v1/stream/",
    "/sdk/v1//stream",
    "/sdk/v1/./stream",
    "/SDK/v1/stream",
    "/sdk/v1/strea%6d",
    "/",
    "/api/v1/flags",
  ])("answers 404 to an upgrade of %s", async (path) => {
    const under = await start();
    const socket = connect(under.port, "127.0.0.1");
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer ${sdkToken(under)}\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`,
    );
    const answer = await textOf(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(answer).toContain('"code":"not_found"');
  });

  it("names its protocol to a client that speaks another (ST-4)", async () => {
    const under = await start();
    const websocket = new WebSocket(`${under.url.replace("http", "ws")}/sdk/v1/stream`, ["bunting.v9"], {
      headers: { Authorization: `Bearer ${sdkToken(under)}` },
    });
    websocket.on("error", () => {});
    const response = await new Promise<IncomingMessage>((resolve) =>
      websocket.once("unexpected-response", (_request, given) => resolve(given)),
    );
    expect(response.statusCode).toBe(426);
    const body = await new Promise<string>((resolve) => response.on("data", (chunk) => resolve(String(chunk))));
    expect(JSON.parse(body)).toMatchObject({ code: "upgrade_required", detail: expect.stringContaining(SUBPROTOCOL) });
  });

  it("takes the token as a subprotocol, and does not send it back (ST-2)", async () => {
    const under = await start();
    const offered = [SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX + sdkToken(under)];
    const websocket = new WebSocket(`${under.url.replace("http", "ws")}/sdk/v1/stream`, offered);
    cleanUps.push(() => websocket.terminate());
    const first = await new Promise<string>((resolve) =>
      websocket.once("message", (data: Buffer) => resolve(data.toString())),
    );
    expect(JSON.parse(first)).toMatchObject({ type: "welcome" });
    expect(websocket.protocol).toBe(SUBPROTOCOL);
  });

  it("does not answer for other protocols", async () => {
    const under = await start();
    const socket = connect(under.port, "127.0.0.1");
    socket.write("GET /sdk/v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    expect(await textOf(socket)).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("refuses more streams than a token may hold (ST-6)", async () => {
    const under = await start({ deps: { stream: { streamsPerToken: 2 } } });
    await open(under);
    const second = await open(under);
    const refused = await refusal(open(under));
    expect(refused).toMatchObject({ status: 429, problem: { code: "too_many_streams" } });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    await second.close();
    await eventually(() => open(under), { what: "room for another stream" });
  });

  it.each([
    { epoch: "nonsense", revision: "1" },
    { epoch: "e", revision: "-5" },
    { epoch: "e", revision: "1e999" },
    { revision: "3" },
    { resume: "x".repeat(5_000) },
    { unknown: "parameter" },
  ])("takes %j for no position (ST-7)", async (query) => {
    const under = await start();
    const client = await open(under, { query: query as Record<string, string> });
    expect(client.messages[0]).toMatchObject({ mode: "snapshot" });
    expect(await client.next("snapshot")).toMatchObject({ part: 1 });
  });
});

describe("ST-6 a server that is slow already", () => {
  it("sheds newcomers before they cost anything", async () => {
    let lagMs = 0;
    const clock = createNodeClock();
    const under = await start({ deps: { clock: { now: clock.now, monotonic: () => clock.monotonic() + lagMs } } });
    const early = await open(under);
    lagMs = 60_000;
    const refused = await refusal(open(under));
    expect(refused).toMatchObject({ status: 503, problem: { code: "overloaded" } });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    await eventually(() => open(under), { what: "the loop to be in time again" });
    expect(early.websocket.readyState).toBe(WebSocket.OPEN);
  });
});

describe("ST-9 revisions", () => {
  it("count what changed the ruleset, and are readable before anybody hears of them", async () => {
    const under = await start();
    const first = await createFlag(under, "a");
    const client = await open(under);
    await client.reaches(first);
    const readable: Promise<boolean>[] = [];
    client.websocket.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString()) as ServerMessage;
      if (message.type === "patch") readable.push(position(under).then(({ revision }) => revision >= message.revision));
    });
    await under.request("PATCH", "/api/v1/flags/a", { body: { description: "seen by people only" } });
    const refused = await under.request("PATCH", "/api/v1/environments/production/flags/a", {
      body: { enabled: "yes" },
    });
    expect(refused.status).toBe(400);
    for (let percent = 1; percent <= 10; percent++) expect(await setPercent(under, "a", percent)).toBe(first + percent);
    await client.reaches(first + 10);
    expect(client.messages.filter(({ type }) => type === "patch")).toHaveLength(10);
    expect(await Promise.all(readable)).toEqual(Array(10).fill(true));
  });
});

describe("ST-25 checksums", () => {
  it("are the sum over all entries, as the specification works it out", () => {
    const sum = (...checksums: string[]) =>
      checksumOf({
        flags: new Map(checksums.map((checksum, index) => [`${index}`, { checksum } as RulesetFlag])),
        segments: new Map(),
      });
    expect(sum()).toBe("000000000000");
    expect(sum("8fe15e7f3e43", "de0f313a7578", "9ddf66be89d9")).toBe("0bcff6783d94");
    expect(sum("d38e3abdb703", "de0f313a7578", "9ddf66be89d9")).toBe("4f7cd2b6b654");
  });

  it("of every message are right after it, segments and removals included", async () => {
    const under = await start();
    const client = await open(under);
    await createFlag(under, "a");
    await createFlag(under, "b");
    const segment = { when: [{ attribute: "email", op: "ends_with", values: ["@example.com"] }] };
    await under.request("PUT", "/api/v1/segments/staff", { body: segment, headers: { "if-none-match": "*" } });
    await under.request("DELETE", "/api/v1/flags/b");
    await under.request("POST", "/api/v1/environments/production/flags/a/kill", { body: { reason: "test" } });
    const { revision } = await position(under);
    await client.reaches(revision);
    const { body } = await under.request("GET", "/api/v1/environments/production");
    const { state } = client.model;
    expect(state && checksumOf(state)).toBe(body.checksum);
    expect(state?.segments.has("staff")).toBe(true);
    expect(client.model.resyncCount).toBe(0);
    expect(client.model.problems).toEqual([]);
  });
});

describe("ST-18 forged, cut and expired resume tokens", () => {
  it("start a new session at the same position", async () => {
    const { under, time } = await startInFakeTime();
    await createFlag(under, "a");
    const first = await open(under);
    await first.next("snapshot");
    const { session, resume } = first.messages[0] as Extract<ServerMessage, { type: "welcome" }>;
    await first.drop();
    const attempts = [
      resume.slice(0, 10),
      resume.slice(0, -3),
      "",
      `${"A".repeat(40)}.${resume.split(".")[1]}`,
      `x${resume}`,
    ];
    for (const forged of attempts) {
      const client = await open(under, { model: first.model, query: { resume: forged } });
      expect(client.messages[0]).toMatchObject({ resumed: false, mode: "none" });
      expect((client.messages[0] as { session: string }).session).not.toBe(session);
      await client.close();
    }
    time.jumpWallClock(8 * 24 * 60 * 60 * 1000);
    const expired = await open(under, { model: first.model, query: { resume } });
    expect(expired.messages[0]).toMatchObject({ resumed: false, mode: "none" });
  });

  it("are worth nothing with another access token", async () => {
    const under = await start();
    const other = await under.createToken("server", ["production"]);
    const first = await open(under);
    await first.next("snapshot");
    await first.drop();
    const { resume } = first.messages[0] as Extract<ServerMessage, { type: "welcome" }>;
    const client = await open(under, { token: other, query: { resume } });
    expect(client.messages[0]).toMatchObject({ resumed: false });
  });

  it("lets the newer connection of a session win (ST-19)", async () => {
    const under = await start();
    const older = await open(under);
    const newer = await open(under, { query: { resume: (older.messages[0] as { resume: string }).resume } });
    expect(await older.closed).toEqual({ code: 4409, reason: "session_replaced" });
    expect(newer.messages[0]).toMatchObject({ resumed: true });
  });
});

describe("ST-14 a client from the future", () => {
  it("begins a new epoch once, and is refused while another cannot begin", async () => {
    const under = await start();
    const revision = await createFlag(under, "a");
    const client = await open(under);
    const bystander = await open(under);
    await client.reaches(revision);
    const { epoch } = client.model.state ?? { epoch: "" };
    await client.drop();

    const ahead = { epoch, revision: String(revision + 3) };
    const refound = await open(under, { query: ahead });
    expect(refound.messages[0]).toMatchObject({ mode: "snapshot", reason: "epoch" });
    const renewed = refound.messages[0] as Extract<ServerMessage, { type: "welcome" }>;
    expect(renewed.epoch).not.toBe(epoch);
    expect(renewed.revision).toBeGreaterThan(revision + 3);
    expect(await bystander.closed).toEqual({ code: 4510, reason: "history_rewritten" });

    const again = { epoch: renewed.epoch, revision: String(renewed.revision + 1) };
    const refused = await refusal(open(under, { query: again }));
    expect(refused).toMatchObject({ status: 503, problem: { code: "position_ahead" } });
    expect(refused.headers["retry-after"]).toBe("60");
    await setPercent(under, "a", 10);
    await refound.reaches(renewed.revision + 1);
    expect(refound.model.problems).toEqual([]);
  });
});

describe("ST-43 acks that make no sense", () => {
  it("change nothing, and the stream stays right", async () => {
    const under = await start();
    await createFlag(under, "a");
    const client = await open(under, { ...named("one"), acks: false });
    const { revision } = await position(under);
    await client.reaches(revision);
    const acknowledged = async (): Promise<number> => {
      const { body } = await under.request("GET", "/api/v1/environments/production/instances");
      return (body.items as { acknowledged: number }[])[0]?.acknowledged ?? -1;
    };
    // In the future, fractional, negative, a string, beyond integers; each is ignored or refused, none is believed.
    for (const wrong of [revision + 1, revision + 1_000, 0.5, -1, "1", 2 ** 60, null]) {
      client.send({ type: "ack", revision: wrong, heldMs: 0 });
    }
    client.send({ type: "ack", revision, heldMs: -1 });
    client.send({ type: "ack", revision, heldMs: 60_001 });
    await eventually(async () => (await metric(under, "bunting_stream_malformed_total")) === 7, {
      what: "seven refusals",
    });
    expect(await metric(under, "bunting_stream_acks_ignored_total")).toBe(2);
    expect(await acknowledged()).toBe(0);
    client.send({ type: "ack", revision, heldMs: 0, future: "field" });
    await eventually(async () => (await acknowledged()) === revision);
    client.send({ type: "ack", revision: revision - 1, heldMs: 0 }); // late
    const next = await setPercent(under, "a", 5);
    await client.reaches(next);
    expect(await acknowledged()).toBe(revision);
    expect(client.model.problems).toEqual([]);
  });
});

describe("ST-56 malformed messages", () => {
  const shapes = [
    "",
    "{",
    "null",
    "[]",
    "42",
    '"ack"',
    '{"type":"ack"}',
    '{"type":"nonsense"}',
    '{"type":["ack"],"revision":1}',
    '{"__proto__":{"type":"ack","revision":1,"heldMs":0}}',
    '{"type":"resync","reason":"boredom"}',
    "[".repeat(30_000),
    `{"type":"ack","revision":${"9".repeat(400)},"heldMs":0}`,
    '{"type":"telemetry","batch":{}}',
    `{"type":"ack","padding":"${"x".repeat(60_000)}"}`,
  ];

  it("are ignored and answered by name, and the next good one works", async () => {
    const under = await start();
    await createFlag(under, "a");
    const client = await open(under, { acks: false });
    for (const shape of shapes) client.send(shape);
    client.websocket.send(Buffer.from('{"type":"ack","revision":1,"heldMs":0}'), { binary: true });
    for (let count = 0; count <= shapes.length; count++) {
      expect(await client.next("error")).toMatchObject({ code: "message_malformed", fatal: false });
    }
    const { revision } = await position(under);
    await client.reaches(revision);
    client.send(client.model.ack());
    await eventually(async () => {
      const { body } = await under.request("GET", "/api/v1/environments/production/instances");
      return (body.items as { backlog: number }[])[0]?.backlog === 0;
    });
    expect(client.model.problems).toEqual([]);
  });

  it("end the connection with 4400 at the twentieth", async () => {
    const under = await start();
    const client = await open(under);
    for (let count = 0; count < 20; count++) client.send("nonsense");
    expect(await client.closed).toEqual({ code: 4400, reason: "message_malformed" });
    expect(client.messages.filter(({ type }) => type === "error")).toHaveLength(20);
    expect(client.messages.at(-1)).toMatchObject({ fatal: true });
  });
});

describe("ST-58 too many messages", () => {
  it("end the connection with 4429", async () => {
    const under = await start();
    const client = await open(under);
    for (let count = 0; count < 60; count++) client.send({ type: "ack", revision: 0, heldMs: 0 });
    expect(await client.closed).toEqual({ code: 4429, reason: "message_rate" });
  });

  it("counts pings", async () => {
    const under = await start();
    const client = await open(under);
    for (let count = 0; count < 60; count++) client.websocket.ping();
    expect(await client.closed).toMatchObject({ code: 4429 });
  });
});

describe("ST-57 frames that break the protocol below", () => {
  it.each([
    { what: "an oversize message", frame: () => clientFrame("x".repeat(65_537)), code: 1009 },
    { what: "an oversize message in pieces", frame: () => fragments("x".repeat(40_000), 2), code: 1009 },
    {
      what: "an announced length beyond all reason",
      frame: () => Buffer.from([0x81, 0xff, 0x7f, ...Array(7).fill(0xff), 1, 2, 3, 4]),
      code: 1009,
    },
    { what: "an unmasked frame", frame: () => clientFrame("{}", { unmasked: true }), code: 1002 },
    { what: "bad UTF-8", frame: () => clientFrame(Buffer.from([0x7b, 0xff, 0xfe, 0x7d])), code: 1007 },
    { what: "a lone surrogate", frame: () => clientFrame(Buffer.from([0xed, 0xa0, 0x80])), code: 1007 },
    { what: "a reserved bit", frame: () => clientFrame("{}", { reserved: 0x20 }), code: 1002 },
    { what: "compression that was not agreed on", frame: () => clientFrame("{}", { reserved: 0x40 }), code: 1002 },
    { what: "an unknown opcode", frame: () => clientFrame("{}", { opcode: 3 }), code: 1002 },
    { what: "a continuation of nothing", frame: () => clientFrame("{}", { opcode: 0 }), code: 1002 },
    { what: "a fragmented ping", frame: () => clientFrame("", { opcode: 9, open: true }), code: 1002 },
    {
      what: "a close code that must not be sent",
      frame: () => clientFrame(Buffer.from([0x03, 0xed]), { opcode: 8 }),
      code: 1002,
    },
  ])("$what closes with $code", async ({ frame, code }) => {
    const under = await start();
    const bystander = await open(under);
    const raw = await openRawStream(under, sdkToken(under));
    expect(raw.answer).toMatch(/^HTTP\/1\.1 101 /);
    raw.socket.write(frame());
    expect(await raw.closeCode).toBe(code);
    const revision = await createFlag(under, "still-there");
    await bystander.reaches(revision);
  });

  const fragments = (text: string, count: number): Buffer =>
    Buffer.concat(
      Array.from({ length: count }, (_, index) =>
        clientFrame(text, { opcode: index === 0 ? 1 : 0, open: index < count - 1 }),
      ),
    );
});

describe("ST-53 compressed snapshots", () => {
  it("are read by a client that offers compression, and by one that does not", async () => {
    const under = await start();
    const description = "text that compresses well ".repeat(100);
    for (let count = 0; count < 8; count++) {
      await under.request("POST", "/api/v1/flags", {
        body: { key: `flag-${count}`, metadata: { description, [`number-${count}`]: count } },
      });
    }
    const { revision } = await position(under);
    const [plain, deflated, browser] = [
      await open(under),
      await open(under, { deflate: true }),
      await open(under, { deflate: true, headers: { Origin: "https://example.com" } }),
    ];
    for (const client of [plain, deflated, browser]) await client.reaches(revision);
    expect(plain.websocket.extensions).toBe("");
    expect(deflated.websocket.extensions).toContain("permessage-deflate");
    expect(browser.websocket.extensions).toBe("");
    const bytesRead = ({ websocket }: StreamClient) =>
      (websocket as unknown as { _socket: { bytesRead: number } })._socket.bytesRead;
    expect(bytesRead(deflated)).toBeLessThan(bytesRead(plain) / 3);
    await setPercent(under, "flag-0", 30);
    await deflated.reaches(revision + 1);
    expect(deflated.model.problems).toEqual([]);
  });
});

describe("ST-51 a reader that stopped reading", () => {
  it("costs a bounded amount of memory, and has everything once it reads again", async () => {
    const under = await start();
    await under.request("POST", "/api/v1/flags", {
      body: {
        key: "bulky",
        type: "string",
        variants: { a: { value: "a".repeat(60_000) }, b: { value: "b".repeat(60_000) }, c: { value: "c" } },
      },
    });
    const [reading, ...stalled] = [await open(under), await open(under), await open(under), await open(under)];
    for (const client of stalled) client.pause();
    const before = process.memoryUsage().arrayBuffers;
    let revision = 0;
    for (let count = 1; count <= 100; count++) {
      // 120 KB each, 12 MB in all for each of them.
      const { body } = await under.request("PATCH", "/api/v1/environments/production/flags/bulky", {
        body: { fallthrough: { split: { a: count / 2, b: 50, c: 50 - count / 2 } } },
      });
      revision = (body.position as { revision?: number } | undefined)?.revision ?? revision;
      await reading?.reaches(revision);
    }
    expect(await metric(under, "bunting_stream_lagging_total")).toBeGreaterThan(0);
    // The log keeps 4 MiB, each stalled connection 64 KiB and a frame.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
    for (const client of stalled) client.resume();
    for (const client of stalled) {
      await client.reaches(revision);
      expect(client.model.problems).toEqual([]);
      expect(client.messages.length).toBeLessThan(100);
    }
  });
});

describe("ST-59 revocation", () => {
  it("ends the streams of that token alone, while changes go on", async () => {
    const under = await start();
    const created = await under.request("POST", "/api/v1/tokens", {
      body: { kind: "server", name: "doomed", environments: ["production"] },
    });
    const { id, secret } = created.body as { id: string; secret: string };
    await createFlag(under, "a");
    const doomed = await Promise.all(Array.from({ length: 20 }, () => open(under, { token: secret })));
    const others = await Promise.all(Array.from({ length: 20 }, () => open(under)));
    const changes = (async () => {
      for (let percent = 0; percent < 30; percent++) await setPercent(under, "a", percent);
    })();
    await under.request("DELETE", `/api/v1/tokens/${id}`);
    for (const client of doomed) expect(await client.closed).toEqual({ code: 4401, reason: "unauthenticated" });
    await changes;
    const { revision } = await position(under);
    for (const client of others) {
      await client.reaches(revision);
      expect(client.model.problems).toEqual([]);
    }
    expect(await refusal(open(under, { token: secret }))).toMatchObject({ status: 401 });
    const { body } = await under.request("GET", "/api/v1/environments/production/instances");
    expect((body.items as { token: string }[]).filter(({ token }) => token === id)).toEqual([]);
  });

  it("expiry ends them too", async () => {
    const { under, time } = await startInFakeTime();
    const expiresAt = new Date(time.clock.now() + 60_000).toISOString();
    const { body } = await under.request("POST", "/api/v1/tokens", {
      body: { kind: "server", name: "short-lived", environments: ["production"], expiresAt },
    });
    const client = await open(under, { token: body.secret as string });
    await time.advanceAsync(59_000);
    expect(client.websocket.readyState).toBe(WebSocket.OPEN);
    await time.advanceAsync(2_000);
    expect(await client.closed).toMatchObject({ code: 4401 });
  });

  it("archiving an environment ends its streams with 4403 (ST-60)", async () => {
    const under = await start();
    const staging = await open(under, { token: sdkToken(under, "staging") });
    const production = await open(under);
    await under.request("DELETE", "/api/v1/environments/staging");
    expect(await staging.closed).toEqual({ code: 4403, reason: "environment_archived" });
    const revision = await createFlag(under, "after");
    await production.reaches(revision);
    expect(await refusal(open(under, { token: sdkToken(under, "staging") }))).toMatchObject({ status: 403 });
  });
});

describe("ST-55 environments are isolated", () => {
  it("never shows one what was written for another", async () => {
    const under = await start();
    const canary = "canary-7f3a9c";
    const staging = await open(under, { token: sdkToken(under, "staging") });
    const production = await open(under);
    await createFlag(under, "a");
    await under.request("PATCH", "/api/v1/environments/staging/flags/a", { body: { pins: { on: [canary] } } });
    await under.request("POST", "/api/v1/environments/staging/flags/a/kill", { body: { reason: canary } });
    await production.reaches(await setPercent(under, "a", 50));
    const late = await open(under);
    await late.next("snapshot");
    await eventually(() => staging.texts.some((text) => text.includes('"killed":true') || text.includes('"kill"')));
    expect(staging.texts.join("")).toContain(canary);
    expect([...production.texts, ...late.texts].join("")).not.toContain(canary);
    expect(staging.texts.join("")).not.toContain(`"reason":"${canary}"`); // people and their reasons stay on the server
  });
});

describe("ST-61 drain", () => {
  it("sends everybody elsewhere, refuses newcomers, and ends what stays at the deadline", async () => {
    const { under, time } = await startInFakeTime();
    const [leaving, staying] = [await open(under), await open(under)];
    const closed = under.server.close();
    const goaway = await leaving.next("goaway");
    expect(goaway).toEqual({ type: "goaway", reason: "shutdown", spreadMs: 3_000, deadlineMs: 8_000 });
    await staying.next("goaway");
    const refused = await refusal(open(under));
    expect(refused).toMatchObject({ status: 503, problem: { code: "draining" } });
    expect(refused.headers["retry-after"]).toBe("1");
    await leaving.close();
    await time.advanceAsync(7_900);
    expect(staying.websocket.readyState).toBe(WebSocket.OPEN);
    await time.advanceAsync(200);
    expect(await staying.closed).toEqual({ code: 1012, reason: "draining" });
    for (let seconds = 0; seconds < 10; seconds++) await time.advanceAsync(1_000);
    await closed;
  });
});

describe("ST-37 heartbeats over a socket", () => {
  it("come every interval, name the head, and are answered", async () => {
    const { under, time } = await startInFakeTime();
    const revision = await createFlag(under, "a");
    const client = await open(under, named("one"));
    await client.reaches(revision);
    for (let round = 0; round < 3; round++) {
      for (let second = 0; second < 20; second++) await time.advanceAsync(1_000);
      const beat = await client.next("heartbeat");
      expect(beat).toMatchObject({ revision, ackHoldMs: 20 });
    }
    expect(client.model.problems).toEqual([]);
  });

  it("end a connection whose other end is gone (ST-39)", async () => {
    const { under, time } = await startInFakeTime();
    const client = await open(under, named("one"));
    client.pause();
    for (let second = 0; second < 45; second++) await time.advanceAsync(1_000);
    client.resume();
    await client.closed;
    expect(await metric(under, "bunting_stream_closes_total", 'code="4512"')).toBe(1);
  });
});

describe("ST-46 receipts over sockets", () => {
  const receiptOf = async (under: ServerUnderTest, revision: number, wait = "") =>
    (await under.request("GET", `/api/v1/environments/production/receipts/${revision}${wait}`)).body;

  it("name who has applied a change and who has not, and wait for the last one", async () => {
    const under = await start();
    await createFlag(under, "a");
    const prompt = await open(under, named("prompt"));
    const silent = await open(under, { ...named("silent"), acks: false });
    const gone = await open(under, { ...named("gone"), acks: false });
    const revision = await setPercent(under, "a", 40);
    for (const client of [prompt, silent, gone]) await client.reaches(revision);
    await gone.drop();
    const pending = await eventually(async () => {
      const receipt = await receiptOf(under, revision);
      return receipt.applied === 1 && JSON.stringify(receipt).includes('"connected":false') && receipt;
    });
    expect(pending).toMatchObject({ connected: 3, applied: 1, pendingCount: 2, complete: false, late: 0 });
    expect((pending.pending as { instance: string }[]).map(({ instance }) => instance).sort()).toEqual([
      "gone",
      "silent",
    ]);

    const waited = receiptOf(under, revision, "?waitMs=20000");
    silent.send(silent.model.ack());
    await open(under, { model: gone.model, ...named("gone") }); // comes back, and its position is an ack (ST-45)
    expect(await waited).toMatchObject({ connected: 3, applied: 3, pendingCount: 0, complete: true });
    const { latencyMs } = await receiptOf(under, revision);
    expect((latencyMs as { p50: number }).p50).toBeGreaterThan(0);
    expect((await under.request("GET", "/api/v1/environments/production/receipts/9999")).status).toBe(404);
  });

  it("count those who come later as late", async () => {
    const under = await start();
    await createFlag(under, "a");
    const client = await open(under, named("sleeper"));
    await client.next("snapshot");
    await client.close(); // ends the session
    const revision = await setPercent(under, "a", 10);
    await open(under, { model: client.model, query: { instance: "sleeper", boot: "2", resume: null } });
    await eventually(async () => (await receiptOf(under, revision)).late === 1);
    expect(await receiptOf(under, revision)).toMatchObject({ connected: 0, pendingCount: 0, complete: true });
  });

  it("come with a kill, once everybody has applied it", async () => {
    const under = await start();
    await createFlag(under, "a");
    const clients = await Promise.all(Array.from({ length: 10 }, (_, index) => open(under, named(`i-${index}`))));
    const { body } = await under.request("POST", "/api/v1/environments/production/flags/a/kill?waitMs=20000", {
      body: { reason: "p99 at 4 s" },
    });
    expect(body.receipt).toMatchObject({ connected: 10, applied: 10, complete: true, pending: [] });
    for (const client of clients) expect(client.model.isKilled("a")).toBe(true);
    expect(clients[0]?.messages.at(-1)).toMatchObject({ type: "kill" });
  });
});

describe("instances that do not say who they are", () => {
  it("are all listed, page by page", async () => {
    const under = await start();
    for (let count = 0; count < 3; count++) await open(under);
    await open(under, named("somebody"));
    const seen: unknown[] = [];
    let cursor = "";
    do {
      const target = `/api/v1/environments/production/instances?limit=2${cursor}`;
      const { body } = await under.request("GET", target);
      seen.push(...(body.items as { instance: string }[]).map(({ instance }) => instance));
      const { nextCursor } = body as { nextCursor: string | null };
      cursor = nextCursor === null ? "" : `&cursor=${nextCursor}`;
    } while (cursor !== "");
    expect(seen).toEqual(["", "", "", "somebody"]);
  });
});

describe("ST-54 purge over a socket", () => {
  it("keeps five entries of sixty once they are acknowledged", async () => {
    const under = await start({ deps: { stream: { logMargin: 5 } } });
    await createFlag(under, "a");
    const client = await open(under, { ...named("slow"), acks: false });
    for (let count = 0; count < 60; count++) await setPercent(under, "a", (count % 99) + 1);
    const { revision } = await position(under);
    await client.reaches(revision);
    await eventually(async () => (await metric(under, "bunting_stream_log_entries", "production")) > 5, {
      what: "the entries to show in the metrics",
    });
    client.send(client.model.ack());
    await eventually(async () => (await metric(under, "bunting_stream_log_entries", "production")) <= 5, {
      withinMs: 5_000,
    });
    const { body } = await under.request("GET", "/api/v1/environments/production/instances");
    expect((body.items as { backlog: number }[])[0]?.backlog).toBe(0);
  });
});

async function textOf(socket: ReturnType<typeof connect>): Promise<string> {
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}
