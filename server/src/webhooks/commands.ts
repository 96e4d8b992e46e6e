import { LIMITS } from "@bunting/contracts/literals";
import type { Command } from "../ledger/command.ts";
import { type AuditDraft, type Decided, NOTHING, refuse, type Situation } from "../ledger/decision.ts";
import { fromInstant, toInstant } from "../platform/instant.ts";
import { within } from "../tokens/permission.ts";
import { type AllowedHosts, judgeUrl } from "./address.ts";
import {
  type StoredSecret,
  type StoredWebhook,
  sealedSecretRecord,
  sealedUrlRecord,
  shownWebhook,
} from "./stored-webhook.ts";

type Create = Extract<Command, { type: "create_webhook" }>;
type Rotate = Extract<Command, { type: "rotate_webhook" }>;
type Patch = Extract<Command, { type: "patch_webhook" }>;
type Redeliver = Extract<Command, { type: "redeliver" }>;
type Test = Extract<Command, { type: "test_webhook" }>;
type Delete = Extract<Command, { type: "delete_webhook" }>;

/** What commands of webhooks take from the world. */
export interface WebhookFacts {
  /** A fresh id at each call. */
  readonly newId: () => string;
  /** A fresh secret at each call. */
  readonly newSecret: () => string;
  readonly seal: (secret: string, record: string) => string;
  readonly allowedHosts: AllowedHosts;
}

export function createWebhook({ draft }: Create, { state, actor, now, webhooks: facts }: Situation): Decided {
  const { name, url, format, kinds, environments, secret } = draft;
  const missing = environments?.find((key) => state.environments.get(key)?.archivedAt !== null);
  if (missing !== undefined) return refuseField("/environments", `There is no living environment ${missing}.`);
  if (!within(actor.environments, environments)) {
    return refuseField(
      "/environments",
      `This token covers ${actor.environments?.join(", ")} and cannot listen to more.`,
    );
  }
  const judged = judgeUrl(url, facts.allowedHosts);
  if (!judged.ok) return refuseAddress(judged.why);
  // Also one that the actor cannot see: names are what plans go by.
  if ([...state.webhooks.values()].some((other) => other.name === name)) {
    return refuse("webhook_exists", `There is a webhook ${name} already.`);
  }
  if (state.webhooks.size >= LIMITS.webhooks) {
    return refuse("limit_exceeded", `At most ${LIMITS.webhooks} webhooks.`);
  }

  const id = facts.newId();
  const made = secret === undefined ? facts.newSecret() : undefined;
  const webhook: StoredWebhook = {
    id,
    name,
    ...sealedAddress(id, judged.url, facts),
    format,
    enabled: true,
    kinds: kinds && [...new Set(kinds)],
    environments: environments && [...new Set(environments)],
    secrets: [newestSecret(id, secret ?? made ?? "", now, facts)],
    createdAt: now,
    createdBy: actor.token,
    testedAt: null,
  };
  return {
    ok: true,
    edits: [{ kind: "webhook", id, after: webhook }],
    audit: [auditOf("create_webhook", null, webhook)],
    ...(made !== undefined && { secret: made }),
  };
}

/** The new secret signs at once, the former one beside it until the overlap ends. One that was replaced before is gone. */
export function rotateWebhook({ name, draft }: Rotate, { state, actor, now, webhooks: facts }: Situation): Decided {
  const before = findWebhook(state, actor, name);
  if (!before) return refuseUnknown(name);
  const made = draft.secret === undefined ? facts.newSecret() : undefined;
  const [former] = before.secrets;
  const endsAt = toInstant(fromInstant(now) + draft.overlapSeconds * 1000);
  const kept = former && draft.overlapSeconds > 0 ? [{ ...former, endsAt }] : [];
  const secrets = [newestSecret(before.id, draft.secret ?? made ?? "", now, facts), ...kept];
  const after: StoredWebhook = { ...before, secrets };
  return {
    ok: true,
    edits: [{ kind: "webhook", id: before.id, after }],
    audit: [auditOf("rotate_webhook", before, after)],
    ...(made !== undefined && { secret: made }),
  };
}

