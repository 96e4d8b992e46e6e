import type { Rollout } from "@bunting/contracts";
import { guardrailsOfStage } from "@bunting/gating";
import { Counter, Histogram, type Registry } from "prom-client";
import type { Cancel, Clock, Logger, Scheduler } from "../ports.ts";
import type { SampleRow } from "../telemetry/evidence-store.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { PrometheusSource, QueryResult } from "./prometheus.ts";

/*
 * Asks Prometheus for what the guardrails of live rollouts need, at their analysis interval, and keeps the answers. Whoever
 * judges reads the latest one: he waits for no query, and a slow Prometheus delays no judgement.
 */

export interface SamplerDeps {
  /** Those under way. */
  readonly live: () => Iterable<Rollout>;
  /** Null if the operator has configured none: then every query is a measurement error that says so. */
  readonly prometheus: PrometheusSource | null;
  readonly telemetry: Pick<Telemetry, "withEvidence">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly registry: Registry;
}

export interface Sampler {
  /** Ends what is under way. */
  stop(): void;
}

/** How soon a rollout that has begun is noticed. */
const TICK_MS = 1_000;
/** Queries at a time, of all rollouts: what is beyond comes with a later tick. */
const MAXIMUM_IN_FLIGHT = 16;

/** One guardrail of one attempt. */
interface Probe {
  inFlight: boolean;
  /** Monotonic ms. */
  dueAt: number;
}

export function startSampler(deps: SamplerDeps): Sampler {
  const { live, prometheus, telemetry, clock, scheduler, logger, registry } = deps;
  const metrics = createSamplerMetrics(registry);
  const stopping = new AbortController();
  let probes: ReadonlyMap<string, Probe> = new Map();
  let inFlight = 0;

  const ask = async (query: string, row: Omit<SampleRow, "value" | "error">, probe: Probe): Promise<void> => {
    const startedAt = clock.monotonic();
    inFlight += 1;
    probe.inFlight = true;
    try {
      const result: QueryResult = prometheus ? await prometheus.query(query, stopping.signal) : NOT_CONFIGURED;
      if (stopping.signal.aborted) return;
      metrics.seconds.observe((clock.monotonic() - startedAt) / 1000);
      metrics.queries.inc({ outcome: "error" in result ? "error" : result.value === null ? "no_data" : "value" });
      if ("error" in result) logger.warn({ ...row, error: result.error }, "guardrail could not be measured");
      const values = "error" in result ? { value: null, error: result.error } : { value: result.value, error: null };
      // At when it was asked: the answer is no newer than that.
      telemetry.withEvidence((store) => store.addSample({ ...row, ...values }));
    } finally {
      inFlight -= 1;
      probe.inFlight = false;
    }
  };

  const tick = (): void => {
    const now = clock.monotonic();
    const wanted = new Map<string, Probe>();
    const due: { probe: Probe; intervalMs: number; query: string; row: Omit<SampleRow, "value" | "error"> }[] = [];
    for (const rollout of live()) {
      const { id, attempt, plan, stage } = rollout;
      for (const { id: guardrail, guardrail: limits } of guardrailsOfStage(plan, stage ?? 0)) {
        if (!("source" in limits)) continue;
        const key = JSON.stringify([id, attempt, guardrail]);
        const probe = probes.get(key) ?? { inFlight: false, dueAt: now };
        wanted.set(key, probe);
        if (probe.inFlight || now < probe.dueAt) continue;
        const row = { rollout: id, attempt, guardrail, at: clock.now() };
        due.push({ probe, intervalMs: plan.analysisIntervalSeconds * 1000, query: limits.query, row });
      }
    }
    probes = wanted;
    // Who has waited longest comes first: in the order of rollouts a slow Prometheus would never get to the last ones.
    due.sort((one, other) => one.probe.dueAt - other.probe.dueAt);
    for (const { probe, intervalMs, query, row } of due.slice(0, MAXIMUM_IN_FLIGHT - inFlight)) {
      probe.dueAt = now + intervalMs;
      void ask(query, row, probe);
    }
  };

  const cancel: Cancel = scheduler.every(TICK_MS, tick);
  return {
    stop() {
      cancel();
      stopping.abort();
    },
  };
}

const NOT_CONFIGURED: QueryResult = { error: "no Prometheus is configured here (BUNTING_PROMETHEUS_URL)" };

function createSamplerMetrics(registry: Registry) {
  const registers = [registry];
  return {
    queries: new Counter({
      name: "bunting_prometheus_queries_total",
      help: "Queries for guardrails by what came of them.",
      labelNames: ["outcome"],
      registers,
    }),
    seconds: new Histogram({
      name: "bunting_prometheus_query_seconds",
      help: "Time of one query for a guardrail.",
      buckets: [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5],
      registers,
    }),
  };
}
