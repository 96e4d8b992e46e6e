import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { environmentPage, flag as flagSchema, auditVerificationLine as line } from "@bunting/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { createClient } from "./client.ts";
import { Failure } from "./failure.ts";
import { createTestWorld, sampleFlag, TOKEN } from "./test-world.ts";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
}

type Reply = (response: ServerResponse, request: IncomingMessage) => void;

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

/** A server that gives these replies one after the other, the last one for ever. */
async function serving(...replies: [Reply, ...Reply[]]) {
  const seen: Seen[] = [];
  const created = createServer((request, response) => {
    seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers });
    request.resume();
    (replies.length > 1 ? replies.shift() : replies[0])?.(response, request);
  });
  server = created;
  await new Promise<void>((resolve) => created.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(created.address() as AddressInfo).port}`;
  const { world, slept } = createTestWorld();
  return { client: createClient({ url, token: TOKEN, timeoutMs: 5_000 }, world), seen, slept, url };
}

const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Reply =>
  (response) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));

const problem = (status: number, code: string, headers: Record<string, string> = {}): Reply =>
  json(status, { type: "t", title: "t", status, detail: "d", code, requestId: "r" }, headers);

const hangUp: Reply = (response) => response.destroy();
const flag = json(200, sampleFlag(), { etag: '"1"' });
const post = { method: "POST", path: "/api/v1/flags", body: {}, schema: flagSchema } as const;
const patch = { method: "PATCH", path: "/api/v1/flags/a", body: {}, schema: flagSchema, ifMatch: '"1"' } as const;

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Failure) return error;
  throw new Error("No failure.", { cause: error });
}

describe("a request", () => {
  it("carries the token in its header, and only there", async () => {
    const { client, seen } = await serving(flag);
    await client.get("/api/v1/flags/a", flagSchema);
    expect(seen[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`);
    expect(seen[0]?.url).not.toContain(TOKEN);
  });

  it("gives back the parsed answer and its ETag", async () => {
    const { client } = await serving(flag);
    expect(await client.get("/api/v1/flags/a", flagSchema)).toEqual({ value: sampleFlag(), etag: '"1"' });
  });

  it("sends If-Match with a change, and an Idempotency-Key with a POST alone", async () => {
    const { client, seen } = await serving(flag);
    await client.write(patch);
    await client.write(post);
    expect(seen.map(({ headers }) => [headers["if-match"], headers["idempotency-key"]])).toEqual([
      ['"1"', undefined],
      [undefined, "one-key"],
    ]);
  });
});

describe("trying again", () => {
  it("happens for reads after a lost connection", async () => {
    const { client, seen } = await serving(hangUp, flag);
    await client.get("/api/v1/flags/a", flagSchema);
    expect(seen).toHaveLength(2);
  });

  it("happens for a POST with the same Idempotency-Key, so that it counts once", async () => {
    const { client, seen } = await serving(hangUp, problem(503, "draining"), flag);
    await client.write(post);
    expect(seen.map(({ headers }) => headers["idempotency-key"])).toEqual(["one-key", "one-key", "one-key"]);
  });

  it("does not happen for a PATCH that may have arrived: its own success would refuse it", async () => {
    const { client, seen } = await serving(hangUp, flag);
    expect((await failureOf(client.write(patch))).report.code).toBe("unreachable");
    expect(seen).toHaveLength(1);
  });

  it("waits as long as Retry-After asks, within reason", async () => {
    const { client, slept } = await serving(
      problem(503, "overloaded", { "retry-after": "2" }),
      problem(429, "too_many_failures", { "retry-after": "3600" }),
      flag,
    );
    await client.get("/api/v1/flags/a", flagSchema);
    expect(slept).toEqual([2_000, 5_000]);
  });

  it("ends after three tries, with the server's last word", async () => {
    const { client, seen } = await serving(problem(503, "storage_read_only"));
    const failure = await failureOf(client.get("/api/v1/flags/a", flagSchema));
    expect([failure.report.code, failure.exitCode, seen.length]).toEqual(["storage_read_only", 1, 3]);
  });

  it("does not happen for a refusal", async () => {
    const { client, seen } = await serving(problem(409, "flag_exists"));
    await failureOf(client.write(post));
    expect(seen).toHaveLength(1);
  });
});

