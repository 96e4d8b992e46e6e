import { Gauge, Histogram, type Registry } from "prom-client";
import type { Ledger } from "../ledger/ledger.ts";
import { readGauge } from "./gauge.ts";

/** What is counted of requests. Labels are routes, methods and statuses of ours: bounded, whatever a caller sends. */
export interface Metrics {
  readonly registry: Registry;
  readonly requests: Histogram<"method" | "route" | "status">;
}

export function createMetrics(registry: Registry): Metrics {
  return {
    registry,
    requests: new Histogram({
      name: "bunting_http_request_seconds",
      help: "Requests by route, from their headers to their answer.",
      labelNames: ["method", "route", "status"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
      registers: [registry],
    }),
  };
}

export interface Observed {
  readonly ledger: Ledger;
  readonly lagMs: () => number;
  readonly isReady: () => boolean;
}

/** What is read when somebody asks, instead of being kept up to date. */
export function observeServer(registry: Registry, { ledger, lagMs, isReady }: Observed): void {
  readGauge(registry, "bunting_ready", "1 while /readyz answers 200.", () => Number(isReady()));
  readGauge(registry, "bunting_event_loop_lag_seconds", "How late the event loop is.", () => lagMs() / 1000);
  readGauge(registry, "bunting_read_only", "1 while the disk refuses writes.", () => Number(ledger.readOnly !== null));
  readGauge(
    registry,
    "bunting_flags",
    "Living flags.",
    () => [...ledger.state.flags.values()].filter((flag) => !flag.archivedAt).length,
  );
  new Gauge({
    name: "bunting_revision",
    help: "Revision of each living environment.",
    labelNames: ["environment"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { key, revision, archivedAt } of ledger.state.environments.values()) {
        if (archivedAt === null) this.set({ environment: key }, revision);
      }
    },
  });
}
