import { randomUUID } from "node:crypto";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import type { Logger } from "pino";
import { z } from "zod";
import type { Database } from "./database.ts";
import type { Metrics } from "./metrics.ts";
import type { GameSessionRegistry } from "./registry.ts";
import type { ResumeTokens } from "./resume-token.ts";
import { newSession } from "./session.ts";

export interface ServiceOptions {
  readonly registry: GameSessionRegistry;
  readonly database: Database;
  readonly resumeTokens: ResumeTokens;
  readonly metrics: Metrics;
  readonly log: Logger;
}

const player = z.string().min(1).max(64);
const sessionDraft = z.strictObject({
  players: z
    .array(player)
    .min(1)
    .max(8)
    .refine((players) => new Set(players).size === players.length, { error: "Each player joins once." }),
});
const message = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("GAME_MOVE"), move: z.string().min(1).max(256) }),
  /** "Everything up to this sequence has reached me." */
  z.strictObject({ type: z.literal("GAME_ACK"), sequence: z.int().min(0) }),
]);
const replayQuery = z.object({ after: z.coerce.number().int().min(0) });

/** The HTTP side: who is asking, is it well-formed, what to answer. Everything else is the registry's. */
export function createService({ registry, database, resumeTokens, metrics, log }: ServiceOptions): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: 16 * 1024, onError: () => refuse(413, "body_too_large").getResponse() }));
  app.onError((error) => {
    if (error instanceof HTTPException) return error.getResponse();
    log.error({ err: error }, "Request failed");
    return refuse(500, "internal").getResponse();
  });

  app.post("/sessions", async (context) => {
    const { players } = await body(context, sessionDraft);
    const session = newSession({ id: randomUUID(), players, now: Date.now() });
    database.insert(session);
    const tokens = players.map((name) => [name, resumeTokens.issue(session.id, name)]);
    return context.json({ session, resumeTokens: Object.fromEntries(tokens) }, 201);
  });

  /** Joining, and the look-up that every other request of a client begins with. */
  app.get("/sessions/:id", async (context) => {
    const { id, player } = playerOf(context);
    return context.json({ session: (await registry.lookUp(id, player)) ?? notFound() });
  });

  app.get("/sessions/:id/replay", async (context) => {
    const { id, player } = playerOf(context);
    const { after } = checked(replayQuery, context.req.query());
    const replay = (await registry.replay(id, player, after)) ?? notFound();
    if (replay.kind === "pruned") throw refuse(410, "replay_pruned", { prunedUpTo: replay.prunedUpTo });
    if (replay.kind === "ahead") throw refuse(422, "sequence_ahead", { sequence: replay.sequence });
    return context.json({ events: replay.events });
  });

  app.post("/sessions/:id/messages", async (context) => {
    const { id, player } = playerOf(context);
    const sent = await body(context, message);
    if (sent.type === "GAME_MOVE") {
      return context.json({ event: (await registry.move(id, player, sent.move)) ?? notFound() }, 201);
    }
    const outcome = (await registry.acknowledge(id, player, sent.sequence)) ?? notFound();
    if (outcome.kind === "ahead") throw refuse(422, "sequence_ahead", { sequence: outcome.session.sequence });
    return context.json({ outcome: outcome.kind, acknowledged: outcome.session.acknowledged });
  });

  app.get("/metrics", async (context) => {
    return context.body(await metrics.registry.metrics(), 200, { "content-type": metrics.registry.contentType });
  });
  app.get("/healthz", (context) => context.text("ok"));
  return app;

  function playerOf(context: Context): { id: string; player: string } {
    const id = context.req.param("id") ?? "";
    const token = /^Bearer (\S+)$/.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
    const player = resumeTokens.verify(id, token);
    if (player === undefined) throw refuse(401, "resume_token_invalid");
    return { id, player };
  }
}

async function body<Schema extends z.ZodType>(context: Context, schema: Schema): Promise<z.output<Schema>> {
  const document: unknown = await context.req.json().catch((error: unknown) => {
    if (error instanceof SyntaxError) throw refuse(400, "body_not_json");
    throw error;
  });
  return checked(schema, document);
}

function checked<Schema extends z.ZodType>(schema: Schema, document: unknown): z.output<Schema> {
  const parsed = schema.safeParse(document);
  if (!parsed.success) throw refuse(422, "invalid", { errors: z.flattenError(parsed.error) });
  return parsed.data;
}

function notFound(): never {
  throw refuse(404, "session_not_found");
}

function refuse(status: 400 | 401 | 404 | 410 | 413 | 422 | 500, code: string, details: object = {}): HTTPException {
  const problem = JSON.stringify({ status, code, ...details });
  const headers = { "content-type": "application/problem+json" };
  return new HTTPException(status, { res: new Response(problem, { status, headers }) });
}
