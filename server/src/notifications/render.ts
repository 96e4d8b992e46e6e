import type { Notification, WebhookFormat } from "@bunting/contracts";
import { slackMessage } from "./slack.ts";

/** What a receiver is sent. */
export function renderNotification(notification: Notification, format: WebhookFormat): string {
  switch (format) {
    case "json":
      return JSON.stringify(notification);
    case "slack":
      return JSON.stringify(slackMessage(notification));
  }
}