/** Deliveries that wait go to the new address, in the format in which they were written. */
export function patchWebhook({ name, patch }: Patch, { state, actor, webhooks: facts }: Situation): Decided {
  const before = findWebhook(state, actor, name);
  if (!before) return refuseUnknown(name);
  const { url, format = before.format, enabled = before.enabled } = patch;
  const judged = url === undefined ? null : judgeUrl(url, facts.allowedHosts);
  if (judged?.ok === false) return refuseAddress(judged.why);
  const address = judged === null ? {} : sealedAddress(before.id, judged.url, facts);
  const after: StoredWebhook = { ...before, ...address, format, enabled };
  if (url === undefined && format === before.format && enabled === before.enabled) return NOTHING;
  return {
    ok: true,
    edits: [{ kind: "webhook", id: before.id, after }],
    audit: [auditOf("patch_webhook", before, after)],
  };
}

/** One that was given up is tried again under its id, which receivers know repetitions by. */
export function redeliver({ name, delivery }: Redeliver, { state, actor }: Situation): Decided {
  const webhook = findWebhook(state, actor, name);
  if (!webhook) return refuseUnknown(name);
  if (!webhook.enabled) return refuseDisabled(name);
  const object = { kind: "webhook", key: name, environment: null } as const;
  return {
    ok: true,
    edits: [{ kind: "delivery", webhook: webhook.id, id: delivery }],
    audit: [{ action: "redeliver", object, before: null, after: { delivery }, reason: null }],
  };
}

/** Tells this webhook alone, whatever kinds and environments it takes. */
export function testWebhook({ name }: Test, { state, actor, now }: Situation): Decided {
  const before = findWebhook(state, actor, name);
  if (!before) return refuseUnknown(name);
  if (!before.enabled) return refuseDisabled(name);
  if (before.testedAt !== null && isRecent(before.testedAt, now)) {
    return refuse("webhook_tested_recently", `${name} was tested at ${before.testedAt}.`);
  }
  const after: StoredWebhook = { ...before, testedAt: now };
  const text = `${actor.name} tests the webhook ${name}.`;
  return {
    ok: true,
    edits: [{ kind: "webhook", id: before.id, after }],
    audit: [auditOf("test_webhook", before, after)],
    announcements: [{ notification: { kind: "webhook.test", at: now, by: actor.name, text }, to: [name] }],
  };
}

/** Its deliveries go with it, those that wait and those that were kept to be looked at. */
export function deleteWebhook({ name }: Delete, { state, actor }: Situation): Decided {
  const before = findWebhook(state, actor, name);
  if (!before) return refuseUnknown(name);
  return {
    ok: true,
    edits: [{ kind: "webhook", id: before.id, after: null }],
    audit: [auditOf("delete_webhook", before, null)],
  };
}

/** A webhook that listens beyond the actor's environments is not there for him. */
export function findWebhook(
  state: Pick<Situation["state"], "webhooks">,
  actor: Pick<Situation["actor"], "environments">,
  name: string,
): StoredWebhook | undefined {
  for (const webhook of state.webhooks.values()) {
    if (webhook.name === name) return within(actor.environments, webhook.environments) ? webhook : undefined;
  }
  return undefined;
}

function sealedAddress(id: string, { href, origin }: URL, { seal }: WebhookFacts) {
  return { origin, sealedUrl: seal(href, sealedUrlRecord(id)) };
}

function newestSecret(id: string, secret: string, now: string, { seal }: WebhookFacts): StoredSecret {
  return { sealed: seal(secret, sealedSecretRecord(id)), createdAt: now, endsAt: null };
}

/** A clock that was set back must not shut a webhook's test for the time in between. */
function isRecent(testedAt: string, now: string): boolean {
  const elapsedMs = fromInstant(now) - fromInstant(testedAt);
  return elapsedMs >= 0 && elapsedMs < LIMITS.webhookTestIntervalMs;
}

function auditOf(action: string, before: StoredWebhook | null, after: StoredWebhook | null): AuditDraft {
  return {
    action,
    object: { kind: "webhook", key: (after ?? before)?.name ?? "", environment: null },
    before: before && shownWebhook(before),
    after: after && shownWebhook(after),
    reason: null,
  };
}

const refuseField = (path: string, message: string) => refuse("webhook_scope_invalid", message, [{ path, message }]);

const refuseDisabled = (name: string) => refuse("webhook_disabled", `${name} is disabled.`);

function refuseAddress(why: string) {
  const message = `The server makes no requests to this address: ${why}.`;
  return refuse("outgoing_address_refused", message, [{ path: "/url", message }]);
}

const refuseUnknown = (name: string) => refuse("webhook_not_found", `There is no webhook ${name}.`);
