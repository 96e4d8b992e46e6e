import { readFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { z } from "zod";
import { AUTHORIZATION } from "../config.ts";
import type { Scheduler } from "../ports.ts";

/*
 * Values from a Prometheus. The operator says where it is, and nothing else does: a query travels as a form body and changes
 * neither host nor path, no redirect is followed, and no proxy is taken from the environment. What it answers reaches nobody
 * but as a number, or as a reason in words of ours.
 */

/** One look at one metric. `value: null` is an answer without a value; `error` is no answer, and says why. */
export type QueryResult = { readonly value: number | null } | { readonly error: string };

export interface PrometheusSource {
  /** Never rejects. */
  query(query: string, signal: AbortSignal): Promise<QueryResult>;
}

export interface PrometheusOptions {
  /** `http` or `https`, without anything after the path. */
  readonly baseUrl: string;
  /** The header Authorization, or the file it is in. */
  readonly authorization: string | { readonly file: string } | null;
  readonly scheduler: Scheduler;
}

export const QUERY_TIMEOUT_MS = 5_000;
export const ANSWER_LIMIT_BYTES = 64 * 1024;

export function createPrometheus({ baseUrl, authorization, scheduler }: PrometheusOptions): PrometheusSource {
  const url = new URL(`${baseUrl}/api/v1/query`);
  return {
    async query(query, signal) {
      let header: string | null;
      try {
        header = await readAuthorization(authorization);
      } catch {
        return { error: "the credentials for Prometheus cannot be read" };
      }
      const body = new URLSearchParams({ query, timeout: `${QUERY_TIMEOUT_MS}ms` }).toString();
      const answer = await post({ url, body, authorization: header, scheduler, signal });
      return "error" in answer ? answer : readAnswer(answer.status, answer.text);
    },
  };
}

async function readAuthorization(authorization: PrometheusOptions["authorization"]): Promise<string | null> {
  if (authorization === null || typeof authorization === "string") return authorization;
  const text = (await readFile(authorization.file, "utf8")).trim();
  if (!AUTHORIZATION.test(text)) throw new Error("This is no header Authorization.");
  return text;
}

// --- the request

interface Post {
  readonly url: URL;
  readonly body: string;
  readonly authorization: string | null;
  readonly scheduler: Scheduler;
  readonly signal: AbortSignal;
}

type Posted = { readonly status: number; readonly text: string } | { readonly error: string };

function post({ url, body, authorization, scheduler, signal }: Post): Promise<Posted> {
  return new Promise((resolve) => {
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      "content-length": Buffer.byteLength(body),
      accept: "application/json",
      "accept-encoding": "identity",
      ...(authorization !== null && { authorization }),
    };
    // An agent of its own: the global one may be told by the environment to go through a proxy.
    const options = { method: "POST", headers, agent: false, signal } as const;
    const request = url.protocol === "https:" ? https.request(url, options) : http.request(url, options);
    const finish = (posted: Posted): void => {
      cancelTimeout();
      resolve(posted);
      request.destroy();
    };
    const cancelTimeout = scheduler.after(QUERY_TIMEOUT_MS, () =>
      finish({ error: `Prometheus took more than ${QUERY_TIMEOUT_MS / 1000} s` }),
    );
    request.on("error", (error) => finish({ error: `Prometheus could not be reached${reasonOf(error)}` }));
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_LIMIT_BYTES) {
          finish({ error: `Prometheus answered with more than ${ANSWER_LIMIT_BYTES / 1024} KiB` });
        } else {
          chunks.push(chunk);
        }
      });
      response.on("error", () => finish({ error: "Prometheus broke its answer off" }));
      response.on("end", () => finish({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    request.end(body);
  });
}

/** The system's name of what went wrong, such as `ECONNREFUSED`. */
function reasonOf(error: Error): string {
  return "code" in error && typeof error.code === "string" && /^[A-Z_0-9]{1,40}$/.test(error.code)
    ? ` (${error.code})`
    : "";
}

// --- the answer

const sample = z.tuple([z.number(), z.string()]);

const success = z.object({
  status: z.literal("success"),
  /** Of errors that did not keep it from answering: a remote store that could not be read, a bucket without its bound. */
  warnings: z.array(z.string()).optional(),
  /** How VictoriaMetrics says so. */
  isPartial: z.boolean().optional(),
  data: z.discriminatedUnion("resultType", [
    z.object({ resultType: z.literal("vector"), result: z.array(z.object({ value: sample.optional() })) }),
    z.object({ resultType: z.literal("scalar"), result: sample }),
    z.object({ resultType: z.enum(["matrix", "string"]) }),
  ]),
});

/** What Prometheus calls its own errors. */
const failure = z.object({
  status: z.literal("error"),
  errorType: z.enum(["timeout", "canceled", "execution", "bad_data", "internal", "unavailable", "not_found"]),
});

/** Exported for its tests. */
export function readAnswer(status: number, text: string): QueryResult {
  const answer = parseJson(text);
  if (status !== 200) {
    const failed = failure.safeParse(answer);
    return { error: `Prometheus answered ${status}${failed.success ? ` (${failed.data.errorType})` : ""}` };
  }
  const parsed = success.safeParse(answer);
  if (!parsed.success) return { error: "Prometheus answered with something that is no result of a query" };
  const { data, warnings = [], isPartial = false } = parsed.data;
  // What is missing could be all the errors there are: such a value would pass a limit that is exceeded.
  if (isPartial || !warnings.every(isNote)) return { error: PARTIAL };
  switch (data.resultType) {
    case "matrix":
    case "string":
      return { error: `the query gives a ${data.resultType} and no value` };
    case "scalar":
      return readValue(data.result[1]);
    case "vector": {
      const [first, second] = data.result;
      if (first === undefined) return { value: null };
      // In what order they come is chance: one that is within its limits would hide one that is not.
      if (second !== undefined) {
        return { error: `the query gives ${data.result.length} values and not one: aggregate them, as by sum()` };
      }
      return first.value ? readValue(first.value[1]) : { error: "the query gives a histogram and no value" };
    }
  }
}

const PARTIAL = "Prometheus warned that the value may rest on a part of the data";

/** What is worth knowing about a query and wrong with none, such as the name of a counter. Until 2.52 these were warnings too. */
function isNote(warning: string): boolean {
  return warning.startsWith("PromQL info: ");
}

/** As Go writes a float64. What is no number and what has no bounds is no data. */
function readValue(text: string): QueryResult {
  if (/^(?:NaN|[+-]?Inf)$/.test(text)) return { value: null };
  const value = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? { value } : { error: "Prometheus answered with a value that is no number" };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
