import {
  deliveryPage,
  deliveryQuery,
  delivery as deliverySchema,
  pageQuery,
  rotateWebhookRequest,
  webhookDraft,
  webhookName,
  webhookPage,
  webhookPatch,
  webhook as webhookSchema,
  webhookWithSecret,
} from "@bunting/contracts";
import { z } from "zod";
import { badCursor, decodeCursor, encodeCursor, pageByKey } from "../http/cursor.ts";
import { pageOf } from "../http/examples.ts";
import { answer, type Carried, carryOut } from "../http/mutation.ts";
import { type Reply, type Router, refused, STORAGE_ERRORS } from "../http/route.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { State } from "../ledger/state.ts";
import { within } from "../tokens/permission.ts";
import { findWebhook } from "./commands.ts";
import { shownDelivery } from "./delivery.ts";
import { DELIVERY, WEBHOOK, WEBHOOK_WITH_SECRET } from "./examples.ts";
import { type StoredWebhook, shownWebhook } from "./stored-webhook.ts";

const tag = "webhooks";

const ofWebhook = z.object({ webhook: webhookName });
const ofDelivery = ofWebhook.extend({ delivery: z.string().min(1).max(80) });

interface WebhookSlice {
  readonly ledger: Pick<Ledger, "state" | "execute" | "outbox">;
}

