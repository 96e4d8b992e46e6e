import { createServer as createExporter, type Server as Exporter } from "node:http";
import type { AddressInfo } from "node:net";
import type { Decision, GuardrailVerdict, RolloutPlanInput } from "@bunting/contracts";
import { eventually, startPrometheusProcess, whyNoPrometheus } from "@bunting/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Arm, Conditions } from "./made-up-traffic.ts";
import { accepted, PlannedRollout, readPlan } from "./planned-rollout.ts";
import { startSpedUpServer } from "./sped-up-server.ts";

/*
 * The plans in examples/rollout-plans, word for word, on a real server whose clock is the test's. Evidence arrives over HTTP as an
 * SDK sends it. Prometheus is a real one, and cannot be sped up: it looks at the exporter of the test every second of real time, and a
 * rate over five minutes is one over the seconds that there were.
 */

// Hours of telemetry, ten seconds each, take a minute.
vi.setConfig({ testTimeout: 240_000 });

/** Five past two in Paris, on a Tuesday. */
const TUESDAY = Date.UTC(2026, 10, 24, 13, 5);

const FINE: Arm = {
  errorRate: 0.001,
  latencies: [
    [45, 0.9],
    [180, 0.1],
  ],
  ratios: { conversion: 0.05, trial_activation: 0.03 },
};

/** Nobody complains. */
const HEALTHY: Conditions = {
  canary: FINE,
  control: FINE,
  gauges: {
    cpu_percent: 55,
    memory_percent: 60,
    consensus_rate: 0.85,
    lighthouse_performance: 94,
    lighthouse_accessibility: 97,
    critical_errors: 0,
    reconnect_p95_ms: 180,
    replay_backlog_after_ack: 2,
  },
};

const canaryWith = (arm: Partial<Arm>): Conditions => ({ ...HEALTHY, canary: { ...FINE, ...arm } });
const gaugesWith = (gauges: Record<string, number>): Conditions => ({
  ...HEALTHY,
  gauges: { ...HEALTHY.gauges, ...gauges },
});
const ratiosWith = (ratios: Record<string, number>): Conditions =>
  canaryWith({ ratios: { ...FINE.ratios, ...ratios } });

describe("the plan canary-deployer", () => {
  const start = () => started("canary-deployer");

  it("goes through 1, 5, 25, 50 and 100 %, five minutes each, every step by a pass of its own", async () => {
    const { rollout } = await start();
    const ended = await rollout.untilEnded(60, HEALTHY);
    expect(ended).toMatchObject({ state: "completed", percent: 100 });
    expect(await rollout.configuration()).toMatchObject({ killed: null, fallthrough: { split: { on: 100, off: 0 } } });
    const decisions = await rollout.decisions();
    expect(movesOf(decisions)).toEqual(["promote", "promote", "promote", "promote", "complete"]);
    expectStepsEarned(decisions, [300, 300, 300, 300, 300]);
  });

  it.each([
    ["more than 1 % errors", canaryWith({ errorRate: 0.03 }), "error_rate"],
    ["p99 above 500 ms", canaryWith({ latencies: [[510, 1]] }), "latency_p99"],
    [
      "p99 more than 25 % above the control",
      canaryWith({
        latencies: [
          [45, 0.9],
          [236, 0.1],
        ],
      }),
      "latency_p99",
    ],
  ] as const)("rolls back at the first look at enough requests that shows %s", async (_name, conditions, guardrail) => {
    const { rollout } = await start();
    const ended = await rollout.untilEnded(10, conditions);
    expect(ended).toMatchObject({ state: "rolled_back", stage: 0, percent: 0 });
    const decisions = await rollout.decisions();
    expect(movesOf(decisions)).toEqual(["rollback"]);
    expect(verdictOf(decisions.at(-1), guardrail)).toMatchObject({ verdict: "fail" });
    expect(failedSeconds(decisions, guardrail)).toBe(0);
    expect(ended.because).toContain(guardrail);
  });

  it("neither fails nor passes for what a few requests say", async () => {
    const { rollout } = await start();
    await rollout.during(1.5, canaryWith({ errorRate: 0.2 }));
    expect(await rollout.view()).toMatchObject({ state: "running", percent: 1 });
    expect((await rollout.decisions()).map(({ cause }) => cause)).not.toContain("baking");
  });
});

const lacking = whyNoPrometheus();

