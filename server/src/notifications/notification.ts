import type { FlagNotification, Notification, RolloutNotification, TestNotification } from "@bunting/contracts";

/** A notification before it has its id, which the ledger gives it at the commit. */
export type NotificationDraft =
  | Omit<RolloutNotification, "id">
  | Omit<FlagNotification, "id">
  | Omit<TestNotification, "id">;

/**
 * What a decision has to say to people. The ledger writes one outbox row for each webhook that it is for, in the transaction
 * of the change: told if and only if it happened.
 */
export interface Announcement {
  readonly notification: NotificationDraft;
  /** Names of webhooks. Empty: every one that takes this kind and environment. */
  readonly to: readonly string[];
}

export function withId(draft: NotificationDraft, id: string): Notification {
  return { ...draft, id };
}
