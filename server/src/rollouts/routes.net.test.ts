import {
  decisionPage,
  decisionRecord,
  exportResponse,
  rolloutChange,
  rolloutPage,
  rolloutReport,
  rolloutView,
} from "@bunting/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { z } from "zod";
import {
  type Reply,
  type RequestOptions,
  type ServerUnderTest,
  startServerUnderTest,
} from "../http/server-under-test.ts";

let under: ServerUnderTest;
beforeAll(async () => {
  under = await startServerUnderTest();
});
afterAll(() => under.dispose());

const PLAN = {
  canary: "on",
  control: "off",
  stages: [{ percent: 10 }, { percent: 100 }],
  guardrails: [{ metric: "error_rate", max: 0.01 }],
};

/** The answer as its schema reads it. Fails with the body where the status is another. */
function read<Schema extends z.ZodType>({ status, text }: Reply, expected: number, schema: Schema): z.output<Schema> {
  expect({ status, text }).toMatchObject({ status: expected });
  return schema.parse(JSON.parse(text));
}

/** /openapi.json, as far as it tells of deletions. */
interface Documented {
  readonly paths: Readonly<
    Record<
      string,
      { delete: { responses: Readonly<Record<string, { content: Readonly<Record<string, { examples?: object }>> }>> } }
    >
  >;
}

let flagCount = 0;
async function create(plan: object = {}): Promise<string> {
  const flag = `flag-${++flagCount}`;
  await under.request("POST", "/api/v1/flags", { body: { key: flag } });
  const created = await under.request("POST", `/api/v1/environments/production/flags/${flag}/rollouts`, {
    body: { ...PLAN, ...plan },
  });
  return read(created, 201, rolloutView).id;
}

const post = (id: string, command: string, options: RequestOptions = {}) =>
  under.request("POST", `/api/v1/rollouts/${id}/${command}`, { body: {}, ...options });
const get = (path: string, options: RequestOptions = {}) => under.request("GET", `/api/v1/rollouts${path}`, options);

describe("GA-220 rollouts over HTTP", () => {
  it("keep their flag and their environment from being archived, as the documentation of both says", async () => {
    await post(await create(), "start");
    const { paths } = JSON.parse((await under.request("GET", "/openapi.json", { token: null })).text) as Documented;
    const ways = [
      ["/api/v1/flags/{flag}", `/api/v1/flags/flag-${flagCount}`],
      ["/api/v1/environments/{environment}", "/api/v1/environments/production"],
    ] as const;
    for (const [path, target] of ways) {
      expect((await under.request("DELETE", target)).body).toMatchObject({ status: 409, code: "rollout_exists" });
      const { examples } = paths[path]?.delete.responses["409"]?.content["application/problem+json"] ?? {};
      expect(Object.keys(examples ?? {})).toContain("rollout_exists");
    }
  });

  it("can be aborted though their flag or their environment was archived before they began", async () => {
    await under.request("POST", "/api/v1/environments", { body: { key: "closing", name: "Closing" } });
    const ofFlag = await create();
    const path = `/api/v1/environments/closing/flags/flag-${flagCount}/rollouts`;
    const ofEnvironment = read(await under.request("POST", path, { body: PLAN }), 201, rolloutView).id;
    await under.request("DELETE", "/api/v1/environments/closing");
    expect((await post(ofEnvironment, "start")).body).toMatchObject({ code: "environment_archived" });
    expect((await post(ofEnvironment, "abort")).body).toMatchObject({ rollout: { state: "aborted" } });
    await under.request("DELETE", `/api/v1/flags/flag-${flagCount}`);
    expect((await post(ofFlag, "start")).body).toMatchObject({ code: "flag_archived" });
    expect((await post(ofFlag, "abort")).body).toMatchObject({ rollout: { state: "aborted" } });
  });

  it("are written, listed, read with their version, and exported", async () => {
    const id = await create();
    const one = await get(`/${id}`);
    expect(read(one, 200, rolloutView)).toMatchObject({ id, state: "pending", nextStep: { step: "none" } });
    expect(one.headers.get("etag")).toBe('"1"');

    const path = `/api/v1/environments/production/flags/flag-${flagCount}/rollouts`;
    expect(read(await under.request("GET", path), 200, rolloutPage).items.map((each) => each.id)).toEqual([id]);
    expect(read(await get("?state=pending&environment=production&limit=200"), 200, rolloutPage).items).toContainEqual(
      expect.objectContaining({ id }),
    );
    expect(read(await get("?state=completed"), 200, rolloutPage).items).toEqual([]);
    expect(read(await get("?environment=staging"), 200, rolloutPage).items).toEqual([]);
    const exported = read(await under.request("GET", "/api/v1/export"), 200, exportResponse);
    expect(exported.rollouts.map((each) => each.id)).toContain(id);
  });

  it("take commands, and answer with the log's word and who has applied the change", async () => {
    const id = await create();
    const started = await post(id, "start", { body: { comment: "Tuesday" }, headers: { "if-match": '"1"' } });
    const change = read(started, 200, rolloutChange);
    expect(change).toMatchObject({
      rollout: { state: "running", percent: 10 },
      decision: { action: "start", revision: change.position.revision },
      receipt: { revision: change.position.revision, complete: true },
    });
    expect(started.headers.get("etag")).toBe('"2"');
    expect((await post(id, "start", { headers: { "if-match": '"1"' } })).body.code).toBe("version_mismatch");

    const paused = read(await post(id, "pause"), 200, rolloutChange);
    expect(paused).toMatchObject({ rollout: { state: "paused" }, decision: { revision: null }, receipt: null });
    const ended = read(await post(id, "rollback?waitMs=1000"), 200, rolloutChange);
    expect(ended).toMatchObject({ rollout: { state: "rolled_back", percent: 0 }, receipt: { complete: true } });
  });

  it("are repeated under one Idempotency-Key without being done twice", async () => {
    const id = await create();
    const headers = { "idempotency-key": `start-${id}` };
    const first = await post(id, "start", { headers });
    const second = await post(id, "start", { headers });
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    expect((await post(id, "start")).body.code).toBe("transition_not_allowed");
  });

  it("have their checklist ticked by name", async () => {
    const id = await create({ checklist: ["Dashboards"] });
    expect((await post(id, "start")).body.code).toBe("checklist_incomplete");
    const ticked = read(await post(id, "checklist", { body: { item: "Dashboards" } }), 200, rolloutView);
    expect(ticked.checklist).toMatchObject([{ item: "Dashboards", by: "first admin" }]);
    expect((await post(id, "start")).status).toBe(200);
  });

  it("let nobody see or touch those of an environment that is not the token's", async () => {
    const id = await create();
    const token = await under.createToken("operator", ["staging"]);
    const replies = [
      await get(`/${id}`, { token }),
      await get(`/${id}/decisions`, { token }),
      await get(`/${id}/report`, { token }),
      await post(id, "start", { token }),
      await post(id, "checklist", { token, body: { item: "x" } }),
    ];
    expect(replies.map(({ body }) => body.code)).toEqual(Array(5).fill("rollout_not_found"));
    expect(read(await get("", { token }), 200, rolloutPage).items).toEqual([]);
  });
});

