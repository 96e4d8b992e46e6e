import type { RolloutView } from "@bunting/contracts";
import { Gauge, type Registry } from "prom-client";

/** Rollouts that have metrics of their own; live ones beyond are in the API all the same. */
const MAXIMUM_SHOWN = 50;

/**
 * What the latest look at each live rollout measured, read when somebody scrapes: custom metrics and values from outside too.
 * Guardrails are named by plans that people wrote: nothing an SDK sends becomes a label.
 */
export function observeGuardrails(registry: Registry, live: () => Iterable<RolloutView>): void {
  const registers = [registry];
  const guardrail = ["environment", "flag", "guardrail"] as const;
  // Registered first, so read first: it reads for both.
  const values = new Gauge({
    name: "bunting_rollout_guardrail_value",
    help: "What the latest look measured: rates are 0-1, latencies ms, of a reported gauge the worst value.",
    labelNames: [...guardrail, "arm"],
    registers,
    collect: () => collect(),
  });
  const ratios = new Gauge({
    name: "bunting_rollout_guardrail_ratio",
    help: "Canary over control, and the bounds of its confidence sequence at the plan's falseAlarmBudget.",
    labelNames: [...guardrail, "bound"],
    registers,
  });

  const collect = (): void => {
    for (const one of [values, ratios]) one.reset();
    for (const { environment, flag, guardrails } of [...live()].slice(0, MAXIMUM_SHOWN)) {
      for (const { id, canary, control, rateRatio } of guardrails) {
        const labels = { environment, flag, guardrail: id };
        for (const [arm, value] of Object.entries({ canary, control })) {
          if (value !== null) values.set({ ...labels, arm }, value);
        }
        for (const [bound, value] of Object.entries(rateRatio ?? {})) {
          if (value !== null) ratios.set({ ...labels, bound }, value);
        }
      }
    }
  };
}
