import { Counter, Histogram, type Registry } from "prom-client";
import { readGauge } from "../ops/gauge.ts";

/** Labels are words of ours: bounded, however many rollouts there are. */
export interface ControllerMetrics {
  readonly looks: Counter<"due" | "verdict">;
  readonly lookSeconds: Histogram;
  readonly refused: Counter<"code">;
  readonly unreadable: Counter;
  readonly defects: Counter;
}

export interface Ages {
  readonly liveCount: number;
  /** Of the live rollout that has waited longest for a look; 0 without one. */
  readonly oldestLookSeconds: number;
}

export function createControllerMetrics(registry: Registry, ages: () => Ages): ControllerMetrics {
  const registers = [registry];
  readGauge(registry, "bunting_rollouts_live", "Rollouts under way.", () => ages().liveCount);
  readGauge(
    registry,
    "bunting_rollout_look_age_seconds",
    "Time since the live rollout was looked at that has waited longest. Alarm at twice the longest analysis interval.",
    () => ages().oldestLookSeconds,
  );
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
