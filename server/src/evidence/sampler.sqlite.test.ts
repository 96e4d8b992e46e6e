import type { Rollout } from "@bunting/contracts";
import { createFakeTime } from "@bunting/testkit";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLogger } from "../ops/log.ts";
import { aRollout, createEvidenceRig, type EvidenceRig, NOON } from "./evidence-rig.ts";
import type { PrometheusSource, QueryResult } from "./prometheus.ts";
import { type Sampler, startSampler } from "./sampler.ts";

/** Answers when the test says so. */
class HeldPrometheus implements PrometheusSource {
  readonly asked: { query: string; answer: (result: QueryResult) => void; signal: AbortSignal }[] = [];

  query(query: string, signal: AbortSignal): Promise<QueryResult> {
    return new Promise((answer) => this.asked.push({ query, answer, signal }));
  }

  get queries(): string[] {
    return this.asked.map(({ query }) => query);
  }
}

let rig: EvidenceRig;
let live: Rollout[];
let prometheus: HeldPrometheus;
let sampler: Sampler;
let registry: Registry;

const start = (source: PrometheusSource | null) => {
  registry = new Registry();
  sampler = startSampler({
    live: () => live,
    prometheus: source,
    telemetry: rig.telemetry,
    clock: rig.time.clock,
    scheduler: rig.time.scheduler,
    logger: createLogger("error", () => {}),
    registry,
  });
};

beforeEach(() => {
  rig = createEvidenceRig(createFakeTime(NOON));
  live = [
    aRollout({
      analysisIntervalSeconds: 30,
      guardrails: [{ source: "prometheus", query: "errors", max: 0.02 }],
      stages: [
        { percent: 5 },
        { percent: 50, guardrails: [{ source: "prometheus", query: "lag", max: 9, id: "lag" }] },
      ],
    }),
  ];
  prometheus = new HeldPrometheus();
  start(prometheus);
});
afterEach(() => {
  sampler.stop();
  rig.dispose();
});

const samples = () => Object.fromEntries(live.flatMap((rollout) => [...rig.evidence.samples(rollout)]));
const settle = (ms: number) => rig.time.advanceAsync(ms);

describe("TE-111 guardrails on Prometheus are sampled", () => {
  it("from the start on and once per analysis interval, the value at the time of the question", async () => {
    await settle(1_000);
    expect(prometheus.queries).toEqual(["errors"]);
    await settle(2_000);
    prometheus.asked[0]?.answer({ value: 0.01 });
    await settle(0);
    expect(samples()).toEqual({ "prometheus-1": { at: NOON + 1_000, value: 0.01 } });
    await settle(26_999);
    expect(prometheus.queries).toHaveLength(1);
    await settle(1_001);
    expect(prometheus.queries).toHaveLength(2);
  });

  it("one query at a time for each, however slow", async () => {
    await settle(10 * 60_000);
    expect(prometheus.queries).toEqual(["errors"]);
    prometheus.asked[0]?.answer({ error: "Prometheus took more than 5 s" });
    await settle(1_000);
    expect(samples()).toEqual({ "prometheus-1": { at: NOON + 1_000, error: "Prometheus took more than 5 s" } });
    expect(prometheus.queries).toHaveLength(2);
  });

  it("an answer without a value is kept as one", async () => {
    await settle(1_000);
    prometheus.asked[0]?.answer({ value: null });
    await settle(0);
    expect(samples()).toEqual({ "prometheus-1": { at: NOON + 1_000, value: null } });
    expect(await registry.metrics()).toContain('bunting_prometheus_queries_total{outcome="no_data"} 1');
  });

  it("by the stage, and no longer than the rollout is under way", async () => {
    await settle(1_000);
    for (const { answer } of prometheus.asked) answer({ value: 1 });
    live = live.map((rollout) => ({ ...rollout, stage: 1 }));
    await settle(1_000);
    expect(prometheus.queries).toEqual(["errors", "lag"]);
    live = [];
    await settle(10 * 60_000);
    expect(prometheus.queries).toHaveLength(2);
  });

  it("sixteen at once, and the rest as soon as there is room", async () => {
    const [rollout] = live;
    live = Array.from({ length: 20 }, (_, index) => ({ ...aRollout(), ...rollout, id: `r${index}` }));
    await settle(5_000);
    expect(prometheus.queries).toHaveLength(16);
    for (const { answer } of prometheus.asked) answer({ value: 1 });
    await settle(1_000);
    expect(prometheus.queries).toHaveLength(20);
  });

  it("in turn, where a slow Prometheus leaves no time for all: none is passed over for ever", async () => {
    // Each answer takes five seconds, so in an interval of 30 there is time for 96.
    const [rollout] = live;
    live = Array.from({ length: 120 }, (_, index) => ({ ...aRollout(), ...rollout, id: `r${index}` }));
    let answered = 0;
    for (let second = 0; second < 120; second += 5) {
      await settle(5_000);
      for (const { answer } of prometheus.asked.slice(answered)) answer({ value: 1 });
      answered = prometheus.asked.length;
      await settle(0);
    }
    const unmeasured = live.filter((one) => rig.evidence.samples(one).size === 0);
    expect(unmeasured.map(({ id }) => id)).toEqual([]);
  });

  it("as failed where no Prometheus is configured", async () => {
    sampler.stop();
    start(null);
    await settle(1_000);
    expect(samples()).toEqual({
      "prometheus-1": { at: NOON + 1_000, error: expect.stringContaining("BUNTING_PROMETHEUS_URL") },
    });
  });

  it("not after the end: what is under way is given up", async () => {
    await settle(1_000);
    sampler.stop();
    expect(prometheus.asked[0]?.signal.aborted).toBe(true);
    prometheus.asked[0]?.answer({ value: 1 });
    await settle(60_000);
    expect(samples()).toEqual({});
    expect(prometheus.queries).toHaveLength(1);
  });
});
