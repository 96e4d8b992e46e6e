import { connect } from "node:net";
import { LIMITS } from "@bunting/contracts/literals";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServerUnderTest, startServerUnderTest } from "./server-under-test.ts";

let under: ServerUnderTest;
beforeAll(async () => {
  under = await startServerUnderTest({ environment: { BUNTING_TRUSTED_PROXIES: "1" } });
  await under.request("POST", "/api/v1/flags", { body: { key: "secret-flag", description: "the object" } });
});
afterAll(() => under.dispose());

interface RawReply {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Sends bytes as they are, in the pieces given, and reads until the server closes or has answered once. */
function raw(...pieces: (string | Uint8Array)[]): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    const socket = connect(under.port, "127.0.0.1");
    let text = "";
    const settle = (): void => {
      socket.destroy();
      const [head = "", ...rest] = text.split("\r\n\r\n");
      resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0), head, body: rest.join("\r\n\r\n") });
    };
    socket.on("connect", () => {
      for (const piece of pieces) socket.write(piece);
    });
    socket.on("data", (chunk) => {
      text += chunk.toString();
      const [head = "", body] = text.split("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
      if (body !== undefined && Buffer.byteLength(body) >= length) settle();
    });
    socket.on("close", settle);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (text === "" && error.code !== "ECONNRESET" && error.code !== "EPIPE") reject(error);
    });
  });
}

const authorization = (): string => `Authorization: Bearer ${under.firstRun.adminToken}`;
const lines = (...all: string[]): string => `${all.join("\r\n")}\r\n\r\n`;
const codeOf = ({ body }: RawReply): unknown => (JSON.parse(body) as { code: unknown }).code;
const post = (body: string | Uint8Array, ...headers: string[]): Promise<RawReply> =>
  raw(
    lines(
      "POST /api/v1/flags HTTP/1.1",
      "Host: x",
      authorization(),
      "Content-Type: application/json",
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...headers,
    ),
    body,
  );

