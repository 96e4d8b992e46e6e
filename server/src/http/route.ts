import { createHash } from "node:crypto";
import type { EnvironmentKey, ErrorCode } from "@bunting/contracts";
import { LIMITS, type SENT_AT_HEADER } from "@bunting/contracts/literals";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { z } from "zod";
import { readDocument } from "../field-errors.ts";
import type { Accepted, Actor, Idempotency, Refusal, StoredResponse } from "../ledger/command.ts";
import type { EnvironmentState, State } from "../ledger/state.ts";
import { type Action, permits } from "../tokens/permission.ts";
import { mediaTypeOf, readBody } from "./body.ts";
import { parseJson } from "./json.ts";
import { type IfMatch, parseIfMatch } from "./precondition.ts";
import { invalid, invalidField } from "./problem.ts";

/*
 * A route says who may use it, what it takes and what it answers; the same statement is what is enforced and what
 * /openapi.json shows. There is no way to mount a handler without an `access`, so nothing is open by accident.
 */

export interface Route<Params extends z.ZodObject, Query extends z.ZodObject, Body extends z.ZodType> {
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** As OpenAPI writes it: `/api/v1/flags/{flag}`. */
  readonly path: `/${string}`;
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly access: Action | "open";
  readonly params?: Params;
  readonly query?: Query;
  /** Ignores parameters it does not know, as everything does that SDKs of later releases may call. */
  readonly tolerant?: true;
  readonly body?: {
    readonly schema: Body;
    readonly limitBytes?: number;
    readonly mediaTypes?: readonly [string, ...string[]];
    /** Where the schema carries none. */
    readonly example?: unknown;
  };
  /** A POST that may be sent again with the same `Idempotency-Key`. */
  readonly repeatable?: true;
  /** Documents `If-Match`. Whether it may be missing is the handler's to decide. */
  readonly ifMatch?: "required" | "optional";
  readonly success: Success;
  /** Beside those that every route can meet: see {@link commonErrors}. */
  readonly errors?: readonly ErrorCode[];
}

export interface Success {
  readonly status: 200 | 201 | 204 | 302;
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly example?: unknown;
  /** Where the answer is not JSON, or not only. */
  readonly mediaType?: string;
  readonly headers?: readonly ("ETag" | "Location" | "Bunting-Position" | typeof SENT_AT_HEADER)[];
}

/** What a handler sees: parsed, authenticated, allowed. */
export interface RouteRequest<Params, Query, Body> {
  readonly actor: Actor;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly ifMatch: IfMatch;
  readonly ifNoneMatch: string | undefined;
  readonly acceptsGzip: boolean;
  /** Of `Accept`, as it was sent; empty where it was not. */
  readonly accept: string;
  readonly requestId: string;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
  /** Undefined where the caller did not ask to be able to repeat. */
  readonly repeatable: ((respond: (accepted: Accepted) => StoredResponse) => Idempotency) | undefined;
}

