import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/**
 * What the stream counts. Labels are environments, codes and other words of ours; a name that a client chose is never one.
 */
export type StreamMetrics = ReturnType<typeof createStreamMetrics>;

export function createStreamMetrics(registry: Registry) {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name: `bunting_stream_${name}`, help, labelNames, registers });
  return {
    connections: new Gauge({
      name: "bunting_stream_connections",
      help: "Open streams.",
      labelNames: ["environment"],
      registers,
    }),
    sessions: new Gauge({
      name: "bunting_stream_sessions",
      help: "Sessions, connected or kept for those who may come back.",
      labelNames: ["environment"],
      registers,
    }),
    logEntries: new Gauge({
      name: "bunting_stream_log_entries",
      help: "Commits kept as ready frames.",
      labelNames: ["environment"],
      registers,
    }),
    delivery: new Histogram({
      name: "bunting_stream_delivery_seconds",
      help: "From commit to ack, less the time the client held the ack.",
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),
    welcomes: counter("welcomes_total", "Streams opened, by what they were sent first.", "mode", "reason"),
    refusals: counter("refusals_total", "Upgrades refused.", "code"),
    closes: counter("closes_total", "Streams ended by the server.", "code"),
    earlyKills: counter("early_kills_total", "Kills written ahead of earlier revisions."),
    lagging: counter("lagging_total", "Times a connection was found too slow to be written to."),
    acksIgnored: counter("acks_ignored_total", "Acks that were late, or of a revision that was not sent."),
    resyncs: counter("resyncs_total", "Requests for a snapshot.", "reason", "outcome"),
    malformed: counter("malformed_total", "Messages that did not parse or fit."),
    batchesLimited: counter("telemetry_limited_total", "Telemetry batches that came too fast."),
    polls: counter("polls_total", "Polled rulesets.", "outcome"),
  };
}
