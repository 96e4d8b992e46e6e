import { lookup as lookupInSystem } from "node:dns";
import { type ClientRequest, type IncomingMessage, type RequestOptions, request as requestOverHttp } from "node:http";
import { request as requestOverHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { LIMITS } from "@bunting/contracts/literals";
import type { Clock, Scheduler } from "../ports.ts";
import { type AllowedHosts, isPublicAddress, judgeUrl } from "./address.ts";

/*
 * Requests to addresses that somebody named: webhooks, metric sources. The address that is judged is the one that is connected
 * to: names are judged where they become addresses, in the socket's own look-up, never before and apart from it, or a name
 * could answer the judge one thing and the socket another. There are no redirects, no cookies, no proxy from the environment,
 * no connection that was opened for somebody else.
 */

export interface OutgoingRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type OutgoingFailure =
  /** A connection could not be made, or broke. */
  "connection" | "timeout" | "address_refused" | "answer_too_large";

export type OutgoingAnswer = {
  readonly durationMs: number;
  /** Of the body, as far as it was read. */
  readonly byteCount: number;
} & (
  | { readonly ok: true; readonly status: number; readonly body: Uint8Array }
  | { readonly ok: false; readonly failure: OutgoingFailure }
);

/** Gives every address of a name. */
export type Resolve = (hostname: string) => Promise<readonly ResolvedAddress[]>;

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

export interface OutgoingDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly scheduler: Pick<Scheduler, "after">;
  readonly allowed: AllowedHosts;
  /** @default the system's */
  readonly resolve?: Resolve;
  /** From the call to the last byte. @default LIMITS.deliveryTimeoutMs */
  readonly timeoutMs?: number;
}

export interface Outgoing {
  /** Never rejects. */
  send(request: OutgoingRequest): Promise<OutgoingAnswer>;
}

export function createOutgoing(deps: OutgoingDeps): Outgoing {
  return { send: (request) => send(request, deps) };
}

function send(outgoing: OutgoingRequest, deps: OutgoingDeps): Promise<OutgoingAnswer> {
  const { clock, scheduler, allowed, resolve = resolveInSystem, timeoutMs = LIMITS.deliveryTimeoutMs } = deps;
  const startedAt = clock.monotonic();
  const judged = judgeUrl(outgoing.url, allowed);
  if (!judged.ok) return Promise.resolve({ ok: false, failure: "address_refused", durationMs: 0, byteCount: 0 });

  return new Promise((settle) => {
    const chunks: Uint8Array[] = [];
    let byteCount = 0;
    const end = (outcome: { ok: true; status: number } | { ok: false; failure: OutgoingFailure }): void => {
      cancel();
      const durationMs = clock.monotonic() - startedAt;
      settle(
        outcome.ok
          ? { ...outcome, body: Buffer.concat(chunks), durationMs, byteCount }
          : { ...outcome, durationMs, byteCount },
      );
      // Whatever the other side still has to say is of no interest: no drip of it may hold the socket.
      request.destroy();
    };
    const cancel = scheduler.after(timeoutMs, () => end({ ok: false, failure: "timeout" }));

    const request = open(judged.url, outgoing, judged.isAllowed ? pass(resolve) : passPublic(resolve));
    request.on("error", (error) => {
      end({ ok: false, failure: error instanceof AddressRefused ? "address_refused" : "connection" });
    });
    // An answer without a body of its own, such as 101, leaves neither an answer nor an error behind.
    request.on("close", () => end({ ok: false, failure: "connection" }));
    request.on("response", (answer: IncomingMessage) => {
      answer.on("data", (chunk: Uint8Array) => {
        byteCount += chunk.length;
        if (byteCount > LIMITS.outgoingAnswerBytes) end({ ok: false, failure: "answer_too_large" });
        else chunks.push(chunk);
      });
      answer.on("end", () => end({ ok: true, status: answer.statusCode ?? 0 }));
      answer.on("error", () => end({ ok: false, failure: "connection" }));
    });
    request.end(outgoing.body);
  });
}

function open(url: URL, { method, headers, body }: OutgoingRequest, lookup: LookupFunction): ClientRequest {
  const options: RequestOptions = {
    method,
    headers: {
      ...headers,
      "content-length": Buffer.byteLength(body),
      "accept-encoding": "identity",
      "user-agent": "Bunting",
    },
    lookup,
    // Neither a shared pool nor a connection that outlives the request, nor a proxy that an agent may have been given.
    agent: false,
  };
  return url.protocol === "https:"
    ? requestOverHttps(url, { ...options, rejectUnauthorized: true, minVersion: "TLSv1.2" })
    : requestOverHttp(url, options);
}

class AddressRefused extends Error {
  override readonly name = "AddressRefused";
}

/** Refuses a name if any of its addresses is not public: which one is connected to is not ours to say. */
function passPublic(resolve: Resolve): LookupFunction {
  return pass(async (hostname) => {
    const addresses = await resolve(hostname);
    if (addresses.every(({ address }) => isPublicAddress(address))) return addresses;
    throw new AddressRefused("A name leads to an address that is not public.");
  });
}

/** A look-up as sockets ask for it: for all addresses when they try one family after the other, else for one. */
function pass(resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (!first) callback(new Error("A name has no address."), "", 0);
        else if (options.all) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, "", 0),
    );
  };
}

function resolveInSystem(hostname: string): Promise<readonly ResolvedAddress[]> {
  return new Promise((settle, reject) => {
    lookupInSystem(hostname, { all: true }, (error, addresses) => (error ? reject(error) : settle(addresses)));
  });
}
