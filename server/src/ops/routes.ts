import type { Registry } from "prom-client";
import { z } from "zod";
import type { Router } from "../http/route.ts";
import type { Readiness } from "./readiness.ts";

const tag = "operations";

const health = z.object({ status: z.literal("ok") }).meta({ id: "Health" });
const readinessSchema = z
  .object({ status: z.enum(["ready", "not_ready"]), reason: z.string().optional(), warning: z.string().optional() })
  .meta({ id: "Readiness" });

interface OpsDeps {
  readonly readiness: () => Readiness;
  readonly registry: Registry;
  /** Without a token: only where nobody but this machine can ask. */
  readonly metricsAreOpen: boolean;
}

export function opsRoutes(router: Router, { readiness, registry, metricsAreOpen }: OpsDeps): void {
  router.add(
    {
      method: "get",
      path: "/healthz",
      operationId: "health",
      tag,
      summary: "Whether the process lives",
      description: "Restart it if this does not answer. It stays 200 while the server drains or its disk fails.",
      access: "open",
      success: { status: 200, description: "It does.", schema: health, example: { status: "ok" } },
    },
    () => ({ status: 200, body: { status: "ok" } }),
  );

  router.add(
    {
      method: "get",
      path: "/readyz",
      operationId: "readiness",
      tag,
      summary: "Whether new traffic should come here",
      description:
        "503 with a `reason` while the server drains, its disk refuses writes, or its event loop lags: `draining`, " +
        "`storage_read_only`, `storage_full`, `overloaded`. 200 with the `warning` `disk_low` while the volume of the data " +
        "folder has less than 10 % free.",
      access: "open",
      success: { status: 200, description: "It should.", schema: readinessSchema, example: { status: "ready" } },
    },
    () => {
      const state = readiness();
      return { status: state.status === "ready" ? 200 : 503, body: state };
    },
  );

  router.add(
    {
      method: "get",
      path: "/metrics",
      operationId: "metrics",
      tag,
      summary: "Metrics for Prometheus",
      access: metricsAreOpen ? "open" : "read_metrics",
      success: { status: 200, description: "Text exposition format.", mediaType: "text/plain" },
    },
    async () => ({ status: 200, body: await registry.metrics(), headers: { "Content-Type": registry.contentType } }),
  );
}