describe("what is no answer", () => {
  it("a refused connection names the URL and how to start a server, and is tried again for any request", async () => {
    const { client, url, slept } = await serving(flag);
    await new Promise((resolve) => server?.close(resolve));
    const failure = await failureOf(client.write(patch));
    expect(failure.exitCode).toBe(3);
    expect(failure.report.detail).toBe(`Cannot reach ${url}: connection refused, nothing listens there.`);
    expect(failure.report.remedy).toContain("bunting serve");
    expect(slept).toHaveLength(2);
  });

  it("silence ends with the time limit", async () => {
    const { url } = await serving(() => undefined);
    const { world } = createTestWorld();
    const client = createClient({ url, token: TOKEN, timeoutMs: 50 }, world);
    expect((await failureOf(client.write(patch))).report.detail).toContain("no answer within 0.05 s");
  });

  it.each<[string, Reply]>([
    ["a web page", (response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>")],
    ["a web page of an error", (response) => response.writeHead(502).end("<html>Bad gateway")],
    ["JSON of another shape", json(200, { hello: "world" })],
    ["an error that is no problem document", json(500, { message: "oops" })],
    ["an empty answer", (response) => response.writeHead(200).end()],
  ])("%s is another server's", async (_, reply) => {
    const { client } = await serving(reply);
    const failure = await failureOf(client.get("/api/v1/flags/a", flagSchema));
    expect([failure.report.code, failure.exitCode]).toEqual(["unexpected_answer", 3]);
  });

  it("a redirect is not followed: the token stays here", async () => {
    const { client, seen } = await serving((response) =>
      response.writeHead(307, { location: "https://elsewhere.test/" }).end(),
    );
    const failure = await failureOf(client.get("/api/v1/flags/a", flagSchema));
    expect(failure.report.detail).toContain("it redirects to https://elsewhere.test/");
    expect(seen).toHaveLength(1);
  });

  it("a connection that breaks inside the body is one that broke", async () => {
    const { client } = await serving((response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write("{", () => response.destroy());
    });
    expect((await failureOf(client.get("/api/v1/flags/a", flagSchema))).report.code).toBe("unreachable");
  });
});

describe("a list", () => {
  const environment = (key: string) => ({
    key,
    name: "",
    createdAt: "2026-01-01T00:00:00.000Z",
    archivedAt: null,
    position: { epoch: "e", revision: 1 },
    checksum: "000000000000",
    flagCount: 0,
    connectedInstances: 0,
  });
  const page = (nextCursor: string | null, ...keys: string[]) =>
    json(200, { items: keys.map(environment), nextCursor });

  it("follows the cursor to the last page", async () => {
    const { client, seen } = await serving(page("next/1", "a", "b"), page(null, "c"));
    const items = await client.list("/api/v1/environments", environmentPage);
    expect(items.map(({ key }) => key)).toEqual(["a", "b", "c"]);
    expect(seen.map(({ url }) => url)).toEqual([
      "/api/v1/environments?limit=200",
      "/api/v1/environments?limit=200&cursor=next%2F1",
    ]);
  });

  it("stops at the number that was asked for", async () => {
    const { client, seen } = await serving(page("more", "a"), page("more", "b"));
    expect(await client.list("/api/v1/environments", environmentPage, {}, 2)).toHaveLength(2);
    expect(seen.map(({ url }) => url)).toEqual([
      "/api/v1/environments?limit=2",
      "/api/v1/environments?limit=1&cursor=more",
    ]);
  });
});

describe("looking for what may not be there", () => {
  it("finds nothing where the server knows nothing", async () => {
    const { client } = await serving(problem(404, "flag_not_found"));
    expect(await client.find("/api/v1/flags/a", flagSchema)).toBeUndefined();
  });

  it("does not take another refusal for absence", async () => {
    const { client } = await serving(problem(403, "forbidden"));
    expect((await failureOf(client.find("/api/v1/flags/a", flagSchema))).exitCode).toBe(4);
  });
});

describe("a document that is no JSON", () => {
  const markdown: Reply = (response) =>
    response.writeHead(200, { "content-type": "text/markdown" }).end("# Rollout of express\n");

  it("comes as it is, and is asked for again like any other read", async () => {
    const { client, seen } = await serving(problem(503, "storage_busy"), markdown);
    expect(await client.text("/report", { format: "md" })).toBe("# Rollout of express\n");
    expect(seen.map(({ url }) => url)).toEqual(["/report?format=md", "/report?format=md"]);
  });

  it("is refused with the server's own words", async () => {
    const { client } = await serving(problem(404, "rollout_not_found"));
    expect((await failureOf(client.text("/report"))).report.code).toBe("rollout_not_found");
  });
});

describe("an answer that takes long", () => {
  const text = (checked: number): string => `${JSON.stringify({ progress: { checked, entries: 9 } })}\n`;

  it("comes line by line, whatever pieces it arrives in", async () => {
    const { client, seen } = await serving((response) => {
      response.writeHead(200);
      response.write(text(1).slice(0, 7));
      setImmediate(() => response.end(text(1).slice(7) + text(2) + text(3).trimEnd()));
    });
    const checked = [];
    for await (const each of client.lines("/x", line)) checked.push("progress" in each && each.progress.checked);
    expect(checked).toEqual([1, 2, 3]);
    expect(seen[0]?.headers.accept).toBe("application/x-ndjson");
  });

  it("is a failure where it is refused, falls silent, breaks off, or holds something else", async () => {
    const read = async (reply: Reply) => {
      const { url } = await serving(reply);
      const client = createClient({ url, token: TOKEN, timeoutMs: 100 }, createTestWorld().world);
      const lines: unknown[] = [];
      const reading = (async () => {
        for await (const each of client.lines("/x", line)) lines.push(each);
      })();
      return `${(await failureOf(reading)).report.code} after ${lines.length}`;
    };
    expect(await read(problem(403, "forbidden"))).toBe("forbidden after 0");
    expect(await read((response) => response.writeHead(200).end("<html>\n"))).toBe("unexpected_answer after 0");
    expect(await read((response) => response.writeHead(200).write(text(1)))).toBe("unreachable after 1");
    const breakOff: Reply = (response) => {
      response.writeHead(200, { "content-length": 9_999 }).write(text(1), () => response.destroy());
    };
    expect(await read(breakOff)).toMatch(/^unreachable/);
  });

  it("is ended by whoever reads no further", async () => {
    let closed: Promise<string> = Promise.resolve("never asked");
    const { client } = await serving((response) => {
      closed = new Promise((resolve) => response.once("close", () => resolve("closed")));
      response.writeHead(200).write(text(1));
    });
    for await (const _line of client.lines("/x", line)) break;
    expect(await closed).toBe("closed");
  });
});
