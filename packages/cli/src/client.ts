import { type Problem, problem } from "@bunting/contracts";
import { EXIT_CODES } from "./exit-code.ts";
import { Failure, refusal } from "./failure.ts";
import { createPatience } from "./patience.ts";
import type { World } from "./world.ts";

/** The schemas of the contracts, as far as the client needs to know them. */
export interface Schema<Value> {
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: Value }
    | { readonly success: false; readonly error: { readonly issues: readonly Issue[] } };
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

type Page<Item> = Schema<{ items: Item[]; nextCursor: string | null }>;
/** For answers that nobody reads, as those to deletions, which may be empty. */
export const ANY_ANSWER = { safeParse: (value: unknown) => ({ success: true, data: value }) as const };

type Query = Readonly<Record<string, string | number | undefined>>;

export interface Answer<Value> {
  readonly value: Value;
  /** For `If-Match`, where the resource has one. */
  readonly etag: string | null;
}

export interface WriteRequest<Value> {
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly schema: Schema<Value>;
  /** For one try, where the server has long work to do. */
  readonly timeoutMs?: number;
  /** False where a second try would be refused because of the first. @default true for a POST, which carries a key */
  readonly isRepeatable?: boolean;
  /** Only if nobody changed it since: the ETag that was read. */
  readonly ifMatch?: string | null;
}

/** The admin API. Every answer is parsed here; whatever is not the answer that was asked for is a {@link Failure}. */
export interface Client {
  readonly url: string;
  get<Value>(path: string, schema: Schema<Value>, query?: Query): Promise<Answer<Value>>;
  /** Undefined where the server knows no such thing, for what a server may or may not have. */
  find<Value>(path: string, schema: Schema<Value>, query?: Query): Promise<Answer<Value> | undefined>;
  /** Page by page, for more than can be held at once. */
  pages<Item>(path: string, page: Page<Item>, query?: Query, limit?: number): AsyncGenerator<Item[]>;
  /** All pages, or as many as hold `limit` items. */
  list<Item>(path: string, page: Page<Item>, query?: Query, limit?: number): Promise<Item[]>;
  /** A document that is no JSON. */
  text(path: string, query?: Query): Promise<string>;
  /** An answer as it comes, however long it takes: the time limit is for each part of it. */
  bytes(path: string): AsyncGenerator<Uint8Array>;
  /** The same, line by line, each of them JSON. */
  lines<Value>(path: string, schema: Schema<Value>): AsyncGenerator<Value>;
  write<Value>(request: WriteRequest<Value>): Promise<Answer<Value>>;
}

export interface ClientOptions {
  readonly url: string;
  readonly token: string;
  /** For one try. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const TRIES = 3;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
const PAGE_SIZE = 200;

type ClientWorld = Pick<World, "fetch" | "sleep" | "random" | "uniqueKey">;

interface Attempt {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** Sent twice, it does what it does sent once. */
  readonly isRepeatable: boolean;
  readonly timeoutMs: number;
  /** Ends one try that takes longer. */
  readonly limit: (timeoutMs: number) => AbortSignal;
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly ifMatch?: string | null | undefined;
  readonly accept?: string;
  readonly isRepeatable?: boolean;
  readonly timeoutMs?: number;
  readonly limit?: Attempt["limit"];
}

/**
 * A read, and a POST with its Idempotency-Key, are tried again after a lost connection and when the server asks for it. Any
 * other write is tried again only where it surely never arrived: a PATCH with `If-Match` whose answer was lost would otherwise
 * be refused by its own success.
 */
