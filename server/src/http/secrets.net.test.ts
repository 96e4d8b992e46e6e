import { TOKEN_KINDS } from "@bunting/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServerUnderTest, startServerUnderTest } from "./server-under-test.ts";

/*
 * R40 no secret leaves. Canary tokens go everywhere a caller can put text; then everything the server said is searched for
 * them.
 */

let under: ServerUnderTest;
const answers: string[] = [];
const canaries: string[] = [];
const CONTEXT_CANARY = "canary-in-a-context";
const QUERY_CANARY = "canary-in-a-query";

beforeAll(async () => {
  under = await startServerUnderTest({ environment: { BUNTING_TRUSTED_PROXIES: "1" } });
  canaries.push(under.firstRun.adminToken, ...Object.values(under.firstRun.sdkTokens));
  for (const kind of TOKEN_KINDS) canaries.push(await under.createToken(kind, ["production"]));
  let guesses = 0;

  for (const token of canaries) {
    const requests: [string, string, unknown?, Record<string, string>?][] = [
      ["GET", "/api/v1/tokens/self"],
      ["GET", "/api/v1/tokens"],
      ["GET", `/api/v1/flags/${token}`],
      ["GET", `/api/v1/flags/${token}!`],
      ["GET", `/api/v1/flags?search=${QUERY_CANARY}&token=${token}`],
      ["GET", `/api/v1/flags?${token}=1`],
      ["GET", `/api/v1/flags?cursor=${token}`],
      ["GET", `/${token}`],
      ["DELETE", `/api/v1/tokens/${token}`],
      ["POST", "/api/v1/flags", { key: "a", description: 7, owner: [token] }],
      ["POST", "/api/v1/flags", `{"key": ${token}}`],
      ["POST", "/api/v1/flags", `{"key":"a","key":"${token}"}`],
      ["POST", "/api/v1/flags", { key: token }, { "idempotency-key": "x".repeat(300) }],
      ["POST", "/api/v1/environments/production/evaluate", { context: { key: CONTEXT_CANARY, token } }],
      ["PATCH", "/api/v1/flags/x", {}, { "if-match": token }],
      [
        "GET",
        "/api/v1/flags",
        undefined,
        { cookie: `session=${token}`, "user-agent": token, referer: `http://x/${token}` },
      ],
    ];
    for (const [method, target, body, headers] of requests) {
      for (const as of [token, null, `${token}x`, token.slice(0, -6)]) {
        const from = { "x-forwarded-for": `10.${guesses >> 16}.${(guesses >> 8) & 255}.${guesses++ & 255}` };
        const { text, headers: answered } = await under.request(method, target, {
          token: as,
          body,
          headers: { ...headers, ...from },
        });
        answers.push(JSON.stringify([...answered]), text);
      }
    }
  }
  for (const target of [
    "/metrics",
    "/openapi.json",
    "/api/v1/audit?limit=200",
    "/api/v1/export",
    "/api/v1/tokens?limit=200",
  ]) {
    answers.push((await under.request("GET", target)).text);
  }
});
afterAll(() => under.dispose());

/** Of a token, what must stay secret: all behind the id. */
const secretOf = (token: string): string => token.slice(token.lastIndexOf("_") + 1, -6);

describe("R40 no token leaves", () => {
  it("into the log", () => {
    expect(under.log.length).toBeGreaterThan(400);
    for (const line of under.log) for (const token of canaries) expect(line).not.toContain(secretOf(token));
  });

  it("into an answer to another request, an error, a header, a metric, the audit, the export", () => {
    const leaks = answers.filter((text) => canaries.some((token) => text.includes(secretOf(token))));
    expect(leaks).toEqual([]);
  });
});

describe("the log", () => {
  it("is one JSON object per line, with the route in place of the path", () => {
    for (const line of under.log) {
      expect(line.endsWith("\n") && line.indexOf("\n") === line.length - 1).toBe(true);
      expect(JSON.parse(line)).toMatchObject({
        level: expect.any(String),
        time: expect.any(String),
        msg: expect.any(String),
      });
    }
    const requests = under.log
      .map((line) => JSON.parse(line) as { msg: string; route?: string })
      .filter(({ msg }) => msg === "request");
    expect(new Set(requests.map(({ route }) => route))).toContain("/api/v1/flags/{flag}");
  });

  it("holds no query, no context and no body", () => {
    for (const line of under.log) {
      expect(line).not.toContain(QUERY_CANARY);
      expect(line).not.toContain(CONTEXT_CANARY);
      expect(line).not.toContain("?");
    }
  });

  it("names the token by its id, and the reason of a refusal by its code", () => {
    const entries = under.log.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(entries).toContainEqual(expect.objectContaining({ code: "unauthenticated", status: 401 }));
    const id = under.firstRun.adminToken.split("_")[2];
    expect(entries).toContainEqual(expect.objectContaining({ token: id, status: 200 }));
  });
});
