import {
  auditPage,
  auditVerification,
  auditVerificationLine,
  configurationPage,
  configurationView,
  createTokenResponse,
  environmentPage,
  environment as environmentSchema,
  evaluateResponse,
  exportResponse,
  exposuresResponse,
  flagChange,
  flagPage,
  flag as flagSchema,
  instancePage,
  receipt,
  segmentPage,
  segment as segmentSchema,
  selfResponse,
  tokenPage,
  token as tokenSchema,
} from "@bunting/contracts";
import { SUBPROTOCOL } from "@bunting/contracts/literals";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import type { z } from "zod";
import { createNodeClock } from "../platform/node.ts";
import { type Reply, type ServerUnderTest, startServerUnderTest } from "./server-under-test.ts";

let under: ServerUnderTest;
beforeAll(async () => {
  under = await startServerUnderTest();
});
afterAll(() => under.dispose());

/** The answer as its schema reads it. Fails with the body where the status is another. */
function read<Schema extends z.ZodType>({ status, text }: Reply, expected: number, schema: Schema): z.output<Schema> {
  expect({ status, text }).toMatchObject({ status: expected });
  return schema.parse(JSON.parse(text));
}

const createFlag = (key: string, more: object = {}) =>
  under.request("POST", "/api/v1/flags", { body: { key, ...more } });

describe("environments", () => {
  it("are listed, created, read and archived", async () => {
    const listed = read(await under.request("GET", "/api/v1/environments"), 200, environmentPage);
    expect(listed.items.map(({ key }) => key)).toEqual(["development", "production", "staging"]);

    await createFlag("in-every-environment");
    const created = await under.request("POST", "/api/v1/environments", { body: { key: "canary", name: "Canary" } });
    expect(created.headers.get("location")).toBe("/api/v1/environments/canary");
    expect(created.headers.get("bunting-position")).toMatch(/^[0-9a-f]{32}:1;environment=canary$/);
    expect(read(created, 201, environmentSchema)).toMatchObject({ key: "canary", flagCount: 1, connectedInstances: 0 });

    expect(read(await under.request("GET", "/api/v1/environments/canary"), 200, environmentSchema).name).toBe("Canary");
    const archived = read(await under.request("DELETE", "/api/v1/environments/canary"), 200, environmentSchema);
    expect(archived.archivedAt).not.toBeNull();
    expect((await under.request("DELETE", "/api/v1/environments/canary")).body.code).toBe("environment_archived");
  });

  it("keep what an archived one held readable, and refuse changes to it", async () => {
    await createFlag("kept");
    await under.request("POST", "/api/v1/environments", { body: { key: "retired" } });
    await under.request("DELETE", "/api/v1/environments/retired");
    read(await under.request("GET", "/api/v1/environments/retired/flags/kept"), 200, configurationView);
    const refusals = [
      await under.request("PATCH", "/api/v1/environments/retired/flags/kept", { body: { enabled: false } }),
      await under.request("POST", "/api/v1/environments/retired/flags/kept/kill", { body: { reason: "x" } }),
      await under.request("POST", "/api/v1/environments/retired/evaluate", { body: { context: {} } }),
    ];
    expect(refusals.map(({ body }) => body.code)).toEqual(Array(3).fill("environment_archived"));
  });
});

describe("flags", () => {
  it("are created in every environment at once, read, changed and archived", async () => {
    const created = await createFlag("redis-readthrough", { tags: ["redis"] });
    expect(read(created, 201, flagSchema)).toMatchObject({ key: "redis-readthrough", type: "boolean", version: 1 });
    expect(created.headers.get("etag")).toBe('"1"');
    expect(created.headers.get("location")).toBe("/api/v1/flags/redis-readthrough");
    expect(created.headers.get("bunting-position")?.split(", ")).toHaveLength(3);

    const path = "/api/v1/flags/redis-readthrough";
    const patched = await under.request("PATCH", path, {
      body: { description: "Reads sessions through Redis" },
      headers: { "content-type": "application/merge-patch+json", "if-match": '"1"' },
    });
    expect(read(patched, 200, flagSchema)).toMatchObject({ description: "Reads sessions through Redis", version: 2 });
    expect(patched.headers.get("etag")).toBe('"2"');
    expect(patched.headers.get("bunting-position")).toBeNull(); // SDKs do not see descriptions

    expect(read(await under.request("DELETE", path), 200, flagSchema).archivedAt).not.toBeNull();
    expect(read(await under.request("GET", path), 200, flagSchema).archivedAt).not.toBeNull();
    expect((await createFlag("redis-readthrough")).body.code).toBe("flag_exists");
    expect((await under.request("PATCH", path, { body: {} })).body.code).toBe("flag_archived");
  });

  it("are filtered by tag, by text and by whether they are archived", async () => {
    await createFlag("search-one", { tags: ["search"], description: "finds NEEDLES" });
    await createFlag("search-two", { tags: ["search"] });
    await createFlag("search-gone", { tags: ["search"] });
    await under.request("DELETE", "/api/v1/flags/search-gone");
    const keys = async (query: string): Promise<string[]> =>
      read(await under.request("GET", `/api/v1/flags?${query}`), 200, flagPage).items.map(({ key }) => key);
    expect(await keys("tag=search")).toEqual(["search-one", "search-two"]);
    expect(await keys("search=needle")).toEqual(["search-one"]);
    expect(await keys("tag=search&archived=true")).toEqual(["search-gone"]);
  });
});