describe.skipIf(lacking)(`the plan shop${lacking ? ` (${lacking})` : ""}`, () => {
  const start = () => started("shop", { exporter: "up" });

  it("waits for its window, and goes through 10, 50 and 100 % in 105 minutes", async () => {
    const saturday = Date.UTC(2025, 7, 16, 12);
    const { rollout, server } = await created("shop", { exporter: "up", startsAt: saturday });
    const refused = await rollout.command("start");
    expect(refused.status).toBe(409);
    expect(await refused.json()).toMatchObject({
      code: "outside_release_window",
      detail: expect.stringContaining("Tue 2025-08-19 14:00 Europe/Paris"),
    });
    server.travelTo(Date.UTC(2025, 7, 19, 12));
    await rollout.do("start");

    const ended = await rollout.untilEnded(170, HEALTHY);
    expect(ended).toMatchObject({ state: "completed", percent: 100 });
    const decisions = await rollout.decisions();
    expect(movesOf(decisions)).toEqual(["promote", "promote", "complete"]);
    expectStepsEarned(decisions, [900, 1800, 3600]);
  });

  it("promotes nobody after five, and goes on the next day it may", async () => {
    const { rollout, server } = await created("shop", { exporter: "up", startsAt: Date.UTC(2026, 10, 24, 15, 50) });
    await rollout.do("start");
    await rollout.during(30, HEALTHY);
    expect(await rollout.view()).toMatchObject({
      state: "running",
      percent: 10,
      nextStep: { notBefore: "2026-11-25T13:00:00.000Z" },
    });
    expect((await rollout.decisions()).at(-1)).toMatchObject({ verdict: "hold", cause: "outside_window" });
    server.travelTo(Date.UTC(2026, 10, 25, 13));
    await rollout.until(({ percent }) => percent === 50, 10, HEALTHY);
  });

  it("rolls back at once above 1 % server errors", async () => {
    const { rollout } = await start();
    const ended = await rollout.untilEnded(10, canaryWith({ errorRate: 0.03 }));
    expect(ended).toMatchObject({ state: "rolled_back", percent: 0 });
    const decisions = await rollout.decisions();
    expect(movesOf(decisions)).toEqual(["rollback"]);
    expect(verdictOf(decisions.at(-1), "stop-errors")).toMatchObject({ verdict: "fail" });
    expect(failedSeconds(decisions, "stop-errors")).toBe(0);
  });

  it("rolls back for a p95 above 2 s once that has lasted five minutes", async () => {
    const { rollout } = await start();
    const ended = await rollout.untilEnded(
      20,
      canaryWith({
        latencies: [
          [300, 0.8],
          [2600, 0.2],
        ],
      }),
    );
    expect(ended).toMatchObject({ state: "rolled_back", percent: 0 });
    const decisions = await rollout.decisions();
    expect(movesOf(decisions)).toEqual(["rollback"]);
    expect(verdictOf(decisions.at(-1), "stop-latency")).toMatchObject({ verdict: "fail" });
    expectPatience(failedSeconds(decisions, "stop-latency"), 300);
  });

  it("forgets a p95 above 2 s that passes in time", async () => {
    const { rollout } = await start();
    await rollout.until(
      ({ guardrails }) => guardrails.some(({ id, failingSince }) => id === "stop-latency" && failingSince !== null),
      10,
      canaryWith({
        latencies: [
          [300, 0.8],
          [2600, 0.2],
        ],
      }),
    );
    await rollout.during(
      3,
      canaryWith({
        latencies: [
          [300, 0.8],
          [2600, 0.2],
        ],
      }),
    );
    await rollout.until(({ percent }) => percent === 50, 30, HEALTHY);
    expect(movesOf(await rollout.decisions())).toEqual(["promote"]);
  });

  it("holds at once for a conversion under half the control's, and rolls back if it lasts", async () => {
    const { rollout } = await start();
    const ended = await rollout.untilEnded(60, ratiosWith({ conversion: 0.02 }));
    expect(ended).toMatchObject({ state: "rolled_back", percent: 0 });
    const decisions = await rollout.decisions();
    expect(movesOf(decisions)).toEqual(["rollback"]);
    const held = decisions.find((decision) => verdictOf(decision, "page-conversion")?.verdict === "fail");
    expect(held).toMatchObject({ verdict: "hold", cause: "guardrail_hold", action: "notify" });
    expect(verdictOf(decisions.at(-1), "stop-conversion")).toMatchObject({ verdict: "fail" });
    expectPatience(failedSeconds(decisions, "stop-conversion"), 900);
  });

  it("stops the canary where it is below 1.5 % trial activations", async () => {
    const { rollout } = await start();
    await rollout.during(40, ratiosWith({ trial_activation: 0.008 }));
    expect(await rollout.view()).toMatchObject({ state: "running", percent: 10 });
    const decisions = await rollout.decisions();
    expect(movesOf(decisions)).toEqual([]);
    expect(decisions.at(-1)).toMatchObject({ verdict: "hold", cause: "guardrail_hold" });
    expect(verdictOf(decisions.at(-1), "stop-trials")).toMatchObject({ verdict: "fail" });
  });

  it("rolls back at once for an accessibility below 95", async () => {
    const { rollout } = await start();
    await rollout.during(5, HEALTHY);
    const ended = await rollout.untilEnded(2, gaugesWith({ lighthouse_accessibility: 94 }));
    expect(ended).toMatchObject({ state: "rolled_back", percent: 0 });
    const decisions = await rollout.decisions();
    expect(verdictOf(decisions.at(-1), "stop-accessibility")).toMatchObject({ verdict: "fail", canary: 94 });
    expect(failedSeconds(decisions, "stop-accessibility")).toBe(0);
  });

  it("kills the flag when the consensus is not there", async () => {
    const { rollout, exporter, answers } = await start();
    await rollout.during(5, HEALTHY);
    expect(await rollout.view()).toMatchObject({ state: "running", percent: 10 });
    await stop(exporter);
    await answers('min(up{job="consensus"})', (value) => value === 0);
    const ended = await rollout.untilEnded(4, HEALTHY);
    expect(ended).toMatchObject({ state: "rolled_back", percent: 0 });
    expect((await rollout.decisions()).at(-1)).toMatchObject({ verdict: "fail", action: "kill" });
    expect((await rollout.configuration()).killed).not.toBeNull();
    // Only a person brings it back.
    await rollout.during(2, HEALTHY);
    expect((await rollout.configuration()).killed).not.toBeNull();
    expect(await (await rollout.command("retry")).json()).toMatchObject({ code: "rollout_flag_killed" });
  });

  it("holds while the Prometheus does not answer, and neither passes nor fails", async () => {
    const { rollout, prometheus } = await start();
    await rollout.during(5, HEALTHY);
    await prometheus?.kill();
    await rollout.during(25, HEALTHY);
    expect(await rollout.view()).toMatchObject({ state: "running", percent: 10 });
    expect((await rollout.decisions()).at(-1)).toMatchObject({ verdict: "hold", cause: "measurement_error" });
  });

  it("lets nobody past a gate that is stricter than its stops", async () => {
    const { rollout } = await start();
    await rollout.until(({ percent }) => percent === 50, 30, HEALTHY);
    await rollout.during(35, gaugesWith({ cpu_percent: 80 }));
    expect(await rollout.view()).toMatchObject({ state: "running", percent: 50 });
    const decisions = await rollout.decisions();
    expect(verdictOf(decisions.at(-1), "gate-cpu")).toMatchObject({ verdict: "fail" });
    expect(decisions.at(-1)).toMatchObject({ verdict: "hold", cause: "guardrail_hold" });
  });
});

