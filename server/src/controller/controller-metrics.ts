import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { readGauge } from "../ops/gauge.ts";

/** Labels are words of ours, and flags and environments of few rollouts: bounded, however many there are. */
export interface ControllerMetrics {
  readonly looks: Counter<"due" | "verdict">;
  readonly lookSeconds: Histogram;
  readonly refused: Counter<"code">;
  readonly unreadable: Counter;
  readonly defects: Counter;
}

/** A live rollout, as the controller knows it. */
export interface LookAge {
  readonly environment: string;
  readonly flag: string;
  readonly ageSeconds: number;
  /** Of its plan. */
  readonly intervalSeconds: number;
}

/** Rollouts with an age of their own: of more, those that have waited longest. */
const MAXIMUM_SHOWN = 50;

export function createControllerMetrics(registry: Registry, ages: () => readonly LookAge[]): ControllerMetrics {
  const registers = [registry];
  readGauge(registry, "bunting_rollouts_live", "Rollouts under way.", () => ages().length);
  const labelNames = ["environment", "flag"] as const;
  // Registered first, so read first: it reads for both.
  const age = new Gauge({
    name: "bunting_rollout_look_age_seconds",
    help: "Time since a live rollout was looked at. More than twice its interval: automation is stuck.",
    labelNames,
    registers,
    collect: () => collect(),
  });
  const interval = new Gauge({
    name: "bunting_rollout_look_interval_seconds",
    help: "How often the plan of a live rollout wants it looked at.",
    labelNames,
    registers,
  });
  const collect = (): void => {
    age.reset();
    interval.reset();
    const longest = ages().toSorted((one, other) => other.ageSeconds - one.ageSeconds);
    for (const { environment, flag, ageSeconds, intervalSeconds } of longest.slice(0, MAXIMUM_SHOWN)) {
      age.set({ environment, flag }, ageSeconds);
      interval.set({ environment, flag }, intervalSeconds);
    }
  };
  return {
    looks: new Counter({
      name: "bunting_rollout_looks_total",
      help: "Decisions of the controller, by what made it look and what came of it.",
      labelNames: ["due", "verdict"],
      registers,
    }),
    lookSeconds: new Histogram({
      name: "bunting_rollout_look_seconds",
      help: "Time for which a look holds everything else up, its decision stored. A look at much evidence takes several turns.",
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers,
    }),
    refused: new Counter({
      name: "bunting_rollout_steps_refused_total",
      help: "Decisions of the controller that were not carried out, because a person was faster or the disk is full.",
      labelNames: ["code"],
      registers,
    }),
    unreadable: new Counter({
      name: "bunting_rollout_evidence_unreadable_total",
      help: "Looks that were put off because evidence could not be read.",
      registers,
    }),
    defects: new Counter({
      name: "bunting_rollout_defects_total",
      help: "Looks that ended in a defect of the server. The rollout is paused; the log says why.",
      registers,
    }),
  };
}
