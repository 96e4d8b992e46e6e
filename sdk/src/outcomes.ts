import type { EvidenceBook } from "./evidence/book.ts";
import { RequestOutcome } from "./evidence/request-outcome.ts";
import type { Context, Platform } from "./ports.ts";
import type { HonoContext, OutcomesMiddleware, OutcomesOptions, OutgoingResponse } from "./types.ts";

/** The request under way, by whatever carries it. */
export interface RequestContext {
  readonly context: Context<RequestOutcome>;
  readonly book: EvidenceBook;
}

/** One per client, made when `outcomes()` is first called: until then no evaluation looks for a request. */
export function createRequestContext(platform: Platform, book: EvidenceBook): RequestContext {
  const context = platform.createContext?.<RequestOutcome>();
  if (context === undefined) {
    throw new TypeError("Cannot report outcomes of requests: this platform cannot follow asynchronous calls");
  }
  book.currentRequest = () => context.current();
  return { context, book };
}

/** See {@link Flags.outcomes}. One function; each framework calls it with arguments of its own. */
export function createOutcomes(
  { context, book }: RequestContext,
  { isError = isServerError, aborted = "ignored" }: OutcomesOptions,
): OutcomesMiddleware {
  /** By request: a middleware that is mounted twice, or a second hook of the same request, follows the first. */
  const underWay = new WeakMap<object, RequestOutcome>();

  const settle = (outcome: RequestOutcome, startedAt: number, status: number | "aborted"): void => {
    if (status === "aborted" && aborted === "ignored") return outcome.settle(null);
    const now = book.now();
    const failed = status === "aborted" || judged(isError, status);
    outcome.settle({ isError: failed, latencyMs: now - startedAt, now });
  };

  const begin = (request: object, response: OutgoingResponse): RequestOutcome => {
    const known = underWay.get(request);
    if (known !== undefined) return known;
    const outcome = new RequestOutcome();
    underWay.set(request, outcome);
    follow(request, (emit) => context.run(outcome, emit));
    const startedAt = book.now();
    response.once("finish", () => settle(outcome, startedAt, response.statusCode));
    // Follows `finish`, where there is one, and then changes nothing.
    response.once("close", () => settle(outcome, startedAt, "aborted"));
    return outcome;
  };

  const inHono = async (hono: HonoContext, next: () => Promise<void>): Promise<void> => {
    const { raw } = hono.req;
    const known = underWay.get(raw);
    if (known !== undefined) return context.run(known, next);
    const outcome = new RequestOutcome();
    underWay.set(raw, outcome);
    const startedAt = book.now();
    try {
      await context.run(outcome, next);
    } catch (error) {
      // Only what is no Error comes past hono's own handler; whoever is above makes a 500 of it.
      settle(outcome, startedAt, 500);
      throw error;
    }
    settle(outcome, startedAt, hono.res.status);
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
function follow(request: object, inContext: (emit: () => unknown) => unknown): void {
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