describe("configurations", () => {
  const path = "/api/v1/environments/production/flags/checkout";
  beforeAll(async () => {
    await createFlag("checkout", { environments: { production: { fallthrough: { split: { on: 10, off: 90 } } } } });
  });

  it("are listed for one environment and read", async () => {
    const listed = read(await under.request("GET", "/api/v1/environments/production/flags"), 200, configurationPage);
    expect(listed.items.map(({ flag }) => flag)).toContain("checkout");
    const one = await under.request("GET", path);
    expect(read(one, 200, configurationView)).toMatchObject({
      flag: "checkout",
      environment: "production",
      fallthrough: { split: { on: 10, off: 90 } },
    });
    expect(one.headers.get("etag")).toBe('"1"');
  });

  it("take a merge patch, and say at which position it is", async () => {
    const patched = await under.request("PATCH", path, { body: { fallthrough: { split: { on: 25, off: 75 } } } });
    const { position, version } = read(patched, 200, configurationView);
    expect(patched.headers.get("bunting-position")).toBe(`${position.epoch}:${position.revision}`);
    expect(patched.headers.get("etag")).toBe(`"${version}"`);
  });

  it("are replaced by what was read and edited, with its ETag", async () => {
    const before = await under.request("GET", path);
    const put = await under.request("PUT", path, {
      body: { ...before.body, enabled: false },
      headers: { "if-match": before.headers.get("etag") ?? "" },
    });
    expect(read(put, 200, configurationView)).toMatchObject({ enabled: false });
  });
});

describe("kill, restore, reshuffle", () => {
  const path = "/api/v1/environments/production/flags/risky";
  beforeAll(async () => {
    await createFlag("risky", { tags: ["payments"] });
    await createFlag("risky-too", { tags: ["payments"] });
  });

  it("kill at once, with the position and a receipt", async () => {
    const killed = await under.request("POST", `${path}/kill?waitMs=1000`, { body: { reason: "p99 at 4 s" } });
    const change = read(killed, 200, flagChange);
    expect(change).toMatchObject({
      environment: "production",
      flags: ["risky"],
      receipt: { complete: true, connected: 0 },
    });
    expect(killed.headers.get("bunting-position")).toBe(`${change.position.epoch}:${change.position.revision}`);
    expect(read(await under.request("GET", path), 200, configurationView).killed).toMatchObject({
      reason: "p99 at 4 s",
    });
    expect((await under.request("POST", `${path}/kill`, { body: { reason: "again" } })).body.code).toBe("flag_killed");

    const { revision } = change.position;
    const proof = read(
      await under.request("GET", `/api/v1/environments/production/receipts/${revision}?waitMs=10`),
      200,
      receipt,
    );
    expect(proof.revision).toBe(revision);
  });

  it("kill by tag what is not killed yet, in one revision", async () => {
    const body = { tag: "payments", reason: "the provider is down" };
    const first = read(await under.request("POST", "/api/v1/environments/production/kill", { body }), 200, flagChange);
    expect(first.flags).toEqual(["risky-too"]);
    const second = read(await under.request("POST", "/api/v1/environments/production/kill", { body }), 200, flagChange);
    expect(second).toMatchObject({ flags: [], position: first.position });
  });

  it("kill by name", async () => {
    await createFlag("named");
    const body = { flags: ["named"], reason: "x" };
    const change = read(await under.request("POST", "/api/v1/environments/staging/kill", { body }), 200, flagChange);
    expect(change.flags).toEqual(["named"]);
  });

  it("restore what was killed, once", async () => {
    const restored = read(
      await under.request("POST", `${path}/restore`, { body: { reason: "fixed" } }),
      200,
      flagChange,
    );
    expect(restored.flags).toEqual(["risky"]);
    expect((await under.request("POST", `${path}/restore`, { body: { reason: "x" } })).body.code).toBe(
      "flag_not_killed",
    );
  });

  it("reshuffle draws another salt", async () => {
    const before = read(await under.request("GET", path), 200, configurationView);
    read(await under.request("POST", `${path}/reshuffle`, { body: { reason: "a second sample" } }), 200, flagChange);
    expect(read(await under.request("GET", path), 200, configurationView).salt).not.toBe(before.salt);
  });
});