export function webhookRoutes(router: Router, { ledger }: WebhookSlice): void {
  router.add(
    {
      method: "get",
      path: "/api/v1/webhooks",
      operationId: "listWebhooks",
      tag,
      summary: "List webhooks",
      description: "By name. Of an address only scheme, host and port are shown, of a secret only its age.",
      access: "read_webhooks",
      query: pageQuery,
      success: { status: 200, description: "One page.", schema: webhookPage, example: pageOf(WEBHOOK) },
    },
    ({ actor, query }) => {
      const visible = [...ledger.state.webhooks.values()].filter(({ environments }) =>
        within(actor.environments, environments),
      );
      const paged = pageByKey(visible, ({ name }) => name, query);
      if (!paged.ok) return { refusal: paged.refusal };
      return { status: 200, body: { ...paged.page, items: paged.page.items.map(shownWebhook) } };
    },
  );

  router.add(
    {
      method: "post",
      path: "/api/v1/webhooks",
      operationId: "createWebhook",
      tag,
      summary: "Create a webhook",
      description:
        "From the next change on it is told what it takes. A secret that the server makes is in this answer and nowhere else.",
      access: "create_webhook",
      body: { schema: webhookDraft },
      repeatable: true,
      success: {
        status: 201,
        description: "The webhook, with its secret if the server made it.",
        schema: webhookWithSecret,
        example: WEBHOOK_WITH_SECRET,
        headers: ["Location"],
      },
      errors: [
        "webhook_exists",
        "outgoing_address_refused",
        "webhook_scope_invalid",
        "secret_shown_once",
        "limit_exceeded",
        ...STORAGE_ERRORS,
      ],
    },
    (request) => {
      const { name } = request.body;
      return withSecret(
        carryOut(ledger, request, { type: "create_webhook", draft: request.body }, ({ state }) => ({
          status: 201,
          body: shownWebhook(webhookNamed(name, state)),
          headers: { Location: `/api/v1/webhooks/${name}` },
        })),
      );
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/webhooks/{webhook}",
      operationId: "getWebhook",
      tag,
      summary: "Read a webhook",
      access: "read_webhooks",
      params: ofWebhook,
      success: { status: 200, description: "The webhook.", schema: webhookSchema, example: WEBHOOK },
      errors: ["webhook_not_found"],
    },
    ({ actor, params }) => {
      const webhook = findWebhook(ledger.state, actor, params.webhook);
      return webhook ? { status: 200, body: shownWebhook(webhook) } : unknown(params.webhook);
    },
  );

  router.add(
    {
      method: "patch",
      path: "/api/v1/webhooks/{webhook}",
      operationId: "patchWebhook",
      tag,
      summary: "Change a webhook's address or format, or switch it off and on",
      description:
        "What waits for it goes to the new address, in the format in which it was written. While it is off nothing is written for " +
        "it, and what waits is not tried.",
      access: "patch_webhook",
      params: ofWebhook,
      body: { schema: webhookPatch },
      repeatable: true,
      success: { status: 200, description: "The webhook.", schema: webhookSchema, example: WEBHOOK },
      errors: ["webhook_not_found", "outgoing_address_refused", ...STORAGE_ERRORS],
    },
    (request) => {
      const name = request.params.webhook;
      return answer(
        carryOut(ledger, request, { type: "patch_webhook", name, patch: request.body }, ({ state }) => ({
          status: 200,
          body: shownWebhook(webhookNamed(name, state)),
          headers: {},
        })),
      );
    },
  );

  router.add(
    {
      method: "delete",
      path: "/api/v1/webhooks/{webhook}",
      operationId: "deleteWebhook",
      tag,
      summary: "Delete a webhook",
      description: "With all that waits for it. Its name is free again.",
      access: "delete_webhook",
      params: ofWebhook,
      success: { status: 204, description: "It is told nothing any more." },
      errors: ["webhook_not_found", ...STORAGE_ERRORS],
    },
    ({ actor, params }) => {
      const outcome = ledger.execute({ type: "delete_webhook", name: params.webhook }, actor);
      return outcome.ok ? { status: 204 } : { refusal: outcome.refusal };
    },
  );

  router.add(
    {
      method: "post",
      path: "/api/v1/webhooks/{webhook}/rotate",
      operationId: "rotateWebhook",
      tag,
      summary: "Replace a webhook's secret",
      description: "The new one signs at once, the former one beside it until the overlap has passed.",
      access: "rotate_webhook",
      params: ofWebhook,
      body: { schema: rotateWebhookRequest },
      repeatable: true,
      success: {
        status: 200,
        description: "The webhook, with its new secret if the server made it.",
        schema: webhookWithSecret,
        example: WEBHOOK_WITH_SECRET,
      },
      errors: ["webhook_not_found", "secret_shown_once", ...STORAGE_ERRORS],
    },
    (request) => {
      const name = request.params.webhook;
      return withSecret(
        carryOut(ledger, request, { type: "rotate_webhook", name, draft: request.body }, ({ state }) => ({
          status: 200,
          body: shownWebhook(webhookNamed(name, state)),
          headers: {},
        })),
      );
    },
  );

  router.add(
    {
      method: "post",
      path: "/api/v1/webhooks/{webhook}/test",
      operationId: "testWebhook",
      tag,
      summary: "Send a webhook a test notification",
      description: "Whatever it takes otherwise, once in ten seconds. Its deliveries say what became of it.",
      access: "test_webhook",
      params: ofWebhook,
      success: { status: 200, description: "The delivery, on its way.", schema: deliverySchema, example: DELIVERY },
      errors: ["webhook_not_found", "webhook_disabled", "webhook_tested_recently", ...STORAGE_ERRORS],
    },
    ({ actor, params }) => {
      const outcome = ledger.execute({ type: "test_webhook", name: params.webhook }, actor);
      if (!outcome.ok) return { refusal: outcome.refusal };
      const { id, name } = webhookNamed(params.webhook, outcome.state);
      const [newest] = ledger.outbox.read(id, { before: null, limit: 1 });
      if (!newest) throw new Error("The ledger accepted a test that is not in its outbox.");
      return { status: 200, body: shownDelivery(newest, name) };
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/webhooks/{webhook}/deliveries",
      operationId: "listDeliveries",
      tag,
      summary: "Read what a webhook was told, and what became of it",
      description:
        "Newest first, of one `state` or of all. Those that ended are kept until there are a thousand of them. What the address " +
        "answered is not kept.",
      access: "read_webhooks",
      params: ofWebhook,
      query: deliveryQuery,
      success: { status: 200, description: "One page.", schema: deliveryPage, example: pageOf(DELIVERY) },
      errors: ["webhook_not_found"],
    },
    ({ actor, params, query }) => {
      const webhook = findWebhook(ledger.state, actor, params.webhook);
      if (!webhook) return unknown(params.webhook);
      const before = query.cursor === undefined ? null : parseNumber(decodeCursor(query.cursor));
      if (before === undefined) return { refusal: badCursor() };
      // One more than shown: whether there is a next page.
      const records = ledger.outbox.read(webhook.id, { before, limit: query.limit + 1, state: query.state });
      const shown = records.slice(0, query.limit);
      const last = shown.at(-1);
      const nextCursor = records.length > shown.length && last ? encodeCursor(String(last.number)) : null;
      const items = shown.map((record) => shownDelivery(record, webhook.name));
      return { status: 200, body: { items, nextCursor } };
    },
  );

  router.add(
    {
      method: "post",
      path: "/api/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver",
      operationId: "redeliver",
      tag,
      summary: "Deliver again what was given up",
      description: "A `dead` delivery waits again, with all its tries, under the same id and with the same body.",
      access: "redeliver",
      params: ofDelivery,
      success: { status: 200, description: "The delivery, on its way.", schema: deliverySchema, example: DELIVERY },
      errors: ["webhook_not_found", "delivery_not_found", "delivery_not_dead", "webhook_disabled", ...STORAGE_ERRORS],
    },
    ({ actor, params }) => {
      const webhook = findWebhook(ledger.state, actor, params.webhook);
      if (!webhook) return unknown(params.webhook);
      const { id, name } = webhook;
      const find = () => ledger.outbox.read(id, { before: null, limit: 1, id: params.delivery })[0];
      const record = find();
      if (!record) return refused("delivery_not_found", `${name} has no delivery ${params.delivery}.`);
      if (record.state !== "dead") return refused("delivery_not_dead", `${record.id} is ${record.state}.`);
      const outcome = ledger.execute({ type: "redeliver", name, delivery: record.id }, actor);
      if (!outcome.ok) return { refusal: outcome.refusal };
      return { status: 200, body: shownDelivery(find() ?? record, name) };
    },
  );
}

/** Added outside of what is stored for a repetition, which the ledger refuses anyway. */
function withSecret(carried: Carried): Reply {
  if (!carried.ok) return carried.refused;
  const secret = carried.accepted?.secret;
  return secret === undefined ? carried.made : { ...carried.made, body: { ...carried.made.body, secret } };
}

const unknown = (name: string) => refused("webhook_not_found", `There is no webhook ${name}.`);

function webhookNamed(name: string, state: State): StoredWebhook {
  const webhook = findWebhook(state, { environments: null }, name);
  if (!webhook) throw new Error("The ledger accepted a command of a webhook that is not in its state.");
  return webhook;
}

function parseNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}