export interface Answer {
  readonly status: number;
  /** Text, bytes and streams of bytes are sent as they are, anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Refused {
  readonly refusal: Refusal;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Reply = Answer | Refused;

export type RouteHandler<Params, Query, Body> = (request: RouteRequest<Params, Query, Body>) => Reply | Promise<Reply>;

/** Of a route below an environment: what it may see of it comes with the request, and only if the token covers it. */
export type EnvironmentHandler<Params, Query, Body> = (
  request: RouteRequest<Params, Query, Body> & { readonly environment: EnvironmentState },
) => Reply | Promise<Reply>;

/** Where routes are mounted. `openapi.ts` documents what is mounted, `app.ts` serves it. */
export interface Router {
  add<Params extends z.ZodObject, Query extends z.ZodObject, Body extends z.ZodType>(
    route: Route<Params, Query, Body>,
    handler: RouteHandler<z.output<Params>, z.output<Query>, z.output<Body>>,
  ): void;
  /** For a path below `{environment}`. What an archived one held stays readable. */
  addInEnvironment<Params extends z.ZodObject, Query extends z.ZodObject, Body extends z.ZodType>(
    route: Route<Params, Query, Body>,
    handler: EnvironmentHandler<z.output<Params>, z.output<Query>, z.output<Body>>,
  ): void;
}

/** Any route, its schemas as they are enforced. */
export type AnyRoute = Route<z.ZodObject, z.ZodObject, z.ZodType>;

export type AppEnv = {
  Bindings: HttpBindings;
  Variables: { requestId: string; route: string; token: string; code: ErrorCode };
};

export type Authenticate = (
  context: Context<AppEnv>,
) => { readonly ok: true; readonly actor: Actor } | ({ readonly ok: false } & Refused);

/** Why a change may not reach the disk. */
export const STORAGE_ERRORS = [
  "storage_read_only",
  "storage_full",
  "storage_unknown_outcome",
] as const satisfies readonly ErrorCode[];

export function refused(code: ErrorCode, detail: string, errors?: Refusal["errors"]): Refused {
  return { refusal: errors ? { code, detail, errors } : { code, detail } };
}

/** What any request of this route can meet, in the order of the checks. */
export function commonErrors(route: AnyRoute): readonly ErrorCode[] {
  const errors = new Set<ErrorCode>();
  if (route.access !== "open")
    for (const code of ["unauthenticated", "too_many_failures", "forbidden"] as const) errors.add(code);
  if (route.params || route.query || route.body || route.ifMatch) errors.add("invalid_request");
  if (route.params && "environment" in route.params.shape) errors.add("environment_not_found");
  if (route.body)
    for (const code of ["invalid_json", "unsupported_media_type", "body_too_large", "request_timeout"] as const)
      errors.add(code);
  if (route.ifMatch) errors.add("version_mismatch");
  if (route.ifMatch === "required") errors.add("precondition_required");
  if (route.repeatable) errors.add("idempotency_key_reused");
  for (const code of route.errors ?? []) errors.add(code);
  errors.add("headers_too_large").add("internal");
  return [...errors];
}

/**
 * Everything between a matched path and its handler, in this order: who asks, may such a token at all, the path, may it here,
 * the query, the preconditions, the body. So a caller without rights learns nothing from a schema, and nobody's body is read
 * before we know who he is.
 */
export async function handle(
  route: AnyRoute,
  handler: (
    request: RouteRequest<never, never, never>,
    environment: EnvironmentState | undefined,
  ) => Reply | Promise<Reply>,
  context: Context<AppEnv>,
  surroundings: { readonly authenticate: Authenticate; readonly state: () => State },
): Promise<Reply> {
  const requestId = context.get("requestId");
  let actor = ANYBODY;
  if (route.access !== "open") {
    const authenticated = surroundings.authenticate(context);
    if (!authenticated.ok) return authenticated;
    actor = { ...authenticated.actor, requestId };
    context.set("token", actor.token);
    const refusal = permits(actor, route.access, "any");
    if (refusal) return { refusal };
  }

  const params = parse(route.params, "path", context.req.param());
  if (!params.ok) return params;
  let environment: EnvironmentState | undefined;
  if (isInEnvironment(route) && route.access !== "open") {
    const key = (params.value as { environment: EnvironmentKey }).environment;
    const refusal = permits(actor, route.access, key);
    if (refusal) return { refusal };
    environment = surroundings.state().environments.get(key);
    if (!environment) return refused("environment_not_found", `There is no environment ${key}.`);
  }

  const query = parse(route.query, "query", singleValues(context));
  if (!query.ok) return query;
  const ifMatch = parseIfMatch(route.ifMatch ? context.req.header("if-match") : undefined);
  if (ifMatch.kind === "malformed") return { refusal: ifMatch.refusal };
  const key = route.repeatable ? context.req.header("idempotency-key") : undefined;
  if (key !== undefined && !isIdempotencyKey(key)) {
    return {
      refusal: invalidField(
        "header.Idempotency-Key",
        `Send 1 to ${LIMITS.idempotencyKeyCharacters} printable ASCII characters.`,
      ),
    };
  }

  const body = route.body ? await readJson(route.body, context) : NO_BODY;
  if (!body.ok) return body;
  const request = {
    actor,
    params: params.value,
    query: query.value,
    body: body.value,
    ifMatch,
    ifNoneMatch: context.req.header("if-none-match"),
    acceptsGzip: /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|\s|$))/i.test(context.req.header("accept-encoding") ?? ""),
    accept: context.req.header("accept") ?? "",
    requestId,
    signal: context.req.raw.signal,
    repeatable:
      key === undefined
        ? undefined
        : (respond: Idempotency["respond"]) => ({ key, digest: digestOf(context, body.bytes), respond }),
  };
  return handler(request as RouteRequest<never, never, never>, environment);
}