describe("receipts and instances", () => {
  /** An SDK that says it has applied whatever it is sent. */
  async function openStream(): Promise<WebSocket> {
    const stream = new WebSocket(
      `${under.url.replace("http", "ws")}/sdk/v1/stream?instance=shop-7&boot=b1`,
      SUBPROTOCOL,
      {
        headers: { authorization: `Bearer ${under.firstRun.sdkTokens.development}` },
      },
    );
    onTestFinished(() => stream.terminate());
    stream.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; revision?: number };
      if (["welcome", "snapshot", "patch", "kill"].includes(message.type)) {
        stream.send(JSON.stringify({ type: "ack", revision: message.revision, heldMs: 0 }));
      }
    });
    await new Promise((resolve) => stream.once("message", resolve));
    return stream;
  }

  it("a kill that waits is proved by who applied it", async () => {
    await createFlag("proved");
    await openStream();
    const killed = await under.request("POST", "/api/v1/environments/development/flags/proved/kill?waitMs=10000", {
      body: { reason: "x" },
    });
    const { receipt: proof, position } = read(killed, 200, flagChange);
    expect(proof).toMatchObject({
      connected: 1,
      applied: 1,
      pendingCount: 0,
      complete: true,
      revision: position.revision,
    });
    expect(proof?.latencyMs?.max).toBeGreaterThanOrEqual(0);

    const { items } = read(await under.request("GET", "/api/v1/environments/development/instances"), 200, instancePage);
    expect(items).toEqual([expect.objectContaining({ instance: "shop-7", boot: "b1", connected: true, backlog: 0 })]);
    const one = read(await under.request("GET", "/api/v1/environments/development"), 200, environmentSchema);
    expect(one.connectedInstances).toBe(1);
  });

  it("a kill that does not wait says who is pending", async () => {
    await createFlag("unproved");
    const stream = await openStream();
    stream.removeAllListeners("message"); // from here on it says nothing
    const killed = await under.request("POST", "/api/v1/environments/development/flags/unproved/kill", {
      body: { reason: "x" },
    });
    expect(read(killed, 200, flagChange).receipt).toMatchObject({
      complete: false,
      pendingCount: 1,
      pending: [{ instance: "shop-7" }],
    });
  });

  it("answer receipt_expired for a revision that does not exist", async () => {
    expect((await under.request("GET", "/api/v1/environments/production/receipts/999999")).body.code).toBe(
      "receipt_expired",
    );
  });

  it("list nobody where nobody is connected", async () => {
    expect(read(await under.request("GET", "/api/v1/environments/staging/instances"), 200, instancePage)).toEqual({
      items: [],
      nextCursor: null,
    });
  });
});

describe("evaluation", () => {
  it("decides as an SDK would and shows the steps", async () => {
    await createFlag("evaluated", { environments: { staging: { fallthrough: { variant: "on" } } } });
    const body = { context: { key: "u-1" }, flags: ["evaluated", "never-heard-of"] };
    const evaluated = read(
      await under.request("POST", "/api/v1/environments/staging/evaluate", { body }),
      200,
      evaluateResponse,
    );
    const { flags } = evaluated as { flags: Record<string, object> };
    expect(flags.evaluated).toMatchObject({ value: true, variant: "on", reason: "STATIC" });
    expect(flags["never-heard-of"]).toMatchObject({ value: null, reason: "ERROR", errorCode: "FLAG_NOT_FOUND" });
  });

  it("follows a change at once", async () => {
    const body = { context: { key: "u-1" }, flags: ["evaluated"] };
    await under.request("POST", "/api/v1/environments/staging/flags/evaluated/kill", { body: { reason: "x" } });
    const evaluated = read(
      await under.request("POST", "/api/v1/environments/staging/evaluate", { body }),
      200,
      evaluateResponse,
    );
    expect(evaluated.flags).toMatchObject({ evaluated: { value: false, reason: "DISABLED", detail: "killed" } });
  });

  it("decides every flag if none is named", async () => {
    const evaluated = await under.request("POST", "/api/v1/environments/staging/evaluate", { body: { context: {} } });
    expect(Object.keys(read(evaluated, 200, evaluateResponse).flags).length).toBeGreaterThan(5);
  });
});

