import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../route.ts";

const HEADERS: Readonly<Record<string, string>> = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-store",
  // An answer of the API is never a document: nothing may load, nothing may frame it.
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
};

/** For every answer. A route that needs another policy (`/docs`) sets its own, which stays. No CORS: no other origin may read. */
export function securityHeaders(): MiddlewareHandler<AppEnv> {
  return async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!context.res.headers.has(name)) context.res.headers.set(name, value);
    }
  };
}
