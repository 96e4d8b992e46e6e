import type { Rollout } from "@bunting/contracts";
import { Gauge, type Registry } from "prom-client";
import type { Clock } from "../ports.ts";
import type { EvidenceStore } from "../telemetry/evidence-store.ts";
import { intervalOf } from "../telemetry/interval-index.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { armsOf } from "./evidence.ts";
import { type CountWindow, measureVariants, RESOLUTION_MS } from "./series.ts";

/** Rollouts that have metrics of their own; live ones beyond are in the console and the API all the same. */
const MAXIMUM_SHOWN = 50;
const RECENT_MS = 5 * 60_000;

/**
 * What live rollouts measure, read when somebody scrapes. Labels are flags and environments that people made, the two arms
 * and three quantiles: nothing an SDK sends becomes one.
 */
export function observeRollouts(
  registry: Registry,
  deps: {
    readonly live: () => Iterable<Rollout>;
    readonly telemetry: Pick<Telemetry, "withEvidence">;
    readonly clock: Clock;
  },
): void {
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Gauge<Label> =>
    new Gauge({ name, help, labelNames, registers: [registry] });

  // Registered first, so read first: it reads for all of them.
  const percent = new Gauge({
    name: "bunting_rollout_percent",
    help: "The canary's share of each live rollout.",
    labelNames: ["environment", "flag"],
    registers: [registry],
    collect: () => collect(),
  });
  const arm = ["environment", "flag", "arm"] as const;
  const exposures = gauge("bunting_rollout_exposures", "Exposures of the attempt under way.", arm);
  const outcomes = gauge("bunting_rollout_outcomes", "Outcomes of the attempt under way.", arm);
  const errors = gauge("bunting_rollout_errors", "Outcomes that were errors.", arm);
  const latency = gauge(
    "bunting_rollout_latency_seconds",
    "Quantiles of the latency of outcomes of the last five minutes, exact to 1 %.",
    [...arm, "quantile"],
  );

  const collect = (): void => {
    for (const one of [percent, exposures, outcomes, errors, latency]) one.reset();
    for (const rollout of [...deps.live()].slice(0, MAXIMUM_SHOWN)) {
      const { environment, flag, plan } = rollout;
      percent.set({ environment, flag }, rollout.percent);
      const measured = deps.telemetry.withEvidence((store) => measureNow(store, rollout, deps.clock.now()));
      if (!measured) continue;
      for (const name of ["canary", "control"] as const) {
        const labels = { environment, flag, arm: name };
        const total = measured.attempt[plan[name]]?.total;
        exposures.set(labels, total?.exposureCount ?? 0);
        outcomes.set(labels, total?.outcomeCount ?? 0);
        errors.set(labels, total?.errorCount ?? 0);
        const quantiles: Readonly<Record<string, number>> = measured.recent[plan[name]]?.total.latencyMs ?? {};
        for (const [quantile, latencyMs] of Object.entries(quantiles)) {
          latency.set({ ...labels, quantile: `0.${quantile.slice(1)}` }, latencyMs / 1000);
        }
      }
    }
  };
}

function measureNow(store: EvidenceStore, rollout: Rollout, now: number) {
  const arms = armsOf(rollout);
  const hours = store.series(arms, RESOLUTION_MS["1h"], { after: -1, through: now });
  const recent = store
    .evidenceOfIntervals(arms, { after: intervalOf(now - RECENT_MS) - 1, through: intervalOf(now) })
    .map((row): CountWindow => ({ ...row, startsAt: 0 }));
  const span = { windowMs: RECENT_MS, spanMs: RECENT_MS };
  return { attempt: measureVariants(hours, span), recent: measureVariants(recent, span) };
}
