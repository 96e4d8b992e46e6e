import type { EvidenceBook } from "./evidence/book.ts";
import { RequestOutcome } from "./evidence/request-outcome.ts";
import type { Context, Platform } from "./ports.ts";
import type { HonoContext, OutcomesMiddleware, OutcomesOptions, OutgoingResponse } from "./types.ts";

/** The request under way, by whatever carries it. */
export interface RequestContext {
  readonly context: Context<RequestOutcome>;
  readonly book: EvidenceBook;
  /** By request, of every middleware of this client: where several are mounted, a request still ends once. */
  readonly underWay: WeakMap<object, FollowedRequest>;
}

/** One per client, made when `outcomes()` is first called: until then no evaluation looks for a request. */
export function createRequestContext(platform: Platform, book: EvidenceBook): RequestContext {
  const context = platform.createContext?.<RequestOutcome>();
  if (context === undefined) {
    throw new TypeError("Cannot report outcomes of requests: this platform cannot follow asynchronous calls");
  }
  book.currentRequest = () => context.current();
  return { context, book, underWay: new WeakMap() };
}

/** A status, if the response is complete; else who ended it: the client, or the server, which promised what it did not send. */
type Ending = number | "aborted" | "broken";
/** Whether a request that ended so failed; null: that says nothing. */
type Judge = (ending: Ending) => boolean | null;

class FollowedRequest {
  readonly outcome: RequestOutcome = new RequestOutcome();
  judge: Judge;
  private readonly book: EvidenceBook;
  private readonly startedAt: number;

  constructor(book: EvidenceBook, judge: Judge) {
    this.book = book;
    this.judge = judge;
    this.startedAt = book.now();
  }

  end(ending: Ending): void {
    if (this.outcome.isOver) return;
    const isError = this.judge(ending);
    if (isError === null) return this.outcome.settle(null);
    const now = this.book.now();
    this.outcome.settle({ isError, latencyMs: now - this.startedAt, now });
  }
}

/** See {@link Flags.outcomes}. One function; each framework calls it with arguments of its own. */
export function createOutcomes(
  { context, book, underWay }: RequestContext,
  { isError = isServerError, aborted = "ignored" }: OutcomesOptions,
): OutcomesMiddleware {
  const judge: Judge = (ending) => {
    if (ending === "aborted") return aborted === "ignored" ? null : true;
    return ending === "broken" || judged(isError, ending);
  };

  /** Of several middlewares the one nearest to the route knows best what an error is. */
  const followedBefore = (request: object): FollowedRequest | undefined => {
    const known = underWay.get(request);
    if (known !== undefined) known.judge = judge;
    return known;
  };

  const follow = (request: object): FollowedRequest => {
    const followed = new FollowedRequest(book, judge);
    underWay.set(request, followed);
    return followed;
  };

  const begin = (request: EndedRequest, response: EndedResponse): RequestOutcome => {
    const known = followedBefore(request);
    if (known !== undefined) return known.outcome;
    const followed = follow(request);
    const { outcome } = followed;
    keepContext(request, (emit) => context.run(outcome, emit));
    response.once("finish", () => followed.end(endOfStream(response) ?? response.statusCode));
    // Follows `finish`, where there is one, and then changes nothing.
    response.once("close", () => followed.end(endOfStream(response) ?? endOfConnection(request, response)));
    return outcome;
  };

  const inHono = async (hono: HonoContext, next: () => Promise<void>): Promise<void> => {
    const { raw } = hono.req;
    const known = followedBefore(raw);
    if (known !== undefined) return context.run(known.outcome, next);
    const followed = follow(raw);
    raw.signal?.addEventListener("abort", () => followed.end("aborted"));
    try {
      await context.run(followed.outcome, next);
    } catch (error) {
      // Only what is no Error comes past hono's own handler; whoever is above makes a 500 of it.
      followed.end(500);
      throw error;
    }
    // A handler that returns nothing is a 500 too, which hono makes later; until then `res` is an empty 200.
    followed.end(hono.finalized === false ? 500 : hono.res.status);
  };

  const inExpress = (request: object, response: OutgoingResponse, next: () => void): void =>
    context.run(begin(request, response), next);

  const inFastify = (instance: FastifyInstance, done: () => void): void => {
    const hook: FastifyHook = ({ raw: request }, { raw: response }, next) => inExpress(request, response, next);
    instance.addHook("onRequest", hook);
    done();
  };

  const aroundListener =
    (listener: Listener): Listener =>
    (request, response) =>
      context.run(begin(request, response), () => listener(request, response));

  const middleware = (...given: readonly unknown[]): unknown => {
    const [first, second, third] = given;
    if (isFunction<Listener>(first)) return aroundListener(first);
    if (isFunction<() => Promise<void>>(second)) return inHono(first as HonoContext, second);
    if (!isFunction<() => void>(third))
      throw new TypeError("Cannot report outcomes: not called by a framework it knows");
    if (isFastify(first)) return inFastify(first, third);
    return inExpress(first as object, second as OutgoingResponse, third);
  };
  // A fastify plugin that asks for it is no scope of its own: its hooks are for every route.
  return Object.assign(middleware, { [Symbol.for("skip-override")]: true }) as OutcomesMiddleware;
}