describe.skipIf(lacking)(`the plan redis-readthrough${lacking ? ` (${lacking})` : ""}`, () => {
  const start = () => started("redis-readthrough", { exporter: "cache" });

  it("does not start before every item of its checklist is ticked", async () => {
    const { rollout, server } = await created("redis-readthrough", { exporter: "cache" });
    const item = "switch-off command ready";
    await accepted(server.request("POST", `/api/v1/rollouts/${rollout.id}/checklist`, { item, ticked: false }));
    const refused = await rollout.command("start");
    expect(await refused.json()).toMatchObject({ code: "checklist_incomplete", detail: expect.stringContaining(item) });
    await accepted(server.request("POST", `/api/v1/rollouts/${rollout.id}/checklist`, { item, ticked: true }));
    await rollout.do("start");
  });

  it("waits for Tech Lead and SRE after 45 minutes, and watches 100 % for two hours", async () => {
    const { rollout, server } = await start();
    const tokenOf = async (name: string, role: string): Promise<string> => {
      const draft = { kind: "operator", name, environments: ["production"], roles: [role] };
      return ((await accepted(server.request("POST", "/api/v1/tokens", draft))) as { secret: string }).secret;
    };
    const lead = await tokenOf("Ada", "tech-lead");
    const sre = await tokenOf("Grace", "sre");
    const intern = await tokenOf("Joe", "intern");

    const asked = await rollout.until(({ state }) => state === "awaiting_approval", 80, HEALTHY);
    expect(asked).toMatchObject({ percent: 10 });
    await rollout.during(5, HEALTHY);
    expect(await rollout.view()).toMatchObject({ state: "awaiting_approval", percent: 10 });
    expect(await (await rollout.command("approve", "", intern)).json()).toMatchObject({
      code: "approval_role_missing",
    });
    await rollout.do("reject", "The dashboards are empty.", sre);
    await rollout.do("approve", "All gates are met.", lead);
    await rollout.during(2, HEALTHY);
    expect(await rollout.view()).toMatchObject({ percent: 10 });
    await rollout.do("approve", "They were mended.", sre);

    const ended = await rollout.untilEnded(300, HEALTHY);
    expect(ended).toMatchObject({ state: "completed", percent: 100 });
    const decisions = await rollout.decisions();
    expect(movesOf(decisions)).toEqual(["ask_approval", "promote", "promote", "complete"]);
    expectStepsEarned(decisions, [2700, 2700, 7200]);
    const { rollout: reported } = await rollout.report();
    expect(reported.signatures.map(({ by, decision }) => `${by}: ${decision}`)).toEqual([
      "Grace: reject",
      "Ada: approve",
      "Grace: approve",
    ]);
  });

  it("rolls back for a reconnection that takes longer than 300 ms for a minute", async () => {
    const { rollout } = await start();
    await rollout.during(5, HEALTHY);
    const ended = await rollout.untilEnded(5, gaugesWith({ reconnect_p95_ms: 350 }));
    expect(ended).toMatchObject({ state: "rolled_back", percent: 0 });
    expectPatience(failedSeconds(await rollout.decisions(), "reconnect-p95"), 60);
  });

  it("rolls back for a backlog that is longer than five events for five seconds", async () => {
    const { rollout } = await start();
    await rollout.during(5, gaugesWith({ replay_backlog_after_ack: 5 }));
    expect(await rollout.view()).toMatchObject({ state: "running", percent: 10 });
    const ended = await rollout.untilEnded(5, gaugesWith({ replay_backlog_after_ack: 6 }));
    expect(ended).toMatchObject({ state: "rolled_back", percent: 0 });
    expectPatience(failedSeconds(await rollout.decisions(), "backlog"), 5);
  });

  it("rolls back for cache errors that last five minutes", async () => {
    const { rollout, cache, answers } = await start();
    await rollout.during(5, HEALTHY);
    cache.errors = 10;
    await answers("sum(rate(game_session_cache_errors_total[5m]))", (value) => value > 0.02);
    const ended = await rollout.untilEnded(10, HEALTHY);
    expect(ended).toMatchObject({ state: "rolled_back", percent: 0 });
    const decisions = await rollout.decisions();
    expect(verdictOf(decisions.at(-1), "cache-errors")).toMatchObject({ verdict: "fail" });
    expectPatience(failedSeconds(decisions, "cache-errors"), 300);
  });

  it("tells people below a hit rate of 0.8, and rolls back below 0.75 for five minutes", async () => {
    const { rollout, cache, answers } = await start();
    const hitRate = String(
      (await readPlan("redis-readthrough")).guardrails?.flatMap((guardrail) =>
        "source" in guardrail && guardrail.id === "hit-rate" ? guardrail.query : [],
      ),
    );
    cache.hits = 780;
    cache.misses = 220;
    await answers(hitRate, (value) => value > 0.75 && value < 0.8);
    await rollout.during(5, HEALTHY);
    expect(await rollout.view()).toMatchObject({ state: "running", percent: 10 });
    const warned = (await rollout.decisions()).at(-1);
    expect(verdictOf(warned, "hit-rate-slo")).toMatchObject({ verdict: "fail", onFail: "alert" });
    expect(verdictOf(warned, "hit-rate")).toMatchObject({ verdict: "pass" });

    cache.hits = 0;
    cache.misses = 2_000;
    await answers(hitRate, (value) => value < 0.7);
    const ended = await rollout.untilEnded(10, HEALTHY);
    expect(ended).toMatchObject({ state: "rolled_back", percent: 0 });
    const decisions = await rollout.decisions();
    expect(verdictOf(decisions.at(-1), "hit-rate")).toMatchObject({ verdict: "fail" });
    expectPatience(failedSeconds(decisions, "hit-rate"), 300);
  });
});