describe("segments", () => {
  const path = "/api/v1/segments/staff";
  const when = [{ attribute: "email", op: "ends_with", values: ["@example.com"] }];

  it("are created, read, listed, replaced and deleted", async () => {
    const created = await under.request("PUT", path, { body: { when } });
    expect(read(created, 201, segmentSchema)).toMatchObject({ key: "staff", version: 1 });
    expect(created.headers.get("bunting-position")).toContain("environment=production");
    const one = await under.request("GET", path);
    expect(one.headers.get("etag")).toBe('"1"');
    const listed = read(await under.request("GET", "/api/v1/segments"), 200, segmentPage);
    expect(listed.items).toEqual([one.body]);

    const replaced = await under.request("PUT", path, {
      body: { ...one.body, description: "People who work here" },
      headers: { "if-match": '"1"' },
    });
    expect(read(replaced, 200, segmentSchema)).toMatchObject({ description: "People who work here", version: 2 });
    const deleted = await under.request("DELETE", path, { headers: { "if-match": '"2"' } });
    expect(deleted).toMatchObject({ status: 204, text: "" });
    expect((await under.request("GET", path)).body.code).toBe("segment_not_found");
  });

  it("cannot be deleted while a rule refers to them", async () => {
    await under.request("PUT", path, { body: { when } });
    await createFlag("for-staff", {
      environments: {
        production: { rules: [{ id: "staff", when: [{ segment: "staff" }], serve: { variant: "on" } }] },
      },
    });
    expect((await under.request("DELETE", path)).body.code).toBe("segment_in_use");
  });
});

describe("tokens", () => {
  it("show their secret once, and never again", async () => {
    const created = await under.request("POST", "/api/v1/tokens", {
      body: { kind: "viewer", name: "a dashboard", environments: ["production"], roles: ["SRE"] },
    });
    const { id, secret } = read(created, 201, createTokenResponse);
    expect(created.headers.get("location")).toBe(`/api/v1/tokens/${id}`);
    const self = read(await under.request("GET", "/api/v1/tokens/self", { token: secret }), 200, selfResponse);
    expect(self).toEqual({ id, kind: "viewer", name: "a dashboard", environments: ["production"], roles: ["SRE"] });

    const one = await under.request("GET", `/api/v1/tokens/${id}`);
    expect(read(one, 200, tokenSchema)).toMatchObject({ id, revokedAt: null });
    const listed = await under.request("GET", "/api/v1/tokens");
    expect(read(listed, 200, tokenPage).items.map((token) => token.id)).toContain(id);
    for (const { text } of [one, listed]) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain("digest");
    }

    const revoked = await under.request("DELETE", `/api/v1/tokens/${id}`);
    expect(read(revoked, 200, tokenSchema).revokedAt).not.toBeNull();
    expect((await under.request("GET", "/api/v1/tokens/self", { token: secret })).body.code).toBe("unauthenticated");
    expect((await under.request("DELETE", `/api/v1/tokens/${id}`)).status).toBe(200);
  });
});

