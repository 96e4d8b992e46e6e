import type { Delivery, DeliveryTry, NotificationKind } from "@bunting/contracts";
import { toInstant } from "../platform/instant.ts";

/** A delivery as the store keeps it. Times are Unix ms. */
export interface DeliveryRecord {
  /** 1, 2, 3 … in the order of the changes. */
  readonly number: number;
  readonly id: string;
  readonly webhook: string;
  readonly notification: string;
  readonly kind: NotificationKind;
  readonly state: Delivery["state"];
  readonly createdAt: number;
  readonly bodyBytes: number;
  readonly tryCount: number;
  /** Null once it has ended. */
  readonly nextTryAt: number | null;
  readonly lastTry: TryRecord | null;
}

export interface TryRecord {
  readonly at: number;
  readonly durationMs: number;
  readonly status: number | null;
  readonly failure: DeliveryTry["failure"];
  readonly answerBytes: number;
}

/** One that may be tried now, with what is sent. */
export interface DueDelivery extends Pick<DeliveryRecord, "id" | "webhook" | "kind" | "tryCount"> {
  /** Null if the stored text does not fit its checksum. */
  readonly body: string | null;
}

/** How a try ended, and what comes next. */
export interface TryResult {
  readonly id: string;
  readonly state: Delivery["state"];
  readonly nextTryAt: number | null;
  readonly lastTry: TryRecord;
}

/**
 * What webhooks are to be told and were told. Rows come to be in the transaction of the change that they tell of; from then on
 * they are moved along here, outside of audited changes.
 */
export interface Outbox {
  /** The webhook's delivery that has been due longest, if one is. */
  due(webhook: string, now: number): DueDelivery | undefined;
  /** When the webhook's next delivery is due, Unix ms; null: nothing waits. */
  nextTryAt(webhook: string): number | null;
  /** Durable when it returns. Throws a StorageError. */
  record(result: TryResult): void;
  /** Newest first. */
  read(webhook: string, filter: DeliveryFilter): readonly DeliveryRecord[];
  /** For the metrics. */
  count(): OutboxCount;
}

export interface DeliveryFilter {
  /** Numbers below; null: all. */
  readonly before: number | null;
  readonly limit: number;
  readonly state?: Delivery["state"] | undefined;
  readonly id?: string;
}

export interface OutboxCount {
  readonly waiting: number;
  readonly dead: number;
  /** Unix ms; null: nothing waits. */
  readonly oldestWaitingAt: number | null;
}

export function shownDelivery(record: DeliveryRecord, name: string): Delivery {
  const { id, notification, kind, state, createdAt, bodyBytes, tryCount, nextTryAt, lastTry } = record;
  return {
    id,
    webhook: name,
    notification,
    kind,
    state,
    createdAt: toInstant(createdAt),
    bodyBytes,
    tryCount,
    nextTryAt: nextTryAt === null ? null : toInstant(nextTryAt),
    lastTry: lastTry && shownTry(lastTry),
  };
}

/** Of the status only its class: what an address answers is nobody's business here. */
function shownTry({ at, durationMs, status, failure, answerBytes }: TryRecord): DeliveryTry {
  return {
    at: toInstant(at),
    durationMs: Math.round(durationMs),
    statusClass: status === null ? null : `${Math.floor(status / 100)}xx`,
    failure,
    answerBytes,
  };
}
