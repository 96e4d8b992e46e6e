import { once } from "node:events";
import net from "node:net";
import { createFlags } from "@bunting/sdk";
import { eventually, type ServerProcess, startServerProcess } from "@bunting/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import WebSocket from "ws";
import { createFlag, sdkToken, setPercent } from "./observed-client.ts";

let server: ServerProcess;
beforeAll(async () => {
  server = await startServerProcess();
  await createFlag(server, "victim", 50);
});
afterAll(() => server.dispose());

const deep = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`;

/**
 * What the public JSON parsing corpora are made of, as bodies of a request that creates a flag. What is no JSON is
 * `invalid_json`; what is JSON that no two programs read alike, or more of it than anyone needs, is `invalid_request`.
 */
const BODIES: readonly (readonly [string, string | Uint8Array, number, string])[] = [
  ["nothing", "", 400, "invalid_json"],
  ["a lone brace", "{", 400, "invalid_json"],
  ["100,000 open brackets", "[".repeat(100_000), 400, "invalid_request"],
  ["100,000 nested lists", deep(100_000), 400, "invalid_request"],
  ["65 levels", `{"key":"x","metadata":${deep(65)}}`, 400, "invalid_request"],
  ["a key twice", '{"key":"a","key":"b"}', 400, "invalid_request"],
  ["a key twice, once escaped", '{"key":"a","\\u006bey":"b"}', 400, "invalid_request"],
  ["__proto__", '{"key":"a","__proto__":{"polluted":true}}', 400, "invalid_request"],
  ["__proto__, escaped", '{"key":"a","\\u005f_proto__":{"polluted":true}}', 400, "invalid_request"],
  ["constructor deep inside", '{"key":"a","metadata":{"constructor":1}}', 400, "invalid_request"],
  ["a number beyond doubles", '{"key":"a","metadata":{"n":1e400}}', 400, "invalid_request"],
  ["an integer that would lose digits", '{"key":"a","metadata":{"n":10000000000000000999}}', 400, "invalid_request"],
  ["a lone surrogate", '{"key":"a","description":"\\ud800"}', 400, "invalid_request"],
  ["NUL", '{"key":"a","description":"\\u0000"}', 400, "invalid_request"],
  ["broken UTF-8", new Uint8Array([0x7b, 0x22, 0x6b, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400, "invalid_json"],
  ["an overlong slash", new Uint8Array([0x22, 0xc0, 0xaf, 0x22]), 400, "invalid_json"],
  ["a byte order mark", new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d]), 400, "invalid_json"],
  ["a trailing comma", '{"key":"a",}', 400, "invalid_json"],
  ["a comment", '{"key":"a"/**/}', 400, "invalid_json"],
  ["NaN", '{"key":NaN}', 400, "invalid_json"],
  ["a list", "[]", 400, "invalid_request"],
  ["an unknown field", '{"key":"a","isAdmin":true}', 400, "invalid_request"],
  ["a reserved key", '{"key":"constructor"}', 400, "invalid_request"],
  ["more than a megabyte", `{"key":"a","description":"${"x".repeat(1_100_000)}"}`, 413, "body_too_large"],
];

const post = (body: string | Uint8Array): Promise<Response> =>
  fetch(`${server.url}/api/v1/flags`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.firstRun.adminToken}`, "content-type": "application/json" },
    body: typeof body === "string" ? body : new Uint8Array(body),
  });

async function residentBytes(): Promise<number> {
  const metrics = await (await server.request("GET", "/metrics")).text();
  return Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]);
}

