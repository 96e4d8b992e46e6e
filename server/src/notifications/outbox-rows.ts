import type { Notification, NotificationKind } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import type { StoredWebhook } from "../webhooks/stored-webhook.ts";
import { renderNotification } from "./render.ts";

/** One notification on its way to one webhook, as the transaction of its change stores it. */
export interface OutboxRow {
  /** The delivery's id: the same at every try. */
  readonly id: string;
  /** Id of the webhook. */
  readonly webhook: string;
  /** Id of the notification. */
  readonly notification: string;
  readonly kind: NotificationKind;
  /** What is sent, byte for byte, at every try. */
  readonly body: string;
}

/**
 * The rows of one notification. Pure: equal inputs make equal rows. What is too long for one delivery is sent without its
 * figures rather than not at all.
 *
 * @param to names of webhooks; empty: every one that takes this kind and environment
 */
export function outboxRows(
  notification: Notification,
  webhooks: Iterable<StoredWebhook>,
  to: readonly string[] = [],
): readonly OutboxRow[] {
  const rows: OutboxRow[] = [];
  for (const webhook of webhooks) {
    if (to.length > 0 && !to.includes(webhook.name)) continue;
    if (!takes(webhook, notification)) continue;
    rows.push({
      id: `${notification.id}.${webhook.id}`,
      webhook: webhook.id,
      notification: notification.id,
      kind: notification.kind,
      body: bodyOf(notification, webhook),
    });
  }
  return rows;
}

function takes({ enabled, kinds, environments }: StoredWebhook, notification: Notification): boolean {
  if (!enabled) return false;
  // Somebody asked for it by name.
  if (notification.kind === "webhook.test") return true;
  if (kinds !== null && !kinds.includes(notification.kind)) return false;
  return environments === null || environments.includes(notification.environment);
}

function bodyOf(notification: Notification, { format }: StoredWebhook): string {
  const body = renderNotification(notification, format);
  if (Buffer.byteLength(body) <= LIMITS.notificationBytes) return body;
  return renderNotification(withoutFigures(notification), format);
}

/** What remains is bounded by the limits of its fields: far below {@link LIMITS.notificationBytes}. */
function withoutFigures(notification: Notification): Notification {
  return "rollout" in notification
    ? { ...notification, plan: null, decision: null, rollout: { ...notification.rollout, links: {} } }
    : notification;
}