describe("a body", () => {
  /** A flag of exactly this many bytes: the rest is white space. */
  const sized = (bytes: number): string => '{"key":"no spaces"}'.padEnd(bytes);

  it("may be as large as the limit, and not one byte larger", async () => {
    // A bad key: at the limit the body is read and judged, above it nobody looks.
    expect(codeOf(await post(sized(LIMITS.adminBodyBytes)))).toBe("invalid_request");
    const larger = await post(sized(LIMITS.adminBodyBytes + 1));
    expect([larger.status, codeOf(larger)]).toEqual([413, "body_too_large"]);
    expect(larger.head.toLowerCase()).toContain("connection: close");
  });

  it("is counted as it arrives when it comes in chunks without a length", async () => {
    const chunked = (bytes: number): Promise<RawReply> => {
      const body = sized(bytes);
      const head = lines(
        "POST /api/v1/flags HTTP/1.1",
        "Host: x",
        authorization(),
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
      );
      const size = 64 * 1024;
      const pieces: string[] = [];
      for (let at = 0; at < bytes; at += size) {
        const piece = body.slice(at, at + size);
        pieces.push(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      }
      return raw(head, ...pieces, "0\r\n\r\n");
    };
    expect(codeOf(await chunked(LIMITS.adminBodyBytes))).toBe("invalid_request");
    expect(codeOf(await chunked(LIMITS.adminBodyBytes + 1))).toBe("body_too_large");
  });

  it("for an evaluation is smaller", async () => {
    const target = "/api/v1/environments/production/evaluate";
    const body = (bytes: number): string => '{"context":{"key":"u-1"}}'.padEnd(bytes);
    expect((await under.request("POST", target, { body: body(LIMITS.evaluateBodyBytes) })).status).toBe(200);
    const larger = await under.request("POST", target, { body: body(LIMITS.evaluateBodyBytes + 1) });
    expect(larger.body.code).toBe("body_too_large");
    const megabyte = { context: { key: "u-1", blob: "x".repeat(1024 * 1024) } };
    expect((await under.request("POST", target, { body: megabyte })).body.code).toBe("body_too_large");
  });

  it.each([
    ["no content type", ""],
    ["text", "text/plain"],
    ["a form", "application/x-www-form-urlencoded"],
    ["another charset", "application/json; charset=latin1"],
    ["something that begins alike", "application/jsonp"],
  ])("with %s is refused", async (_what, type) => {
    const reply = await under.request("POST", "/api/v1/flags", { body: "{}", headers: { "content-type": type } });
    expect(reply.body.code).toBe("unsupported_media_type");
  });

  it.each(["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])(
    "is JSON as %s",
    async (type) => {
      const reply = await under.request("POST", "/api/v1/flags", { body: "{}", headers: { "content-type": type } });
      expect(reply.body.code).toBe("invalid_request");
    },
  );

  it("is never unpacked", async () => {
    for (const encoding of ["gzip", "br", "deflate", "identity, gzip"]) {
      expect(codeOf(await post("{}", `Content-Encoding: ${encoding}`))).toBe("unsupported_media_type");
    }
    expect(codeOf(await post("{}", "Content-Encoding: identity"))).toBe("invalid_request");
  });

  it.each([
    ["nesting", `${"[".repeat(100_000)}`, "invalid_request"],
    ["a key twice", '{"key":"a","key":"b"}', "invalid_request"],
    ["__proto__", '{"key":"a","metadata":{"__proto__":1}}', "invalid_request"],
    ["constructor, escaped", String.raw`{"key":"a","metadata":{"\u0063onstructor":1}}`, "invalid_request"],
    ["a huge number", '{"key":"a","metadata":{"n":1e400}}', "invalid_request"],
    ["an integer that would change", '{"key":"a","metadata":{"n":10000000000000000999}}', "invalid_request"],
    ["a lone surrogate", String.raw`{"key":"a","description":"\ud800"}`, "invalid_request"],
    ["NUL", String.raw`{"key":"a","description":"\u0000"}`, "invalid_request"],
    ["bad UTF-8", Uint8Array.from([0x22, 0xff, 0x22]), "invalid_json"],
    ["a byte order mark", "\ufeff{}", "invalid_json"],
    ["nothing", "", "invalid_json"],
    ["two values", "{}{}", "invalid_json"],
  ])("with %s is refused with a code", async (_what, body, code) => {
    const reply = await post(body);
    expect([reply.status, codeOf(reply)]).toEqual([400, code]);
  });

  const hundredsOfThousands = (item: string): string => `[${Array.from({ length: 300_000 }, () => item).join()}]`;
  it.each([
    ["unknown variants", `{"prerequisites":[{"flag":"a","variants":${hundredsOfThousands("1")}}]}`, "/prerequisites/0"],
    [
      "values",
      `{"rules":[{"id":"a","when":[{"attribute":"a","op":"in","values":${hundredsOfThousands("[]")}}]}]}`,
      "/rules",
    ],
  ])("with hundreds of thousands of bad %s is answered with the first", async (_what, body, path) => {
    const target = "/api/v1/environments/production/flags/secret-flag";
    const reply = await under.request("PATCH", target, { body });
    expect(reply.body).toMatchObject({ status: 400, code: "invalid_request" });
    const errors = reply.body.errors as { path: string }[];
    expect(errors).toHaveLength(1);
    expect(errors[0]?.path.startsWith(path)).toBe(true);
  });

  it("that names thousands of variants that are not there has twenty of them named in the answer", async () => {
    const split = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`v${index}`, 0.02]));
    const target = "/api/v1/environments/production/flags/secret-flag";
    const reply = await under.request("PATCH", target, { body: { fallthrough: { split } } });
    expect(reply.body.code).toBe("invalid_request"); // `on` and `off` keep their shares, so it is no split
    const rules = [{ id: "everyone", when: [], serve: { split } }];
    const refused = await under.request("PATCH", target, { body: { rules } });
    expect(refused.body).toMatchObject({ code: "variant_unknown" });
    expect(refused.body.detail).toContain("The first 20 of 5000 are listed.");
    expect(refused.body.errors).toHaveLength(20);
  });

  it("that breaks off leaves nothing behind", async () => {
    const reply = raw(
      lines(
        "POST /api/v1/flags HTTP/1.1",
        "Host: x",
        authorization(),
        "Content-Type: application/json",
        "Content-Length: 50",
      ),
      '{"key":"half"',
    );
    const socket = await Promise.race([reply, new Promise((resolve) => setTimeout(resolve, 50, "waiting"))]);
    expect(socket).toBe("waiting");
    expect((await under.request("GET", "/api/v1/flags/half")).body.code).toBe("flag_not_found");
  });
});

