import type { Authenticator } from "../tokens/authenticator.ts";
import { clientAddress } from "./client-address.ts";
import type { Authenticate } from "./route.ts";

const LONGEST_HEADER = 128;

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

/** The header twice arrives joined by a comma, which no token holds. The scheme is matched as it is written everywhere. */
function bearerToken(header: string | undefined): string | null {
  if (header === undefined || header.length > LONGEST_HEADER) return null;
  return /^Bearer ([0-9A-Za-z_]+)$/.exec(header)?.[1] ?? null;
}
