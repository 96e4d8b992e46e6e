import type { Context } from "hono";
import { Hono } from "hono";
import type { State } from "../ledger/state.ts";
import type { Metrics } from "../ops/metrics.ts";
import type { Clock, Logger, Random } from "../ports.ts";
import { StorageError } from "../store/store.ts";
import { headerLimit } from "./middleware/header-limit.ts";
import { observe } from "./middleware/observe.ts";
import { requestId } from "./middleware/request-id.ts";
import { securityHeaders } from "./middleware/security-headers.ts";
import { problemResponse } from "./problem.ts";
import {
  type Answer,
  type AnyRoute,
  type AppEnv,
  type Authenticate,
  handle,
  type Refused,
  type Reply,
  type Router,
  refused,
} from "./route.ts";

export interface AppDeps {
  readonly authenticate: Authenticate;
  readonly state: () => State;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface App extends Router {
  readonly hono: Hono<AppEnv>;
  /** In the order in which they were added. */
  readonly routes: readonly AnyRoute[];
  /** Answers 405 where a path exists but not with this method. Call it once, after the last route. */
  finish(): void;
}

export function createApp(deps: AppDeps): App {
  const hono = new Hono<AppEnv>();
  const routes: AnyRoute[] = [];

  hono.use(requestId(deps.random));
  hono.use(observe(deps));
  hono.use(securityHeaders());
  hono.use(headerLimit());
  hono.notFound((context) => render(refused("not_found", "There is nothing at this path."), context));
  hono.onError((error, context) => {
    if (error instanceof StorageError)
      return render(refused("storage_read_only", "The database could not be read."), context);
    deps.logger.error({ error, requestId: context.get("requestId"), route: context.get("route") }, "request failed");
    return render(refused("internal", "This is a defect of the server. Report it with the request id."), context);
  });

  const mount = (given: object, handler: unknown): void => {
    // The generics of Router have done their work: from here on a route is data and its handler takes what it parsed.
    const route = strict(given as AnyRoute);
    const call = handler as (request: object) => Reply | Promise<Reply>;
    routes.push(route);
    hono.on(route.method, honoPath(route), async (context) => {
      context.set("route", route.path);
      const reply = await handle(route, (request, environment) => call({ ...request, environment }), context, deps);
      return render(reply, context);
    });
  };

  return {
    hono,
    routes,
    add: mount,
    addInEnvironment: mount,
    finish() {
      for (const path of new Set(routes.map(honoPath))) {
        const methods = routes.filter((route) => honoPath(route) === path).map(({ method }) => method.toUpperCase());
        const allow = methods.includes("GET") ? [...methods, "HEAD"] : methods;
        hono.all(path, (context) => {
          const refusal = refused("method_not_allowed", `This path takes ${allow.join(", ")}.`);
          return render({ ...refusal, headers: { Allow: allow.join(", ") } }, context);
        });
      }
    },
  };
}

/** Unknown parameters are refused like unknown fields, unless the route is for SDKs, which may be newer than we are. */
function strict(route: AnyRoute): AnyRoute {
  return {
    ...route,
    ...(route.params && { params: route.params.strict() }),
    ...(route.query && !route.tolerant && { query: route.query.strict() }),
  };
}

function honoPath({ path }: AnyRoute): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}

function render(reply: Reply, context: Context<AppEnv>): Response {
  if (isRefused(reply)) {
    context.set("code", reply.refusal.code);
    return problemResponse(reply.refusal, context.get("requestId"), reply.headers);
  }
  const { status, body, headers } = reply;
  if (body === undefined) return new Response(null, { status, headers: { ...headers } });
  const isSentAsItIs = typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;
  const text = isSentAsItIs ? body : JSON.stringify(body);
  return new Response(text, { status, headers: { "Content-Type": "application/json", ...headers } });
}

function isRefused(reply: Answer | Refused): reply is Refused {
  return "refusal" in reply;
}
