import type { Authenticator } from "../tokens/authenticator.ts";
import { clientAddress } from "./client-address.ts";
import type { Authenticate } from "./route.ts";

/** Turns the `Authorization` header into an actor. A token anywhere else (a query, a cookie) does not count. */
export function createAuthenticate(
  authenticator: Pick<Authenticator, "authenticate">,
  trustedProxies: number,
): Authenticate {
  return (context) => {
    const token = bearerToken(context.req.header("authorization"));
    const peer = context.env?.incoming?.socket.remoteAddress ?? "";
    const address = clientAddress(peer, context.req.header("x-forwarded-for"), trustedProxies);
    const result = authenticator.authenticate(token, address, context.get("requestId"));
    if (result.ok) return { ok: true, actor: result.actor };
    const { refusal, retryAfterMs } = result;
    if (retryAfterMs === null) return { ok: false, refusal };
    return { ok: false, refusal, headers: { "Retry-After": String(Math.ceil(retryAfterMs / 1000)) } };
  };
}

/**
 * What stands behind `Bearer `, or null: at most 128 characters in all, the scheme exactly as it is written everywhere. The
 * header twice arrives joined by a comma, which no token holds.
 */
export function bearerToken(header: string | undefined): string | null {
  return /^Bearer ([0-9A-Za-z_]{1,121})$/.exec(header ?? "")?.[1] ?? null;
}
