import type { MiddlewareHandler } from "hono";
import { problemResponse } from "../problem.ts";
import type { AppEnv } from "../route.ts";

export const MAXIMUM_HEADERS = 64;

/** Node.js drops the headers beyond its own limit without a word, so that limit is one higher and the count is checked here. */
export function headerLimit(): MiddlewareHandler<AppEnv> {
  return async (context, next) => {
    const count = (context.env?.incoming?.rawHeaders.length ?? 0) / 2;
    if (count <= MAXIMUM_HEADERS) return next();
    const detail = `At most ${MAXIMUM_HEADERS} headers.`;
    context.set("code", "headers_too_large");
    return problemResponse({ code: "headers_too_large", detail }, context.get("requestId"));
  };
}
