import { ERRORS, type ErrorCode, type Problem } from "@bunting/contracts";
import type { z } from "zod";
import { fieldErrors } from "../field-errors.ts";
import { jsonPointer } from "../json-pointer.ts";
import type { Refusal } from "../ledger/command.ts";
import { maskTokens } from "../tokens/mask.ts";

/** Whatever a refusal names beyond these is only counted: an answer stays small. */
const MOST_FIELD_ERRORS = 20;

/**
 * A refusal as RFC 9457 has it, made of the catalogue and of our own sentences. Names of fields and things come from the
 * request: if somebody put a token there, it is not said back.
 */
export function problemOf(refusal: Refusal, requestId: string): Problem {
  const { status, meaning, remedy } = ERRORS[refusal.code];
  const { detail, errors } = refusal;
  const isLong = errors !== undefined && errors.length > MOST_FIELD_ERRORS;
  const more = isLong ? ` The first ${MOST_FIELD_ERRORS} of ${errors.length} are listed.` : "";
  return {
    type: `/docs/errors#${refusal.code}`,
    title: meaning,
    status,
    detail: maskTokens(detail + more),
    code: refusal.code,
    remedy,
    requestId,
    ...(errors && {
      errors: errors
        .slice(0, MOST_FIELD_ERRORS)
        .map(({ path, message }) => ({ path: maskTokens(path), message: maskTokens(message) })),
    }),
  };
}

export function problemResponse(
  refusal: Refusal,
  requestId: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const problem = problemOf(refusal, requestId);
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { "Content-Type": "application/problem+json", ...standardHeaders(refusal.code), ...headers },
  });
}

/** What HTTP asks for beside the status (RFC 9110, RFC 6750). */
function standardHeaders(code: ErrorCode): Record<string, string> {
  if (code === "unauthenticated") return { "WWW-Authenticate": 'Bearer realm="bunting"' };
  return ERRORS[code].status === 503 ? { "Retry-After": "1" } : {};
}

/** Where a value came from: decides how its place is written. */
export type Source = "body" | "path" | "query" | "header";

const LONGEST_MESSAGE = 200;

export function invalid(source: Source, error: z.core.$ZodError): Refusal {
  const errors = error.issues
    .flatMap((issue) => fieldErrors(issue))
    .map(({ path, message }) => ({ path: place(source, path), message: cut(message) }));
  const what = source === "body" ? "body of the request does" : `${source} parameters of the request do`;
  return { code: "invalid_request", detail: `The ${what} not fit the schema.`, errors };
}

export function invalidField(path: string, message: string): Refusal {
  return { code: "invalid_request", detail: message, errors: [{ path, message }] };
}

function place(source: Source, path: readonly PropertyKey[]): string {
  return source === "body" ? jsonPointer(path) : `${source}.${path.map(String).join(".")}`;
}

function cut(message: string): string {
  return message.length <= LONGEST_MESSAGE ? message : `${message.slice(0, LONGEST_MESSAGE).toWellFormed()}…`;
}