// --- the parts of a scenario

interface Outside {
  /** What an exporter shows: a process that is up, or the counters of a cache. Left out: there is no Prometheus. */
  readonly exporter?: "up" | "cache";
  readonly startsAt?: number;
}

/** Added to the counters with every scrape. */
interface Cache {
  hits: number;
  misses: number;
  errors: number;
}

async function created(name: string, { exporter: kind, startsAt = TUESDAY }: Outside = {}) {
  const plan: RolloutPlanInput = await readPlan(name);
  const cache: Cache = { hits: 95, misses: 5, errors: 0 };
  const exporter = createExporter();
  const prometheus = kind === undefined ? null : await startPrometheus(exporter, cache);
  const answers = (query: string, isAwaited: (value: number) => boolean) =>
    eventually(
      async () => {
        const response = await fetch(`${prometheus?.url}/api/v1/query?query=${encodeURIComponent(query)}`);
        const { data } = (await response.json()) as { data: { result: readonly { value: [number, string] }[] } };
        return isAwaited(Number(data.result[0]?.value[1] ?? Number.NaN));
      },
      { withinMs: 30_000, everyMs: 100, what: `Prometheus to answer ${query}` },
    );
  for (const guardrail of plan.guardrails ?? []) {
    if ("source" in guardrail && prometheus) await answers(guardrail.query, (value) => !Number.isNaN(value));
  }
  const server = await startSpedUpServer({ startsAt, ...(prometheus && { prometheusUrl: prometheus.url }) });
  onTestFinished(() => server.close());
  const rollout = await PlannedRollout.create(server, plan);
  return { server, rollout, prometheus, exporter, cache, answers };
}

