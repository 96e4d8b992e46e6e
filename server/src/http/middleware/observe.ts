import type { MiddlewareHandler } from "hono";
import type { Metrics } from "../../ops/metrics.ts";
import type { Clock, Logger } from "../../ports.ts";
import type { AppEnv } from "../route.ts";

interface ObserveDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** What probes, Prometheus and thousands of SDKs ask every few seconds says nothing new in a log, as long as it succeeds. */
const QUIET: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics", "/sdk/v1/ruleset", "/sdk/v1/telemetry"]);

/**
 * One log line and one count per request. The route's pattern stands for the path: it is bounded as a label, and it cannot
 * carry a key, a query or a token that somebody put into a URL.
 */
export function observe({ clock, logger, metrics }: ObserveDeps): MiddlewareHandler<AppEnv> {
  return async (context, next) => {
    const startedAt = clock.monotonic();
    await next();
    const route = context.get("route") ?? "unmatched";
    const method = KNOWN_METHODS.has(context.req.method) ? context.req.method : "other";
    const { status } = context.res;
    const durationMs = clock.monotonic() - startedAt;
    metrics.requests.observe({ method, route, status: String(status) }, durationMs / 1000);
    const code = context.get("code");
    const fields = {
      requestId: context.get("requestId"),
      method,
      route,
      status,
      durationMs: Math.round(durationMs * 100) / 100,
      ...(code && { code }),
      ...(context.get("token") && { token: context.get("token") }),
    };
    if (status < 400 && QUIET.has(route)) logger.debug(fields, "request");
    else logger.info(fields, "request");
  };
}

const KNOWN_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