describe("headers", () => {
  const get = (...headers: string[]): Promise<RawReply> => raw(lines("GET /healthz HTTP/1.1", "Host: x", ...headers));
  const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `X-${index}: 1`);

  it("are at most 64", async () => {
    expect((await get(...many(63))).status).toBe(200); // and Host
    const more = await get(...many(64));
    expect([more.status, codeOf(more)]).toEqual([431, "headers_too_large"]);
    expect(codeOf(await get(...many(500)))).toBe("headers_too_large");
  });

  it("are at most 16 KiB", async () => {
    expect((await get(`X-Long: ${"x".repeat(15 * 1024)}`)).status).toBe(200);
    const more = await get(`X-Long: ${"x".repeat(16 * 1024)}`);
    expect([more.status, codeOf(more)]).toEqual([431, "headers_too_large"]);
  });

  it("cannot smuggle a second authorization", async () => {
    const reply = await raw(
      lines("GET /api/v1/tokens/self HTTP/1.1", "Host: x", authorization(), "Authorization: Bearer other"),
    );
    expect(codeOf(reply)).toBe("unauthenticated");
  });

  it("on every answer forbid sniffing, framing, storing and referring", async () => {
    for (const target of ["/healthz", "/api/v1/flags", "/nowhere", "/docs"]) {
      const { headers } = await under.request("GET", target);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("request-id")).toMatch(/^req_[\w-]{22}$/);
    }
  });

  it("do not let a caller name his request", async () => {
    const { headers } = await under.request("GET", "/healthz", {
      headers: { "request-id": "mine", "x-request-id": "mine" },
    });
    expect(headers.get("request-id")).not.toBe("mine");
  });
});

describe("what is no HTTP request", () => {
  it.each([
    ["nonsense", "hello\r\n\r\n"],
    [
      "a request smuggled behind two lengths",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ],
    [
      "a length beside chunks",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["no host", "GET /healthz HTTP/1.1\r\n\r\n"],
    ["a host that is none", "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n"],
    ["a header folded over two lines", "GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n"],
  ])("%s is answered with 400", async (_what, text) => {
    expect((await raw(text)).status).toBe(400);
  });
});

describe("default deny is decided on the matched route", () => {
  const flag = "/api/v1/flags/secret-flag";
  const tricks = [
    `/${flag}`,
    "//api/v1/flags/secret-flag",
    "/api//v1/flags/secret-flag",
    "/api/v1//flags/secret-flag",
    "/api/v1/flags//secret-flag",
    "/api/v1/flags/./secret-flag",
    "/./api/v1/flags/secret-flag",
    "/healthz/../api/v1/flags/secret-flag",
    "/docs/../api/v1/flags/secret-flag",
    "/docs/%2e%2e/api/v1/flags/secret-flag",
    "/healthz/%2e%2e/api/v1/flags/secret-flag",
    "/healthz/%2E%2E/api/v1/flags/secret-flag",
    "/healthz/..%2fapi/v1/flags/secret-flag",
    "/healthz%2f..%2fapi%2fv1%2fflags%2fsecret-flag",
    "/healthz/..%5capi/v1/flags/secret-flag",
    "/healthz\\..\\api\\v1\\flags\\secret-flag",
    "/api%2fv1/flags/secret-flag",
    "/api/v1/flags%2fsecret-flag",
    "/api/v1/flags/secret-flag/",
    "/api/v1/flags/secret-flag//",
    "/API/V1/FLAGS/secret-flag",
    "/Api/v1/flags/secret-flag",
    "/api/v1/flags/secret-flag;x",
    "/api/v1/flags/secret-flag;x=1",
    "/api/v1/flags/secret-flag%00",
    "/api/v1/flags/secret-flag%20",
    "/api/v1/flags/secret-flag.json",
    "/api/v1/flags/secret-flag?x=/healthz",
    "/api/v1/flags/secret-flag#/healthz",
    "/%61pi/v1/flags/secret-flag",
    "/api/v1/flags/%73ecret-flag",
    "http://127.0.0.1/api/v1/flags/secret-flag",
    "http://healthz/api/v1/flags/secret-flag",
    "http://evil.example/healthz/../api/v1/flags/secret-flag",
    "*",
  ];

  it.each(tricks)("%s without a token is 400, 401 or 404, never the object", async (target) => {
    const from = `X-Forwarded-For: 198.51.100.${tricks.indexOf(target)}`;
    for (const method of ["GET", "POST", "HEAD"]) {
      const reply = await raw(lines(`${method} ${target} HTTP/1.1`, "Host: x", from, "Connection: close"));
      expect([target, method, reply.status]).toEqual([
        target,
        method,
        expect.toSatisfy((status) => [400, 401, 404, 405].includes(status)),
      ]);
      expect(reply.body).not.toContain("the object");
    }
  });

  it("and the object is there for who may see it", async () => {
    expect((await under.request("GET", flag)).body.description).toBe("the object");
  });

  it("an unknown method, or one in small letters, is nothing", async () => {
    for (const method of ["get", "PURGE", "TRACE", "PROPFIND", "CONNECT"]) {
      const reply = await raw(lines(`${method} ${flag} HTTP/1.1`, "Host: x", "Connection: close"));
      expect([method, reply.body.includes("the object")]).toEqual([method, false]);
      expect([0, 400, 401, 404, 405]).toContain(reply.status);
    }
  });
});
