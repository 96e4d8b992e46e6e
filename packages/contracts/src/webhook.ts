import { z } from "zod";
import { page, pageQuery } from "./admin.ts";
import { environmentKey, instant, KEY_PATTERN, text } from "./key.ts";
import { LIMITS, NOTIFICATION_KINDS, RESERVED_KEYS, WEBHOOK_FORMATS } from "./literals.ts";

/*
 * A webhook: an address of somebody else that is told what happens here. Its address and its secrets go in and never come
 * out again.
 */

export const notificationKind = z.enum(NOTIFICATION_KINDS);
export type NotificationKind = z.infer<typeof notificationKind>;

export const webhookFormat = z.enum(WEBHOOK_FORMATS);
export type WebhookFormat = z.infer<typeof webhookFormat>;

/** Names a webhook: in its path, and in `notify` of a plan. Free again once the webhook is deleted. */
export const webhookName = z
  .string()
  .regex(
    KEY_PATTERN,
    "A webhook's name starts with a letter or digit and holds letters, digits, dots, hyphens and underscores.",
  )
  .refine((name) => !(RESERVED_KEYS as readonly string[]).includes(name), "This name is reserved. Choose another.");

const secret = z
  .string()
  .min(LIMITS.webhookSecretMinCharacters)
  .max(LIMITS.webhookSecretCharacters)
  .regex(/^[\x21-\x7e]+$/, "A secret is printable ASCII without spaces.");

const address = text(LIMITS.urlBytes).refine((url) => URL.canParse(url), "This is no address.");

export const webhookDraft = z
  .strictObject({
    name: webhookName,
    /** Write-only: the address of an incoming webhook is a password in itself. */
    url: address,
    format: webhookFormat.default("json"),
    /** `null`: all. */
    kinds: z.array(notificationKind).min(1).nullable().default(null),
    /** `null`: all. */
    environments: z.array(environmentKey).min(1).max(LIMITS.environments).nullable().default(null),
    /** Left out: the server makes one and shows it once. */
    secret: secret.optional(),
  })
  .meta({ id: "WebhookDraft", example: { name: "releases", url: "https://hooks.example.com/bunting" } });
export type WebhookDraft = z.infer<typeof webhookDraft>;

/** What is left out stays as it is. */
export const webhookPatch = z
  .strictObject({
    url: address.optional(),
    format: webhookFormat.optional(),
    /** `false`: it is told nothing, also not later of what happens meanwhile. What waits for it waits on. */
    enabled: z.boolean().optional(),
  })
  .refine((patch) => Object.values(patch).some((value) => value !== undefined), "Nothing would be changed.")
  .meta({ id: "WebhookPatch", example: { enabled: false } });
export type WebhookPatch = z.infer<typeof webhookPatch>;

/** A webhook as it is shown: without its path, query and secrets. */
export const webhook = z
  .object({
    /** Names the record for ever, whatever takes its name later. */
    id: z.string(),
    name: webhookName,
    /** Scheme, host and port of its address. */
    origin: z.string(),
    format: webhookFormat,
    enabled: z.boolean(),
    kinds: z.array(notificationKind).nullable(),
    environments: z.array(environmentKey).nullable(),
    /** Newest first. Two while one is replaced by the next. */
    secrets: z.array(
      z.object({
        createdAt: instant,
        /** When it stops signing; null: not before the next rotation. */
        endsAt: instant.nullable(),
      }),
    ),
    createdAt: instant,
    /** Id of a token. */
    createdBy: z.string(),
    testedAt: instant.nullable(),
  })
  .meta({ id: "Webhook" });
export type Webhook = z.infer<typeof webhook>;
export const webhookPage = page(webhook, "WebhookPage");

/** The only answer that ever holds a secret, and only one that the server made. */
export const webhookWithSecret = webhook
  .extend({ secret: z.string().optional().describe("Absent where the caller gave it.") })
  .meta({ id: "WebhookWithSecret" });
export type WebhookWithSecret = z.infer<typeof webhookWithSecret>;

export const rotateWebhookRequest = z
  .strictObject({
    /** Left out: the server makes one and shows it once. */
    secret: secret.optional(),
    /** How long the former secret signs beside the new one. */
    overlapSeconds: z
      .int()
      .min(0)
      .max(30 * 24 * 60 * 60)
      .default(24 * 60 * 60),
  })
  .meta({ id: "RotateWebhookRequest", example: { overlapSeconds: 3600 } });
export type RotateWebhookRequest = z.infer<typeof rotateWebhookRequest>;

/** What became of one try, without a word of the answer's content. */
export const deliveryTry = z.object({
  at: instant,
  durationMs: z.number(),
  /** `2xx` to `5xx`; null without an answer. */
  statusClass: z.string().nullable(),
  /** Why there was none, or why it did not count; null for a success. */
  failure: z
    .enum(["status", "redirect", "timeout", "connection", "address_refused", "answer_too_large", "undeliverable"])
    .nullable(),
  /** Bytes of the answer's body, as far as it was read. */
  answerBytes: z.int(),
});
export type DeliveryTry = z.infer<typeof deliveryTry>;

export const deliveryState = z.enum(["waiting", "delivered", "dead"]);

export const delivery = z
  .object({
    /** The same at every try: what a receiver recognises a repetition by. */
    id: z.string(),
    webhook: webhookName,
    /** Id of the notification. */
    notification: z.string(),
    kind: notificationKind,
    /** `dead`: the last try failed, or too many were waiting. */
    state: deliveryState,
    createdAt: instant,
    bodyBytes: z.int(),
    tryCount: z.int(),
    nextTryAt: instant.nullable(),
    lastTry: deliveryTry.nullable(),
  })
  .meta({ id: "Delivery" });
export type Delivery = z.infer<typeof delivery>;
export const deliveryPage = page(delivery, "DeliveryPage");
export const deliveryQuery = pageQuery.extend({ state: deliveryState.optional() });
