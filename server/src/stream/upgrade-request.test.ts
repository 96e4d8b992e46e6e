import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { readStreamQuery, readUpgradeRequest } from "./upgrade-request.ts";

function request(headers: Record<string, string | string[]>, url = "/sdk/v1/stream"): IncomingMessage {
  const lists = Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value : [value]] as const);
  return {
    method: "GET",
    url,
    headers: { upgrade: "websocket", ...Object.fromEntries(lists.map(([name, [first]]) => [name, first])) },
    headersDistinct: Object.fromEntries(lists),
  } as unknown as IncomingMessage;
}

describe("ST-2 where the token may stand", () => {
  it.each([
    { headers: { authorization: "Bearer abc" }, token: "abc" },
    { headers: { "sec-websocket-protocol": "bunting.v1, bunting.token.abc" }, token: "abc" },
    {
      headers: { authorization: "Bearer abc", "sec-websocket-protocol": "bunting.v1,bunting.token.xyz" },
      token: "abc",
    },
    { headers: {}, token: null },
    { headers: { authorization: "bearer abc" }, token: null },
    { headers: { authorization: "Bearer  abc" }, token: null },
    { headers: { authorization: "Bearer a b" }, token: null },
    { headers: { authorization: "Basic abc" }, token: null },
    { headers: { authorization: `Bearer ${"a".repeat(200)}` }, token: null },
    { headers: { authorization: ["Bearer abc", "Bearer xyz"] }, token: null },
    { headers: { "sec-websocket-protocol": "bunting.token.abc, bunting.token.xyz" }, token: null },
  ])("$headers -> $token", ({ headers, token }) => {
    expect(readUpgradeRequest(request(headers as unknown as Record<string, string>)).token).toBe(token);
  });

  it("is never the URL", () => {
    expect(
      readUpgradeRequest(request({}, "/sdk/v1/stream?token=abc&access_token=abc&authorization=Bearer%20abc")).token,
    ).toBeNull();
  });
});

describe("ST-53 who is sent compressed snapshots", () => {
  it.each([
    { extensions: "permessage-deflate", deflated: true },
    { extensions: "permessage-deflate; client_max_window_bits", deflated: true },
    { extensions: "permessage-deflate; server_no_context_takeover; client_no_context_takeover", deflated: true },
    { extensions: "permessage-deflate; server_max_window_bits=10", deflated: false },
    { extensions: "permessage-deflate; client_max_window_bits; server_max_window_bits=15", deflated: false },
    { extensions: "x-webkit-deflate-frame", deflated: false },
    { extensions: "", deflated: false },
  ])("$extensions: $deflated", ({ extensions, deflated }) => {
    expect(readUpgradeRequest(request({ "sec-websocket-extensions": extensions })).deflated).toBe(deflated);
  });

  it("not browsers, which would compress everything they send from then on", () => {
    const headers = { "sec-websocket-extensions": "permessage-deflate", origin: "https://example.com" };
    expect(readUpgradeRequest(request(headers)).deflated).toBe(false);
  });
});

describe("ST-7 the query", () => {
  it("may be anything that is not a lie about a name", () => {
    const read = (text: string) => readStreamQuery(new URLSearchParams(text));
    expect(read("")).toMatchObject({ ok: true, claim: null });
    expect(read("epoch=e1&revision=7&new=x&__proto__=y")).toMatchObject({
      ok: true,
      claim: { epoch: "e1", revision: 7 },
    });
    expect(read("instance=one&instance=two")).toMatchObject({ ok: true, query: { instance: "two" } });
    expect(read(`instance=${"x".repeat(64)}`)).toMatchObject({ ok: true });
    expect(read(`instance=${"x".repeat(65)}`)).toMatchObject({ ok: false, refusal: { code: "invalid_request" } });
    expect(read("boot=%00")).toMatchObject({ ok: false });
    expect(read(`sdk=${encodeURIComponent("ü")}`)).toMatchObject({ ok: false });
  });
});