export function createClient(options: ClientOptions, world: ClientWorld): Client {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;

  const attempt = async (request: Attempt): Promise<Response> => {
    for (let tries = 1; ; tries++) {
      const outcome = await send(request, world);
      const isLast = tries === TRIES;
      if (outcome instanceof Response) {
        if (isLast || !isWorthRepeating(outcome, request)) return outcome;
        await outcome.body?.cancel();
      } else if (isLast || !(request.isRepeatable || neverArrived(outcome))) {
        throw unreachable(options.url, outcome, request.timeoutMs);
      }
      await world.sleep(pauseMs(outcome, tries, world.random()));
    }
  };

  const request = ({ method, path, query = {}, body, ifMatch, ...given }: Request): Promise<Response> => {
    const isPost = method === "POST";
    return attempt({
      method,
      url: `${options.url}${path}${queryString(query)}`,
      headers: {
        accept: given.accept ?? "application/json, text/markdown;q=0.9",
        authorization: `Bearer ${options.token}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(isPost && { "idempotency-key": world.uniqueKey() }),
        ...(ifMatch != null && { "if-match": ifMatch }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      isRepeatable: given.isRepeatable ?? (method === "GET" || isPost),
      timeoutMs: given.timeoutMs ?? timeoutMs,
      limit: given.limit ?? ((ms) => AbortSignal.timeout(ms)),
    });
  };

  const get: Client["get"] = async (path, schema, query = {}) =>
    answerOf(await request({ method: "GET", path, query }), schema, options.url);

  const pages: Client["pages"] = async function* (path, page, query = {}, limit = Number.POSITIVE_INFINITY) {
    let left = limit;
    let cursor: string | undefined;
    do {
      const wanted = Math.min(PAGE_SIZE, left);
      const { value } = await get(path, page, { ...query, limit: wanted, cursor });
      yield value.items;
      left -= value.items.length;
      cursor = value.nextCursor ?? undefined;
    } while (cursor !== undefined && left > 0);
  };

  async function* bytes(path: string, accept = "*/*"): AsyncGenerator<Uint8Array> {
    const patience = createPatience(timeoutMs);
    try {
      const response = await request({ method: "GET", path, accept, limit: () => patience.begin() });
      if (!response.ok) throw refusalOf(parseJson(await readText(response, options.url)), response.status, options.url);
      for await (const chunk of response.body ?? []) {
        patience.renew();
        yield chunk as Uint8Array;
      }
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw unreachable(options.url, error instanceof Error ? error : new Error(String(error)), timeoutMs);
    } finally {
      patience.end();
    }
  }

  return {
    url: options.url,
    get,
    bytes,
    async *lines(path, schema) {
      for await (const line of linesOf(bytes(path, "application/x-ndjson"))) {
        const parsed = schema.safeParse(parseJson(line));
        if (!parsed.success)
          throw unexpected(options.url, "a line of its answer is not one of those that were asked for");
        yield parsed.data;
      }
    },
    async find(path, schema, query) {
      try {
        return await get(path, schema, query);
      } catch (error) {
        if (error instanceof Failure && (error.report.code === "not_found" || error.report.code.endsWith("_not_found")))
          return undefined;
        throw error;
      }
    },
    pages,
    async list(path, page, query, limit) {
      const items = [];
      for await (const read of pages(path, page, query, limit)) items.push(...read);
      return items;
    },
    async text(path, query = {}) {
      const response = await request({ method: "GET", path, query });
      const text = await readText(response, options.url);
      if (response.ok) return text;
      throw refusalOf(parseJson(text), response.status, options.url);
    },
    async write({ schema, ...given }) {
      return answerOf(await request(given), schema, options.url);
    },
  };
}

/** The error as a value: what to do about it depends on the request. Redirects are not followed, the token stays here. */
async function send(request: Attempt, world: ClientWorld): Promise<Response | Error> {
  const { url, method, headers, body } = request;
  try {
    return await world.fetch(url, {
      method,
      headers,
      body,
      signal: request.limit(request.timeoutMs),
      redirect: "manual",
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function isWorthRepeating(response: Response, request: Attempt): boolean {
  return request.isRepeatable && (response.status === 503 || response.status === 429);
}

/** The connection was never made, so nothing was sent. */
function neverArrived(error: Error): boolean {
  return ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"].includes(causeCode(error));
}

/** What the server asks for, else exponential; never longer than a person would wait. Half of it is jitter. */
function pauseMs(outcome: Response | Error, tries: number, random: number): number {
  const asked =
    outcome instanceof Response ? Number(outcome.headers.get("retry-after") ?? Number.NaN) * 1000 : Number.NaN;
  const pause = Number.isNaN(asked) ? FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + random / 2) : asked;
  return Math.min(pause, LONGEST_PAUSE_MS);
}

async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}

async function answerOf<Value>(response: Response, schema: Schema<Value>, url: string): Promise<Answer<Value>> {
  const text = await readText(response, url);
  if (response.status >= 300 && response.status < 400) {
    throw unexpected(url, `it redirects to ${response.headers.get("location") ?? "nowhere"}`);
  }
  const body = text === "" ? null : parseJson(text);
  if (body === undefined) throw unexpected(url, `status ${response.status}, and the body is not JSON`);
  if (!response.ok) throw refusalOf(body, response.status, url);
  const parsed = schema.safeParse(body);
  if (parsed.success) return { value: parsed.data, etag: response.headers.get("etag") };
  const [issue] = parsed.error.issues;
  throw unexpected(
    url,
    `status ${response.status}, /${issue?.path.map(String).join("/") ?? ""}: ${issue?.message ?? "unknown shape"}`,
  );
}

/** A connection can break between the head of an answer and its body. */
async function readText(response: Response, url: string): Promise<string> {
  try {
    return await response.text();
  } catch (error) {
    throw unreachable(url, error instanceof Error ? error : new Error(String(error)), DEFAULT_TIMEOUT_MS);
  }
}

function refusalOf(body: unknown, status: number, url: string): Failure {
  const parsed: { success: true; data: Problem } | { success: false } = problem.safeParse(body);
  return parsed.success ? refusal(parsed.data) : unexpected(url, `status ${status} without a problem document`);
}

function unexpected(url: string, what: string): Failure {
  return new Failure(EXIT_CODES.unreachable, {
    code: "unexpected_answer",
    detail: `What answers at ${url} does not speak this version of the admin API: ${what}.`,
    remedy: "Check the URL. If it is a Bunting server, use the command line of its release.",
  });
}

function unreachable(url: string, error: Error, timeoutMs: number): Failure {
  const why =
    error.name === "TimeoutError"
      ? `no answer within ${timeoutMs / 1000} s`
      : (REASONS[causeCode(error)] ?? error.message);
  return new Failure(
    EXIT_CODES.unreachable,
    {
      code: "unreachable",
      detail: `Cannot reach ${url}: ${why}.`,
      remedy:
        "`bunting serve` starts a server here; BUNTING_URL or --url names another. To kill without a server, see docs/operating/kill.md.",
    },
    { cause: error },
  );
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused, nothing listens there",
  ENOTFOUND: "the name does not resolve",
  EAI_AGAIN: "the name does not resolve at the moment",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  ECONNRESET: "the connection was reset",
  UND_ERR_SOCKET: "the connection was closed before an answer came",
  UND_ERR_CONNECT_TIMEOUT: "the connection was not accepted in time",
};

/** `fetch` wraps what happened on the socket, several addresses of one name in one more layer. */
function causeCode(error: Error): string {
  const cause = error.cause as { code?: unknown; errors?: readonly { code?: unknown }[] } | undefined;
  const code = cause?.code ?? cause?.errors?.[0]?.code;
  return typeof code === "string" ? code : "";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function queryString(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  return parameters.size === 0 ? "" : `?${parameters.toString()}`;
}