describe("audit, export, exposures", () => {
  it("says who changed what, newest first, with filters", async () => {
    await createFlag("audited");
    const page = read(await under.request("GET", "/api/v1/audit?flag=audited"), 200, auditPage);
    expect(page.items[0]).toMatchObject({ action: "create_flag", actor: { kind: "admin", name: "first admin" } });
    const kills = read(await under.request("GET", "/api/v1/audit?action=kill&environment=staging"), 200, auditPage);
    expect(new Set(kills.items.map(({ action, object }) => `${action} ${object.environment}`))).toEqual(
      new Set(["kill staging"]),
    );
  });

  it("pages through the audit without a hole", async () => {
    const numbers: number[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? "limit=7" : `limit=7&cursor=${cursor}`;
      const page: z.output<typeof auditPage> = read(
        await under.request("GET", `/api/v1/audit?${query}`),
        200,
        auditPage,
      );
      numbers.push(...page.items.map(({ number }) => number));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(numbers).toEqual(Array.from({ length: numbers[0] ?? 0 }, (_, index) => (numbers[0] ?? 0) - index));
  });

  it("verifies the chain", async () => {
    const verification = read(await under.request("GET", "/api/v1/audit/verify"), 200, auditVerification);
    expect(verification).toMatchObject({ intact: true, brokenAt: null, damagedRows: [] });
  });

  it("says line by line how far the verification is, to whoever takes lines", async () => {
    const headers = { accept: "application/x-ndjson" };
    for (let count = 0; count < 250; count += 1) await createFlag(`entry-of-the-audit-${count}`);
    const authorization = `Bearer ${under.firstRun.adminToken}`;
    const reply = await fetch(`${under.url}/api/v1/audit/verify`, { headers: { ...headers, authorization } });
    expect(reply.headers.get("content-type")).toBe("application/x-ndjson");
    const lines = (await reply.text()).trimEnd().split("\n");
    const read = lines.map((line) => auditVerificationLine.parse(JSON.parse(line)));
    const last = read.pop();
    const result = last && "result" in last ? last.result : undefined;
    expect(result).toMatchObject({ intact: true, damagedRows: [] });
    const checked = read.map((line) => ("progress" in line ? line.progress.checked : Number.NaN));
    expect(checked).toEqual(checked.toSorted((one, other) => one - other));
    expect(checked.at(-1)).toBeGreaterThan(0);
    expect(read.at(-1)).toMatchObject({ progress: { entries: result?.entries } });
  });

  it("exports what people configured, in a stable order, without secrets", async () => {
    const first = read(await under.request("GET", "/api/v1/export"), 200, exportResponse);
    const second = read(await under.request("GET", "/api/v1/export"), 200, exportResponse);
    expect({ ...second, exportedAt: "" }).toEqual({ ...first, exportedAt: "" });
    expect(first.flags.map(({ key }) => key)).toEqual(first.flags.map(({ key }) => key).sort());
    expect(first.environments.map(({ key }) => key)).toEqual(["development", "production", "staging"]);
    expect(first.configurations).toHaveLength(first.flags.length * 3);
    expect(JSON.stringify(first)).not.toContain("bnt_");
  });

  it("counts exposures", async () => {
    await createFlag("counted");
    const counted = await under.request("GET", "/api/v1/environments/production/flags/counted/exposures?sinceMs=0");
    expect(read(counted, 200, exposuresResponse)).toMatchObject({ flag: "counted", sinceMs: 0, variants: {} });
    expect((await under.request("GET", "/api/v1/environments/production/flags/nobody/exposures")).body.code).toBe(
      "flag_not_found",
    );
  });
});

describe("operations", () => {
  it("lives and is ready without a token", async () => {
    expect(await under.request("GET", "/healthz", { token: null })).toMatchObject({
      status: 200,
      body: { status: "ok" },
    });
    // On a busy machine the event loop may lag at first.
    await expect
      .poll(async () => (await under.request("GET", "/readyz", { token: null })).text)
      .toBe('{"status":"ready"}');
  });

  it("gives metrics to a viewer, with bounded labels", async () => {
    await under.request("GET", "/nobody/knows/this-very-path");
    await under.request("GET", "/api/v1/flags/some-very-flag");
    const viewer = await under.createToken("viewer", null);
    const metrics = await under.request("GET", "/metrics", { token: viewer });
    expect(metrics.headers.get("content-type")).toContain("text/plain");
    expect(metrics.text).toContain('bunting_http_request_seconds_count{method="GET",route="unmatched",status="404"}');
    expect(metrics.text).toContain('bunting_revision{environment="production"}');
    expect(metrics.text).toMatch(/^bunting_ready [01]$/m);
    expect(metrics.text).not.toMatch(/this-very-path|some-very-flag/);
    expect((await under.request("GET", "/metrics", { token: null })).status).toBe(401);
  });

  it("is not ready while its event loop lags, and is again afterwards", async () => {
    const clock = createNodeClock();
    let skipped = 0;
    const late = await startServerUnderTest({
      deps: { clock: { now: () => clock.now(), monotonic: () => clock.monotonic() + skipped } },
    });
    onTestFinished(() => late.dispose());
    const readyz = () => late.request("GET", "/readyz", { token: null });
    await expect.poll(async () => (await readyz()).status).toBe(200);
    // The loop recovers with the next tick, which may come before the question.
    const whileLate = () => {
      skipped += 60_000;
      return readyz();
    };
    await expect.poll(whileLate).toMatchObject({ status: 503, body: { status: "not_ready", reason: "overloaded" } });
    expect((await late.request("GET", "/healthz", { token: null })).status).toBe(200);
    await expect.poll(async () => (await readyz()).status).toBe(200);
  });

  it("leads from the root to the documentation", async () => {
    const root = await under.request("GET", "/", { token: null });
    expect([root.status, root.headers.get("location")]).toEqual([302, "/docs"]);
  });
});