function isInEnvironment(route: AnyRoute): boolean {
  return route.path.includes("{environment}");
}

/** The actor of open routes: may nothing. */
const ANYBODY: Actor = { token: "", kind: "client", name: "", environments: [], roles: [], requestId: "" };

const NO_BODY = { ok: true, value: undefined, bytes: new Uint8Array() } as const;

type Parsed = { readonly ok: true; readonly value: unknown } | ({ readonly ok: false } & Refused);

function parse(schema: z.ZodObject | undefined, source: "path" | "query", value: unknown): Parsed {
  if (!schema) return { ok: true, value: {} };
  const parsed = schema.safeParse(value);
  return parsed.success ? { ok: true, value: parsed.data } : { ok: false, refusal: invalid(source, parsed.error) };
}

/** A parameter given twice becomes a list, which no schema of ours takes. Null-prototype, because callers choose the names. */
function singleValues(context: Context<AppEnv>): Record<string, string | string[]> {
  const values = Object.create(null) as Record<string, string | string[]>;
  const { searchParams } = new URL(context.req.url);
  for (const name of searchParams.keys()) {
    const all = searchParams.getAll(name);
    values[name] = all.length === 1 ? (all[0] ?? "") : all;
  }
  return values;
}

async function readJson(
  { schema, limitBytes = LIMITS.adminBodyBytes, mediaTypes = ["application/json"] }: NonNullable<AnyRoute["body"]>,
  context: Context<AppEnv>,
): Promise<
  { readonly ok: true; readonly value: unknown; readonly bytes: Uint8Array } | ({ readonly ok: false } & Refused)
> {
  const encoding = context.req.header("content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    return { ok: false, ...refused("unsupported_media_type", "Compressed bodies are not read here.") };
  }
  if (!mediaTypes.includes(mediaTypeOf(context.req.header("content-type")))) {
    return {
      ok: false,
      ...refused("unsupported_media_type", `The content type must be ${mediaTypes.join(" or ")}, in UTF-8.`),
    };
  }
  const body = await readBody(context.req.raw, limitBytes);
  // The rest of a refused body may still be on its way: the connection is of no further use.
  const headers = { Connection: "close" };
  if (body.kind === "too_large") {
    return { ok: false, ...refused("body_too_large", `This route reads at most ${limitBytes} bytes.`), headers };
  }
  if (body.kind === "aborted") return { ok: false, ...refused("request_timeout", "The body did not arrive."), headers };
  const reading = parseJson(body.bytes);
  if (!reading.ok) {
    const errors = reading.code === "invalid_request" ? [{ path: reading.path, message: reading.message }] : undefined;
    return { ok: false, ...refused(reading.code, reading.message, errors) };
  }
  const parsed = readDocument(schema, reading.value, body.bytes.byteLength);
  if (!parsed.success) return { ok: false, refusal: invalid("body", parsed.error) };
  return { ok: true, value: parsed.data, bytes: body.bytes };
}

function isIdempotencyKey(key: string): boolean {
  return key.length <= LIMITS.idempotencyKeyCharacters && /^[\x20-\x7e]+$/.test(key);
}

function digestOf(context: Context<AppEnv>, body: Uint8Array): string {
  const { method, path } = context.req;
  return createHash("sha256").update(`${method} ${path}\n`).update(body).digest("hex");
}
