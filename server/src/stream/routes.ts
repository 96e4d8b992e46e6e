import { snapshot as snapshotSchema, telemetryAck, telemetryBatch } from "@bunting/contracts";
import { LIMITS, SENT_AT_HEADER, SUBPROTOCOL } from "@bunting/contracts/literals";
import { z } from "zod";
import { type Refused, type Reply, type Router, refused } from "../http/route.ts";
import type { Actor } from "../ledger/command.ts";
import type { Telemetry, TelemetryAnswer } from "../telemetry/telemetry.ts";
import { type Claim, parseClaim } from "./backlog.ts";
import type { Hub } from "./hub.ts";

/*
 * What SDKs ask by ordinary HTTP, for as long as they have no stream. The token decides the environment, so neither path nor
 * query names it.
 */

const tag = "sdk";

const name = z
  .string()
  .regex(/^[\x20-\x7e]*$/)
  .max(LIMITS.instanceNameCharacters)
  .default("");

const rulesetQuery = z.object({
  /** Holds the answer 304 for this long, until something newer is committed. */
  waitMs: z.coerce.number().int().min(0).max(LIMITS.waitMs).default(0),
  instance: name,
  boot: name,
  sdk: name,
});

/** A batch whose content does not fit, but of which it is clear whose it is. */
const unreadableBatch = telemetryBatch.pick({ instance: true, boot: true, sequence: true });

const telemetryBody = z.union([telemetryBatch, unreadableBatch]);

export interface SdkSlice {
  readonly delivery: Pick<Hub, "poll">;
  readonly telemetry: Telemetry;
}

export function sdkRoutes(router: Router, { delivery, telemetry }: SdkSlice): void {
  router.add(
    {
      method: "get",
      path: "/sdk/v1/ruleset",
      operationId: "getRuleset",
      tag,
      summary: "Read the whole ruleset",
      description:
        `What an SDK polls that cannot open the stream (\`GET /sdk/v1/stream\`, a websocket that speaks \`${SUBPROTOCOL}\`). ` +
        'The ETag is the position, `"<epoch>:<revision>"`; with it in `If-None-Match` the answer is 304 while nothing is newer.',
      access: "subscribe",
      query: rulesetQuery,
      tolerant: true,
      success: {
        status: 200,
        description: "One `snapshot` message, in one part.",
        schema: snapshotSchema,
        example: RULESET,
        headers: ["ETag", SENT_AT_HEADER],
      },
      errors: ["environment_not_found", "environment_archived", "position_ahead"],
    },
    async ({ actor, query, ifNoneMatch, acceptsGzip, signal }) => {
      const environment = environmentOf(actor);
      if (typeof environment !== "string") return environment;
      const { waitMs, instance, boot, sdk } = query;
      const identity = { token: actor.token, instance, boot, sdk };
      const answer = await delivery.poll(environment, { identity, claim: parsePosition(ifNoneMatch), waitMs, signal });
      if (!answer.ok) return answer;
      const headers = {
        "Cache-Control": "no-cache",
        Vary: "Accept-Encoding",
        [SENT_AT_HEADER]: String(answer.sentAt),
      };
      if (answer.snapshot === "unchanged") {
        return { status: 304, headers: { ...headers, ...(ifNoneMatch !== undefined && { ETag: ifNoneMatch }) } };
      }
      const { epoch, revision } = answer.snapshot;
      const ETag = `"${epoch}:${revision}"`;
      if (!acceptsGzip) return { status: 200, body: answer.snapshot.body(), headers: { ...headers, ETag } };
      const body = await answer.snapshot.gzippedBody();
      return { status: 200, body, headers: { ...headers, ETag, "Content-Encoding": "gzip" } };
    },
  );

  router.add(
    {
      method: "post",
      path: "/sdk/v1/telemetry",
      operationId: "postTelemetry",
      tag,
      summary: "Report a batch of exposures",
      description:
        "Counted exactly once by (instance, boot, sequence): send the same batch until it is answered. `sequence` of the answer is " +
        "the highest that is durable; one below what was answered before means that the server lost its history.",
      access: "subscribe",
      tolerant: true,
      body: { schema: telemetryBody, limitBytes: LIMITS.telemetryBodyBytes, example: BATCH },
      success: { status: 200, description: "What is durable now.", schema: telemetryAck, example: ACK },
      errors: ["telemetry_too_old", "storage_unknown_outcome"],
    },
    async ({ actor, body }) => {
      const environment = environmentOf(actor);
      if (typeof environment !== "string") return environment;
      if ("cells" in body) return answerBatch(await telemetry.record(environment, body));
      await telemetry.refuse(environment, body);
      return refused("invalid_request", "The batch does not fit the schema. It is not counted; go on with the next.");
    },
  );
}

function answerBatch(answer: TelemetryAnswer): Reply {
  switch (answer.type) {
    case "stored":
      return { status: 200, body: { type: "telemetry_ack", sequence: answer.sequence } };
    case "refused":
      return refused(answer.code, "The batch is older than an hour and of a boot that is not known here. Drop it.");
    case "unavailable":
      return refused("storage_unknown_outcome", "Telemetry cannot be stored at the moment. Send the same batch again.");
  }
}

function environmentOf(actor: Actor): NonNullable<Actor["environments"]>[number] | Refused {
  return actor.environments?.[0] ?? refused("forbidden", "The token has no environment.");
}

/** The position in an entity tag. A proxy that compresses may have made it weak, or added others. */
function parsePosition(ifNoneMatch: string | undefined): Claim {
  const [, epoch, revision] = /"([^":]+):([0-9]+)"/.exec(ifNoneMatch ?? "") ?? [];
  return parseClaim(epoch, revision);
}

const RULESET = {
  type: "snapshot",
  epoch: "k3Jd81Qz",
  revision: 42,
  checksum: "000000000000",
  part: 1,
  parts: 1,
  flags: {},
  segments: {},
};

const BATCH = {
  instance: "checkout-7f9c",
  boot: "Jq81kd0P",
  sequence: 12,
  from: 1_795_143_845_678,
  to: 1_795_143_905_678,
  ageMs: 15,
  cells: [{ flag: "redis-readthrough", variant: "on", exposures: 5_120 }],
};

const ACK = { type: "telemetry_ack", sequence: 12 };
