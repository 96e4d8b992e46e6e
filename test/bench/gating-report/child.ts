import { type RolloutEnd, runErrors, runLatency, runLoss, runProof, runRollout, runSchedule } from "./experiments.ts";
import type { Experiment } from "./settings.ts";

/** Some runs of one column: which ones says their seeds. */
export interface Work {
  readonly column: number;
  readonly experiment: Experiment;
  readonly seeds: readonly string[];
}

/** Per run, seconds per method; or how its rollouts ended. */
export interface Outcome {
  readonly column: number;
  readonly seconds?: readonly (readonly (number | null)[])[];
  readonly ends?: readonly (readonly RolloutEnd[])[];
}

export function perform({ column, experiment, seeds }: Work): Outcome {
  switch (experiment.kind) {
    case "errors":
      return { column, seconds: seeds.map((seed) => runErrors(experiment.setting, seed)) };
    case "proof":
      return { column, seconds: seeds.map((seed) => runProof(experiment.setting, seed)) };
    case "latency":
      return { column, seconds: seeds.map((seed) => runLatency(experiment.setting, seed)) };
    case "loss":
      return { column, seconds: seeds.map((seed) => runLoss(experiment.setting, seed)) };
    case "rollout":
      return { column, ends: seeds.map((seed) => [runRollout(experiment.setting, seed)]) };
    case "schedule":
      return { column, ends: seeds.map((seed) => runSchedule(experiment.setting, seed)) };
  }
}

process.on("message", (work: Work) => process.send?.(perform(work)));