type Listener = (request: object, response: OutgoingResponse) => unknown;

type FastifyHook = (
  request: { readonly raw: object },
  reply: { readonly raw: OutgoingResponse },
  next: () => void,
) => void;

interface FastifyInstance {
  addHook(name: string, hook: FastifyHook): unknown;
}

function isFastify(value: unknown): value is FastifyInstance {
  return typeof value === "object" && value !== null && "addHook" in value && isFunction(value.addHook);
}

function isFunction<Type extends (...given: never[]) => unknown>(value: unknown): value is Type {
  return typeof value === "function";
}

function isServerError(status: number): boolean {
  return status >= 500;
}

/**
 * The parts of a body arrive in the context of the connection, not of the request that they belong to: whoever reads the body
 * by events would leave the request with the first of them.
 */
function keepContext(request: object, inContext: (emit: () => unknown) => unknown): void {
  if (!("emit" in request) || !isFunction<(...event: unknown[]) => unknown>(request.emit)) return;
  const { emit } = request;
  request.emit = (...event: unknown[]) => inContext(() => emit.apply(request, event));
}

/** An option that throws must not end a request that went well. */
function judged(isError: (status: number) => boolean, status: number): boolean {
  try {
    return isError(status);
  } catch {
    return isServerError(status);
  }
}

/** As much of a request and its response as tells who ended it. */
interface EndedRequest {
  readonly socket?: { readonly readableEnded?: boolean; readonly errored?: unknown };
}
interface EndedResponse extends OutgoingResponse {
  /** What `destroy` was given. */
  readonly errored?: unknown;
  /** Of HTTP/2. */
  readonly stream?: {
    readonly aborted: boolean;
    readonly rstCode?: number;
    readonly errored?: { readonly syscall?: unknown } | null;
  };
}

/** Codes with which clients of HTTP/2 give up: NO_ERROR and CANCEL. */
const CLIENT_GAVE_UP: ReadonlySet<number | undefined> = new Set([0, 8]);

/** HTTP/2 says `finish` of responses that were cut, too: its stream knows better. Null where all is well, or no such stream. */
function endOfStream({ stream }: EndedResponse): Ending | null {
  if (stream?.aborted !== true) return null;
  // Where the connection was lost, the code is the same as of an error here; only that one is the system's.
  const isLost = typeof stream.errored?.syscall === "string";
  return isLost || CLIENT_GAVE_UP.has(stream.rstCode) ? "aborted" : "broken";
}

/**
 * Who closed the connection of a response that is not complete. A client that goes ends its side, or the network fails. Neither
 * happens when this process cuts it, as frameworks do where a handler throws after its headers are out.
 */
function endOfConnection({ socket }: EndedRequest, { errored }: EndedResponse): Ending {
  if (socket?.readableEnded !== false) return "aborted";
  return isPresent(socket.errored) && !isPresent(errored) ? "aborted" : "broken";
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}
