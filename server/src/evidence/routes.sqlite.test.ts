import {
  type EnvironmentKey,
  evidencePage,
  gaugeValue,
  type Rollout,
  rolloutMetrics,
  unknownNames,
} from "@bunting/contracts";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { z } from "zod";
import { createApp } from "../http/app.ts";
import type { Actor } from "../ledger/command.ts";
import type { State } from "../ledger/state.ts";
import { createLogger } from "../ops/log.ts";
import { createMetrics } from "../ops/metrics.ts";
import {
  aCell,
  aRollout,
  createEvidenceRig,
  type EvidenceRig,
  NOON,
  NOON_INTERVAL,
  OFF,
  PRODUCTION,
  STAGING,
} from "./evidence-rig.ts";
import { evidenceRoutes } from "./routes.ts";

const MINUTE_MS = 60_000;
const FAILING = { outcomeCount: 500, errorCount: 60, unitErrorCount: 60, groups: [] };
const HEALTHY = { ...FAILING, errorCount: 10, unitErrorCount: 10 };
const HOUR_MS = 60 * MINUTE_MS;

let rig: EvidenceRig;
let actor: Actor;
let archivedAt: string | null;
let ask: (path: string, body?: unknown) => Promise<{ status: number; body: { code?: string } }>;

beforeEach(() => {
  rig = createEvidenceRig(createFakeTime(NOON));
  actor = { token: "t", kind: "operator", name: "", environments: null, requestId: "" } as unknown as Actor;
  archivedAt = null;
  const environmentState = (key: EnvironmentKey) => ({ key, archivedAt });
  const state = () =>
    ({
      environments: new Map([PRODUCTION, STAGING].map((key) => [key, environmentState(key)])),
      rollouts: new Map([...rig.rollouts].map(([id, rollout]) => [id, { rollout }])),
    }) as unknown as State;
  const app = createApp({
    authenticate: () => ({ ok: true, actor }),
    state,
    clock: rig.time.clock,
    random: createSeededRandom(1),
    logger: createLogger("error", () => {}),
    metrics: createMetrics(new Registry()),
  });
  evidenceRoutes(app, {
    ledger: {
      get state() {
        return state();
      },
    },
    telemetry: rig.telemetry,
    clock: rig.time.clock,
    scheduler: { soon: setImmediate },
  });
  app.finish();
  ask = async (path, body) => {
    const response = await app.hono.request(`/api/v1${path}`, {
      ...(body !== undefined && {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    });
    return { status: response.status, body: (await response.json()) as { code?: string } };
  };
});
afterEach(() => rig.dispose());

/** Checked against the schema that is documented. */
async function read<Schema extends z.ZodType>(schema: Schema, path: string, body?: unknown): Promise<z.output<Schema>> {
  const answer = await ask(path, body);
  expect(answer).toMatchObject({ status: 200 });
  return schema.parse(answer.body);
}

describe("TE-105 metrics of a rollout", () => {
  const metrics = (query = "") => read(rolloutMetrics, `/rollouts/r1/metrics${query}`);

  it("are shown at three resolutions that say the same", async () => {
    let exposures = 0;
    for (let minute = 0; minute < 50; minute += 1) {
      const interval = Math.floor(rig.time.clock.now() / 10_000);
      await rig.report({
        evidence: [aCell({ interval, ...FAILING }), aCell({ interval, variant: OFF, ...HEALTHY })],
      });
      exposures += 10;
      await rig.time.advanceAsync(MINUTE_MS - 50);
    }
    const [tens, minutes, hours] = [await metrics(), await metrics("?resolution=1m"), await metrics("?resolution=1h")];
    for (const one of [tens, minutes, hours]) {
      expect(one).toMatchObject({ rollout: "r1", attempt: 1, canary: "on", control: "off", latencyErrorRate: 0.01 });
      expect(Object.keys(one.variants).sort()).toEqual(["off", "on"]);
      for (const { total } of Object.values(one.variants)) expect(total.exposureCount).toBe(exposures);
      expect(one.rateRatio.points.at(-1)).toMatchObject({ estimate: hours.rateRatio.points.at(-1)?.estimate });
    }
    expect([tens, minutes, hours].map((one) => one.resolutionSeconds)).toEqual([10, 60, 3600]);
    const pointCount = (one: typeof tens) => Object.values(one.variants).map(({ points }) => points.length);
    expect([tens, minutes, hours].map(pointCount)).toEqual([
      [50, 50],
      [50, 50],
      [1, 1],
    ]);
    expect(tens.rateRatio.points.length).toBe(50);
    expect(hours.rateRatio.points[0]?.low ?? 0).toBeGreaterThan(1);
  });

  it("have a rate of the time since the attempt began, not of the hour in which it did", async () => {
    await rig.report({ evidence: [aCell()] });
    await rig.time.advanceAsync(90_000);
    const { from, to, variants } = await metrics();
    expect([from, to].map((instant) => Date.parse(instant) - NOON)).toEqual([0, 100_000]);
    expect(variants["on" as keyof typeof variants]?.total).toMatchObject({
      exposureCount: 10,
      exposuresPerSecond: 0.1,
    });
  });

  it("compare by what came before the span", async () => {
    for (let time = 0; time < 5; time += 1) {
      await rig.report({ evidence: [aCell(FAILING), aCell({ variant: OFF, ...HEALTHY })] });
    }
    await rig.time.advanceAsync(3 * HOUR_MS);
    const interval = Math.floor(rig.time.clock.now() / 10_000);
    await rig.report({ evidence: [aCell({ interval }), aCell({ interval, variant: OFF })] });
    const { rateRatio, variants } = await metrics();
    expect(variants["on" as keyof typeof variants]?.total.outcomeCount).toBe(9);
    expect(rateRatio.points).toHaveLength(1);
    expect(rateRatio.points[0]?.low ?? 0).toBeGreaterThan(2);
  });

  it("of an attempt that ended are those of its end", async () => {
    await rig.report({ evidence: [aCell()] });
    rig.rollouts.set("r1", aRollout({}, { attempt: 2 }));
    await rig.time.advanceAsync(5 * HOUR_MS);
    const first = await metrics("?attempt=1");
    expect(first.variants["on" as keyof typeof first.variants]?.points).toHaveLength(1);
    expect((await metrics()).variants).toEqual({});
  });

  const lateBy = async (hours: number) => {
    rig.time.jumpWallClock(hours * HOUR_MS);
    await rig.time.advanceAsync(10 * MINUTE_MS);
  };

  it("are hours where minutes are kept no more", async () => {
    await rig.report({ evidence: [aCell()] });
    await lateBy(72);
    const [from, to] = [NOON - HOUR_MS, NOON + 11 * HOUR_MS].map((at) => new Date(at).toISOString());
    const { resolutionSeconds, variants } = await metrics(`?from=${from}&to=${to}`);
    expect(resolutionSeconds).toBe(3_600);
    expect(variants["on" as keyof typeof variants]?.total.exposureCount).toBe(10);
  });

  it("are hours where the evidence is kept no more", async () => {
    await rig.report({ evidence: [aCell()] });
    rig.rollouts.set("r1", aRollout({}, { state: "completed", endedAt: new Date(NOON + HOUR_MS).toISOString() }));
    await lateBy(40 * 24);
    const { resolutionSeconds, to, variants } = await metrics();
    expect(resolutionSeconds).toBe(3_600);
    expect(Date.parse(to)).toBe(NOON + 2 * HOUR_MS);
    expect(variants["on" as keyof typeof variants]?.total.exposureCount).toBe(10);
  });

  it("begin with the first whole hour whose minutes are kept, and compare by what came before all the same", async () => {
    for (let time = 0; time < 5; time += 1) {
      await rig.report({ evidence: [aCell(FAILING), aCell({ variant: OFF, ...HEALTHY })] });
    }
    await lateBy(20);
    const interval = Math.floor(rig.time.clock.now() / 10_000);
    await rig.report({ evidence: [aCell({ interval }), aCell({ interval, variant: OFF })] });
    const endedAt = new Date(rig.time.clock.now()).toISOString();
    rig.rollouts.set("r1", aRollout({}, { state: "completed", endedAt }));
    await lateBy(20);
    const { from, rateRatio } = await metrics("?resolution=1m");
    expect(Date.parse(from)).toBe(NOON + 16 * HOUR_MS);
    expect(rateRatio.points).toHaveLength(1);
    expect(rateRatio.points[0]?.low ?? 0).toBeGreaterThan(2);
  });

  it("are kept as minutes for a day and as hours for ninety", async () => {
    await rig.report({ evidence: [aCell()] });
    const windows = (windowMs: number) =>
      rig.telemetry.withEvidence((store) =>
        store.seriesPage({ rollout: "r1", attempt: 1 }, windowMs, {
          after: null,
          through: Number.MAX_SAFE_INTEGER,
          limit: 10,
        }),
      )?.length;
    const later = async (hours: number) => {
      rig.time.jumpWallClock(hours * HOUR_MS);
      await rig.time.advanceAsync(MINUTE_MS);
      return [windows(MINUTE_MS), windows(HOUR_MS)];
    };
    expect(await later(24)).toEqual([1, 1]);
    expect(await later(2)).toEqual([0, 1]);
    expect(await later(88 * 24)).toEqual([0, 1]);
    expect(await later(48)).toEqual([0, 0]);
  });
});

describe("TE-105 evidence of a rollout", () => {
  it("pages through every row once, and names what a decision saw", async () => {
    for (let step = 0; step < 8; step += 1) {
      const interval = NOON_INTERVAL + step;
      await rig.report({ evidence: [aCell({ interval }), aCell({ interval, variant: OFF }), aCell()] });
      await rig.time.advanceAsync(10_000 - 50);
    }
    const index = rig.evidence.through() - 3;
    const all = await read(evidencePage, `/rollouts/r1/evidence?limit=200`);
    const paged: unknown[] = [];
    let cursor = "";
    do {
      const page = await read(evidencePage, `/rollouts/r1/evidence?limit=3${cursor}`);
      paged.push(...page.items);
      cursor = page.nextCursor === null ? "" : `&cursor=${page.nextCursor}`;
    } while (cursor !== "");
    expect(paged).toEqual(all.items);
    expect(all.items.reduce((sum, { exposureCount }) => sum + exposureCount, 0)).toBe(8 * 30);
    const seen = await read(evidencePage, `/rollouts/r1/evidence?limit=200&through=${index}`);
    expect(seen.items).toEqual(all.items.filter(({ availableAt }) => availableAt <= index));
    expect(seen.items.length).toBeLessThan(all.items.length);
  });

  it.each(["x", Buffer.from("1[1,2]").toString("base64url"), Buffer.from("1{").toString("base64url")])(
    "refuses the cursor %s",
    async (cursor) => {
      expect((await ask(`/rollouts/r1/evidence?cursor=${cursor}`)).body.code).toBe("invalid_request");
    },
  );
});

describe("TE-105 who may see a rollout", () => {
  it.each(["metrics", "evidence"])("its %s are not there for a token of another environment", async (what) => {
    expect((await ask(`/rollouts/r1/${what}`)).status).toBe(200);
    actor = { ...actor, environments: [STAGING] };
    expect(await ask(`/rollouts/r1/${what}`)).toMatchObject({ status: 404, body: { code: "rollout_not_found" } });
    expect(await ask(`/rollouts/r9/${what}`)).toMatchObject({ status: 404, body: { code: "rollout_not_found" } });
  });

  it.each(["metrics", "evidence"])("its %s are of attempts that were begun", async (what) => {
    expect(await ask(`/rollouts/r1/${what}?attempt=2`)).toMatchObject({
      status: 400,
      body: { code: "invalid_request" },
    });
  });

  it.each(["metrics", "evidence"])("its %s say so when they cannot be read", async (what) => {
    rig.telemetry.close();
    expect((await ask(`/rollouts/r1/${what}`)).body.code).toBe("storage_unknown_outcome");
  });
});

describe("TE-103 a gauge that is posted", () => {
  const path = "/environments/production/gauges";

  it("is what guardrails on it read", async () => {
    const rollout: Rollout = aRollout({ guardrails: [{ metric: "lighthouse", kind: "gauge", min: 90 }] });
    const posted = await read(gaugeValue, path, { metric: "lighthouse", value: 93.5 });
    expect(posted).toEqual({
      environment: "production",
      metric: "lighthouse",
      value: 93.5,
      at: new Date(NOON).toISOString(),
    });
    expect(rig.evidence.samples(rollout).get("lighthouse")).toEqual({ at: NOON, value: 93.5 });
    expect(rig.evidence.gauges(STAGING, "lighthouse", 0)).toEqual([]);
  });

  it.each([
    ["no name", { metric: "Lighthouse!", value: 1 }, "invalid_request"],
    ["no number", { metric: "lighthouse", value: "many" }, "invalid_request"],
    ["something more", { metric: "lighthouse", value: 1, at: 0 }, "invalid_request"],
  ])("is refused with %s", async (_title, body, code) => {
    expect((await ask(path, body)).body.code).toBe(code);
  });

  it("is refused by an archived environment, beyond the hundredth name, and by a database that fails", async () => {
    for (let index = 0; index < 100; index += 1) await ask(path, { metric: `g_${index}`, value: index });
    expect((await ask(path, { metric: "g_100", value: 1 })).body.code).toBe("limit_exceeded");
    expect((await ask(path, { metric: "g_1", value: 1 })).status).toBe(200);
    expect((await ask("/environments/staging/gauges", { metric: "g_100", value: 1 })).status).toBe(200);
    archivedAt = "2026-01-01T00:00:00.000Z";
    expect((await ask(path, { metric: "g_1", value: 1 })).body.code).toBe("environment_archived");
    archivedAt = null;
    rig.telemetry.close();
    expect((await ask(path, { metric: "g_1", value: 1 })).body.code).toBe("storage_unknown_outcome");
  });
});

describe("TE-106 names that nobody knows", () => {
  it("are listed with how often and when they were used last", async () => {
    await rig.report({
      cells: [
        { flag: "ghost", variant: "on", exposures: 3 },
        { flag: "redis", variant: "blue", exposures: 4 },
      ],
      evidence: [aCell({ rollout: "gone" })],
    });
    const at = new Date(NOON).toISOString();
    expect(await read(unknownNames, "/environments/production/unknown")).toEqual({
      environment: "production",
      flags: [{ flag: "ghost", evaluationCount: 3, lastSeenAt: at }],
      variants: [{ flag: "redis", variant: "blue", exposureCount: 4, lastSeenAt: at }],
      refusedEvidence: { unknown_rollout: 1 },
    });
    expect(await read(unknownNames, "/environments/staging/unknown")).toMatchObject({ flags: [], variants: [] });
  });
});
