import type { MiddlewareHandler } from "hono";
import type { Random } from "../../ports.ts";
import type { AppEnv } from "../route.ts";

/** Names each request in the answer, the log and the audit. The caller's own name for it is not taken: it could be anything. */
export function requestId(random: Random): MiddlewareHandler<AppEnv> {
  return async (context, next) => {
    const id = newRequestId(random);
    context.set("requestId", id);
    await next();
    context.res.headers.set("Request-Id", id);
  };
}

export function newRequestId(random: Random): string {
  return `req_${Buffer.from(random.bytes(16)).toString("base64url")}`;
}