describe("GA-221 decisions over HTTP", () => {
  it("page from the newest to the oldest, and each is read with its inputs", async () => {
    const id = await create();
    for (const command of ["start", "pause", "resume", "pause", "resume", "abort"]) await post(id, command);
    const people = async (query: string) => {
      const actions: string[] = [];
      for (let cursor: string | null = ""; cursor !== null; ) {
        const more: string = cursor === "" ? "" : `&cursor=${cursor}`;
        const page: z.infer<typeof decisionPage> = read(
          await get(`/${id}/decisions?limit=2${query}${more}`),
          200,
          decisionPage,
        );
        actions.push(...page.items.filter(({ by }) => by !== "controller").map(({ action }) => action));
        cursor = page.nextCursor;
      }
      return actions;
    };
    const told = ["abort", "resume", "pause", "resume", "pause", "start"];
    expect(await people("")).toEqual(told);
    expect(await people("&only=changes")).toEqual(told);
    expect(await people("&attempt=2")).toEqual([]);

    const page = read(await get(`/${id}/decisions?limit=200`), 200, decisionPage);
    const start = page.items.find(({ action }) => action === "start");
    const record = read(await get(`/${id}/decisions/${start?.id}`), 200, decisionRecord);
    expect(record).toMatchObject({ ...start, inputs: { kind: "command", command: { type: "start" } } });
    expect((await get(`/${id}/decisions/${id}.999`)).body.code).toBe("decision_not_found");
    expect((await get(`/${id}/decisions/nonsense`)).body.code).toBe("decision_not_found");
    expect((await get(`/${id}/decisions?cursor=MXg`)).status).toBe(400);
  });
});

describe("GA-222 the report over HTTP", () => {
  it("is JSON, or Markdown where that is asked for", async () => {
    const id = await create({ links: { dashboard: "https://grafana.example.com/d/1" } });
    await post(id, "start");
    await post(id, "promote", { body: { comment: "Support | agrees\n# not a heading" } });
    const report = read(await get(`/${id}/report`), 200, rolloutReport);
    expect(report.stages).toMatchObject([
      { stage: 0, percent: 10, outcome: "promoted" },
      { stage: 1, percent: 100, outcome: null },
    ]);
    const asked = [
      await get(`/${id}/report?format=md`),
      await get(`/${id}/report`, { headers: { accept: "text/markdown, */*;q=0.1" } }),
    ];
    for (const { headers, text } of asked) {
      expect(headers.get("content-type")).toBe("text/markdown; charset=utf-8");
      expect(text).toContain(`# Rollout of flag-${flagCount} in production`);
      expect(text).toContain("Support \\| agrees \\# not a heading");
      expect(text.match(/^# /gm)).toHaveLength(1);
    }
  });
});