describe("bodies that no client should send", () => {
  it.each(BODIES)("refuses %s with a stable code", async (_, body, status, code) => {
    const response = await post(body);
    expect({ status: response.status, problem: await response.json() }).toMatchObject({ status, problem: { code } });
    expect(response.headers.get("content-type")).toContain("application/problem+json");
  });

  it("refuses patterns that only a backtracking engine could take, and judges the greedy ones in linear time", async () => {
    const rule = (pattern: string) => ({
      rules: [{ id: "r", when: [{ attribute: "name", op: "matches", values: [pattern] }], serve: { variant: "on" } }],
    });
    const patch = (pattern: string): Promise<Response> =>
      server.request("PATCH", "/api/v1/environments/staging/flags/victim", rule(pattern));
    for (const pattern of ["(?=a)b", "(a)\\1", "(?<!a)b", "("]) {
      expect(await (await patch(pattern)).json()).toMatchObject({ code: "condition_invalid" });
    }
    expect((await patch("^(a+)+$")).status).toBe(200);
    const context = { key: "u", name: `${"a".repeat(4_000)}!` };
    const evaluated = await server.request("POST", "/api/v1/environments/staging/evaluate", { context });
    expect(await evaluated.json()).toMatchObject({ flags: { victim: { variant: "off" } } });
  });

  it("refuses a megabyte of context over HTTP, and an SDK decides it all the same", async () => {
    const context = { key: "u-1", blob: "x".repeat(1_000_000) };
    const response = await server.request("POST", "/api/v1/environments/production/evaluate", { context });
    expect(await response.json()).toMatchObject({ code: "body_too_large", status: 413 });

    const flags = createFlags({ url: server.url, token: sdkToken(server), cacheFile: false });
    onTestFinished(() => flags.close());
    await flags.ready();
    expect(flags.evaluate("victim", context)).toMatchObject({ reason: "SPLIT" });
    expect(flags.evaluate("victim", { key: "k".repeat(1_000_000) })).toMatchObject({
      variant: "off",
      errorCode: "TARGETING_KEY_MISSING",
    });
  });
});

describe("frames that no client should send", () => {
  const open = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/sdk/v1/stream`, "bunting.v1", {
      headers: { authorization: `Bearer ${sdkToken(server)}` },
    });
    await once(socket, "message");
    return socket;
  };
  const closeCodeAfter = async (send: (socket: WebSocket) => void): Promise<number> => {
    const socket = await open();
    socket.on("error", () => {});
    const closed = once(socket, "close");
    send(socket);
    return Number((await closed)[0]);
  };

  it("ends an oversize message with 1009", async () => {
    expect(await closeCodeAfter((socket) => socket.send(`{"type":"${"x".repeat(70_000)}"}`))).toBe(1009);
  });

  it("ignores malformed ones, and ends the connection at the twentieth with 4400", async () => {
    const shapes = [
      "",
      "{",
      "null",
      "[]",
      deep(30_000),
      '{"type":"__proto__"}',
      '{"type":"ack","revision":-1,"heldMs":0}',
    ];
    expect(
      await closeCodeAfter((socket) => {
        for (let count = 0; count < 20; count += 1) socket.send(shapes[count % shapes.length] ?? "");
      }),
    ).toBe(4400);
  });

  it("ends an unmasked frame with 1002", async () => {
    const { port } = server;
    const socket = net.connect(port, "127.0.0.1");
    const key = Buffer.from("0123456789abcdef").toString("base64");
    const lines = [
      "GET /sdk/v1/stream HTTP/1.1",
      `Host: 127.0.0.1:${port}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Protocol: bunting.v1",
      `Sec-WebSocket-Key: ${key}`,
      `Authorization: Bearer ${sdkToken(server)}`,
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    await once(socket, "data");
    const received: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => received.push(chunk));
    socket.write(Buffer.from([0x81, 0x02, 0x7b, 0x7d]));
    await once(socket, "close");
    const frames = Buffer.concat(received);
    // The last frame is a close (0x88) of at least two bytes, the code.
    const close = frames.lastIndexOf(Buffer.from([0x88]));
    expect(frames.readUInt16BE(close + 2)).toBe(1002);
  });
});

describe("after all of it", () => {
  it("has grown by nothing that a second round would repeat, and serves as before", { timeout: 120_000 }, async () => {
    const round = async (): Promise<void> => {
      for (let count = 0; count < 40; count += 1)
        await Promise.all(BODIES.map(([, body]) => post(body).then((r) => r.text())));
    };
    await round();
    const before = await residentBytes();
    await round();
    await round();
    // Twice the load of the first round again; what leaked per request would be here twice over.
    await eventually(async () => (await residentBytes()) - before < 48 * 2 ** 20, {
      what: "memory to stay where it was",
    });
    expect((await setPercent(server, "victim", 51)).status).toBe(200);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  });
});