async function started(name: string, outside: Outside = {}) {
  const scenario = await created(name, outside);
  await scenario.rollout.do("start");
  return scenario;
}

async function startPrometheus(exporter: Exporter, cache: Cache) {
  const totals = { hits: 0, misses: 0, errors: 0 };
  exporter.on("request", (_request, response) => {
    for (const name of ["hits", "misses", "errors"] as const) totals[name] += cache[name];
    const lines = Object.entries(totals).map(([name, total]) => `game_session_cache_${name}_total ${total}\n`);
    response.setHeader("content-type", "text/plain; version=0.0.4").end(lines.join(""));
  });
  await new Promise<void>((listening) => exporter.listen(0, "127.0.0.1", listening));
  onTestFinished(() => stop(exporter));
  const { port } = exporter.address() as AddressInfo;
  const prometheus = await startPrometheusProcess(`127.0.0.1:${port}`, { job: "consensus" });
  onTestFinished(() => prometheus.dispose());
  return prometheus;
}

function stop(exporter: Exporter): Promise<void> {
  return new Promise((stopped) => {
    exporter.close(() => stopped());
    exporter.closeAllConnections();
  });
}

// --- what a log says

/** What was done to traffic and people, without what was only told. */
function movesOf(decisions: readonly Decision[]): readonly string[] {
  return decisions
    .filter(({ by }) => by === "controller")
    .flatMap(({ action }) => (action === "none" || action === "notify" ? [] : action));
}

function verdictOf(decision: Decision | undefined, guardrail: string): GuardrailVerdict | undefined {
  return decision?.guardrails.find(({ id }) => id === guardrail);
}

/** How long a guardrail had been failing when the last decision was taken. */
function failedSeconds(decisions: readonly Decision[], guardrail: string): number {
  const last = decisions.at(-1);
  const since = verdictOf(last, guardrail)?.failingSince;
  return last && since ? (Date.parse(last.at) - Date.parse(since)) / 1000 : Number.NaN;
}

/** It waits as long as it is told to, and acts at the first look after that. */
function expectPatience(failed: number, forSeconds: number): void {
  expect(failed).toBeGreaterThanOrEqual(forSeconds);
  expect(failed).toBeLessThan(forSeconds + 75);
}

/** Each stage is left by a pass of its own, after as much evidence as it asks for. */
function expectStepsEarned(decisions: readonly Decision[], bakeSeconds: readonly number[]): void {
  const steps = decisions.filter(({ action }) => action === "promote" || action === "complete");
  expect(steps.map(({ stage, verdict, forced }) => ({ stage, verdict, forced }))).toEqual(
    bakeSeconds.map((_, stage) => ({ stage, verdict: "pass", forced: false })),
  );
  for (const [stage, seconds] of bakeSeconds.entries()) {
    expect(steps[stage]?.bakedSeconds).toBeGreaterThanOrEqual(seconds);
  }
}
