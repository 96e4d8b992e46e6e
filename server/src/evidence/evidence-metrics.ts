import type { Rollout } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { Gauge, type Registry } from "prom-client";
import type { Clock } from "../ports.ts";
import { type AttemptArms, armsOf } from "./evidence.ts";
import { type MeasuringDeps, windowsOf } from "./rollout-metrics.ts";
import { RESOLUTION_MS, VariantMeasures } from "./series.ts";

/** Rollouts that have metrics of their own; live ones beyond are in the console and the API all the same. */
const MAXIMUM_SHOWN = 50;
const RECENT_MS = 5 * 60_000;

/**
 * What live rollouts measure, read when somebody scrapes. Labels are flags and environments that people made, the two arms
 * and three quantiles: nothing an SDK sends becomes one.
 */
export function observeRollouts(
  registry: Registry,
  deps: MeasuringDeps & {
    readonly live: () => Iterable<Rollout>;
    readonly clock: Clock;
  },
): void {
  let reading: Promise<void> | null = null;
  /** Each metric of a scrape waits for the one reading that is for all of them. */
  const collect = (): Promise<void> => {
    reading ??= read().finally(() => {
      reading = null;
    });
    return reading;
  };
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Gauge<Label> =>
    new Gauge({ name, help, labelNames, registers: [registry], collect });

  const percent = gauge("bunting_rollout_percent", "The canary's share of each live rollout.", ["environment", "flag"]);
  const arm = ["environment", "flag", "arm"] as const;
  const exposures = gauge("bunting_rollout_exposures", "Exposures of the attempt under way.", arm);
  const outcomes = gauge("bunting_rollout_outcomes", "Outcomes of the attempt under way.", arm);
  const errors = gauge("bunting_rollout_errors", "Outcomes that were errors.", arm);
  const latency = gauge(
    "bunting_rollout_latency_seconds",
    "Quantiles of the latency of outcomes of the last five minutes, exact to 1 %.",
    [...arm, "quantile"],
  );

  const read = async (): Promise<void> => {
    const rollouts = [...deps.live()].slice(0, MAXIMUM_SHOWN);
    const measured = new Map<Rollout, Awaited<ReturnType<typeof measureNow>>>();
    for (const rollout of rollouts) measured.set(rollout, await measureNow(deps, rollout));
    for (const one of [percent, exposures, outcomes, errors, latency]) one.reset();
    for (const [rollout, measures] of measured) show(rollout, measures);
  };

  const show = (
    { environment, flag, plan, percent: share }: Rollout,
    measures: Awaited<ReturnType<typeof measureNow>>,
  ): void => {
    percent.set({ environment, flag }, share);
    if (!measures) return;
    for (const name of ["canary", "control"] as const) {
      const labels = { environment, flag, arm: name };
      const total = measures.attempt[plan[name]]?.total;
      exposures.set(labels, total?.exposureCount ?? 0);
      outcomes.set(labels, total?.outcomeCount ?? 0);
      errors.set(labels, total?.errorCount ?? 0);
      const quantiles: Readonly<Record<string, number>> = measures.recent[plan[name]]?.total.latencyMs ?? {};
      for (const [quantile, latencyMs] of Object.entries(quantiles)) {
        latency.set({ ...labels, quantile: `0.${quantile.slice(1)}` }, latencyMs / 1000);
      }
    }
  };
}

/** Null if it cannot be read at the moment. */
async function measureNow(deps: MeasuringDeps & { readonly clock: Clock }, rollout: Rollout) {
  const arms = armsOf(rollout);
  const end = Math.floor(deps.clock.now() / EVIDENCE_INTERVAL_MS + 1) * EVIDENCE_INTERVAL_MS;
  const attempt = await measureSpan(deps, arms, RESOLUTION_MS["1h"], { fromMs: 0, toMs: end });
  const recent = await measureSpan(deps, arms, EVIDENCE_INTERVAL_MS, { fromMs: end - RECENT_MS, toMs: end });
  return attempt && recent && { attempt, recent };
}

async function measureSpan(
  deps: MeasuringDeps,
  arms: AttemptArms,
  windowMs: number,
  span: { readonly fromMs: number; readonly toMs: number },
) {
  const variants = new VariantMeasures(windowMs);
  for await (const windows of windowsOf(deps, arms, windowMs, span)) {
    if (windows === null) return null;
    variants.add(windows.startsAt, windows.same);
  }
  return variants.result(span.toMs - span.fromMs);
}
