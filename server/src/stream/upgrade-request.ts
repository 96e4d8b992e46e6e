import type { IncomingMessage } from "node:http";
import { type StreamQuery, streamQuery } from "@bunting/contracts";
import { SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX } from "@bunting/contracts/literals";
import { bearerToken } from "../http/authentication.ts";
import { invalid } from "../http/problem.ts";
import type { Refusal } from "../ledger/command.ts";
import { type Claim, parseClaim } from "./backlog.ts";

/** Exactly this, before any normalisation: the listener stands outside the router and its checks. */
export const STREAM_PATH = "/sdk/v1/stream";

/** What an upgrade request says, taken apart and not judged yet. */
export interface UpgradeRequest {
  readonly path: string;
  /** Whether it asks for a websocket at all; other protocols are offered by ordinary HTTP clients. */
  readonly isWebsocket: boolean;
  /** Null if there is none, or several. */
  readonly token: string | null;
  /** Whether our protocol was offered. */
  readonly speaksProtocol: boolean;
  /** Whether it can be sent compressed messages without compressing its own. */
  readonly deflated: boolean;
  readonly query: URLSearchParams;
}

export function readUpgradeRequest(request: IncomingMessage): UpgradeRequest {
  const url = request.url ?? "";
  const mark = url.indexOf("?");
  const { headers } = request;
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  return {
    path: mark === -1 ? url : url.slice(0, mark),
    isWebsocket: request.method === "GET" && headers.upgrade?.toLowerCase() === "websocket",
    token: bearerToken(request.headersDistinct.authorization?.join()) ?? subprotocolToken(offered),
    speaksProtocol: offered.includes(SUBPROTOCOL),
    // Browsers, which send an Origin, would from then on compress everything they send. A smaller window than we use when we
    // compress once for everybody cannot be promised either.
    deflated:
      headers.origin === undefined &&
      /\bpermessage-deflate\b(?![^,]*server_max_window_bits)/.test(headers["sec-websocket-extensions"] ?? ""),
    query: new URLSearchParams(mark === -1 ? "" : url.slice(mark + 1)),
  };
}

/** What the query says. Repeated parameters count once, unknown ones not at all. */
export function readStreamQuery(
  query: URLSearchParams,
):
  | { readonly ok: true; readonly query: StreamQuery; readonly claim: Claim }
  | { readonly ok: false; readonly refusal: Refusal } {
  const parsed = streamQuery.safeParse(Object.fromEntries(query));
  if (!parsed.success) return { ok: false, refusal: invalid("query", parsed.error) };
  return { ok: true, query: parsed.data, claim: parseClaim(parsed.data.epoch, parsed.data.revision) };
}

function subprotocolToken(offered: readonly string[]): string | null {
  const tokens = offered.filter((name) => name.startsWith(TOKEN_SUBPROTOCOL_PREFIX));
  return tokens.length === 1 ? (tokens[0]?.slice(TOKEN_SUBPROTOCOL_PREFIX.length) ?? null) : null;
}
