import { Counter, Histogram, type Registry } from "prom-client";

export type TelemetryMetrics = ReturnType<typeof createTelemetryMetrics>;

/** No name from a batch is a label: whoever may send telemetry could make as many as he likes. */
export function createTelemetryMetrics(registry: Registry) {
  const registers = [registry];
  return {
    batches: new Counter({
      name: "bunting_telemetry_batches_total",
      help: "Telemetry batches by what became of them.",
      labelNames: ["outcome"],
      registers,
    }),
    evidenceCells: new Counter({
      name: "bunting_evidence_cells_total",
      help: "Evidence cells of rollouts by what became of them.",
      labelNames: ["outcome"],
      registers,
    }),
    dropped: new Counter({
      name: "bunting_telemetry_dropped_total",
      help: "What SDKs counted and dropped, as they say: exposures of flags, and events of rollouts.",
      labelNames: ["what"],
      registers,
    }),
    commitSeconds: new Histogram({
      name: "bunting_telemetry_commit_seconds",
      help: "Time of one commit of telemetry batches.",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
      registers,
    }),
    failures: new Counter({
      name: "bunting_telemetry_failures_total",
      help: "Failures of the telemetry database.",
      registers,
    }),
  };
}
