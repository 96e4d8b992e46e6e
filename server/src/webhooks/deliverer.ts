import type { Ledger } from "../ledger/ledger.ts";
import { fromInstant } from "../platform/instant.ts";
import type { Cancel, Clock, Logger, Random, Scheduler } from "../ports.ts";
import type { DueDelivery, TryRecord, TryResult } from "./delivery.ts";
import type { Outgoing, OutgoingAnswer } from "./outgoing.ts";
import { retryDelayMs } from "./retry.ts";
import type { SecretBox } from "./secret-box.ts";
import { SIGNATURE_HEADER, signatureOf } from "./signature.ts";
import { type StoredWebhook, sealedSecretRecord, sealedUrlRecord } from "./stored-webhook.ts";
import type { WebhookMetrics } from "./webhook-metrics.ts";

export interface DelivererDeps {
  readonly ledger: Pick<Ledger, "state" | "outbox" | "onOutbox">;
  readonly outgoing: Outgoing;
  readonly box: Pick<SecretBox, "open">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Pick<Random, "next">;
  readonly logger: Logger;
  readonly metrics: WebhookMetrics;
}

/** Requests under way at once. One per webhook: a receiver that is slow for everybody must not be everybody's load. */
const REQUESTS_AT_ONCE = 8;

/** The outbox is looked at this often even if nothing seems due: the wall clock, by which it keeps, may have been set. */
const LONGEST_SLEEP_MS = 60_000;

/**
 * Takes deliveries from the outbox and brings them to their webhooks, each at least once: a delivery stays due until its
 * result is on the disk, so a crash in between repeats it under the same id. It remembers nothing that the outbox does not.
 *
 * Deliveries of one webhook go one at a time, and in order as long as they succeed; one that failed does not hold up those
 * behind it.
 */
export class Deliverer {
  readonly #deps: DelivererDeps;
  readonly #underWay = new Map<string, Promise<void>>();
  /** Results that the disk did not take, by webhook, which is told nothing more until it does: else it were told for ever. */
  readonly #unrecorded = new Map<string, TryResult>();
  /** The webhook whose turn was last. */
  #latest: string | null = null;
  #cancelTimer: Cancel = () => undefined;
  readonly #cancelListener: Cancel;
  #isClosed = false;

  constructor(deps: DelivererDeps) {
    this.#deps = deps;
    this.#cancelListener = deps.ledger.onOutbox(() => this.#wakeSoon(0));
    this.#wakeSoon(0);
  }

  /** Resolves when what is under way has ended and is recorded. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelListener();
    this.#cancelTimer();
    await Promise.all(this.#underWay.values());
  }

  #wakeSoon(delayMs: number): void {
    if (this.#isClosed) return;
    this.#cancelTimer();
    this.#cancelTimer = this.#deps.scheduler.after(delayMs, () => this.#wake());
  }

  #wake(): void {
    const { ledger, clock, logger } = this.#deps;
    let sleepMs = LONGEST_SLEEP_MS;
    try {
      this.#recordAgain();
      const now = clock.now();
      for (const webhook of this.#inTurn()) {
        if (this.#underWay.size >= REQUESTS_AT_ONCE) break;
        if (!webhook.enabled) continue;
        if (this.#underWay.has(webhook.id) || this.#unrecorded.has(webhook.id)) continue;
        const due = ledger.outbox.due(webhook.id, now);
        if (due) this.#begin(webhook, due);
        else sleepMs = Math.min(sleepMs, (ledger.outbox.nextTryAt(webhook.id) ?? Number.POSITIVE_INFINITY) - now);
      }
    } catch (error) {
      logger.error({ error }, "The outbox could not be read.");
    }
    this.#wakeSoon(Math.max(0, sleepMs));
  }

  /** Beginning behind the one whose turn was last: in a fixed order the first eight, if they hang, would starve all others. */
  #inTurn(): readonly StoredWebhook[] {
    const webhooks = [...this.#deps.ledger.state.webhooks.values()];
    const next = webhooks.findIndex(({ id }) => id === this.#latest) + 1;
    return [...webhooks.slice(next), ...webhooks.slice(0, next)];
  }

  #begin(webhook: StoredWebhook, due: DueDelivery): void {
    this.#latest = webhook.id;
    const done = this.#deliver(webhook, due).then(
      () => {
        this.#underWay.delete(webhook.id);
        this.#wakeSoon(0);
      },
      // Nothing throws in there that we know of. Whatever does must not end the process, nor be tried without a pause.
      (error: unknown) => {
        this.#underWay.delete(webhook.id);
        this.#deps.logger.error({ error, delivery: due.id }, "A delivery could not be tried.");
      },
    );
    this.#underWay.set(webhook.id, done);
  }

  async #deliver(webhook: StoredWebhook, due: DueDelivery): Promise<void> {
    const { clock, random, logger, metrics } = this.#deps;
    const at = clock.now();
    const answer = await this.#send(webhook, due, at);
    const lastTry = tryOf(at, answer);
    const tryCount = due.tryCount + 1;
    const delayMs = retryDelayMs(tryCount, random.next());
    const state = lastTry.failure === null ? "delivered" : delayMs === null ? "dead" : "waiting";
    const nextTryAt = state === "waiting" ? clock.now() + (delayMs ?? 0) : null;
    metrics.tries.inc({ outcome: lastTry.failure ?? "delivered" });
    metrics.seconds.observe(lastTry.durationMs / 1000);
    const { status, failure } = lastTry;
    const fields = { webhook: webhook.name, delivery: due.id, kind: due.kind, tryCount, status, failure };
    if (state === "dead") logger.error(fields, "A delivery failed for the last time.");
    else if (state === "waiting") logger.warn(fields, "A delivery failed and will be tried again.");
    else logger.debug(fields, "A webhook was told.");
    this.#record({ id: due.id, state, nextTryAt, lastTry }, webhook.id);
  }

  async #send(webhook: StoredWebhook, { id, kind, body }: DueDelivery, at: number): Promise<OutgoingAnswer | null> {
    const { box, outgoing } = this.#deps;
    const url = box.open(webhook.sealedUrl, sealedUrlRecord(webhook.id));
    const secrets = webhook.secrets
      .filter(({ endsAt }) => endsAt === null || fromInstant(endsAt) > at)
      .map(({ sealed }) => box.open(sealed, sealedSecretRecord(webhook.id)))
      .filter((secret) => secret !== null);
    // Never unsigned: a receiver that checks would refuse it, and one that does not should not be taught to.
    if (url === null || secrets.length === 0 || body === null) return null;
    return outgoing.send({
      method: "POST",
      url,
      headers: {
        "content-type": "application/json; charset=utf-8",
        "bunting-delivery": id,
        "bunting-notification": kind,
        [SIGNATURE_HEADER.toLowerCase()]: signatureOf(body, secrets, Math.floor(at / 1000)),
      },
      body,
    });
  }

  #record(result: TryResult, webhook: string): void {
    try {
      this.#deps.ledger.outbox.record(result);
      this.#unrecorded.delete(webhook);
    } catch (error) {
      this.#unrecorded.set(webhook, result);
      this.#deps.logger.error({ delivery: result.id, error }, "The result of a delivery could not be written down.");
    }
  }

  #recordAgain(): void {
    for (const [webhook, result] of this.#unrecorded) this.#record(result, webhook);
  }
}

function tryOf(at: number, answer: OutgoingAnswer | null): TryRecord {
  if (answer === null) return { at, durationMs: 0, status: null, failure: "undeliverable", answerBytes: 0 };
  const { durationMs, byteCount: answerBytes } = answer;
  if (!answer.ok) return { at, durationMs, status: null, failure: answer.failure, answerBytes };
  const { status } = answer;
  return { at, durationMs, status, failure: failureOf(status), answerBytes };
}

function failureOf(status: number): TryRecord["failure"] {
  if (status >= 200 && status < 300) return null;
  return status >= 300 && status < 400 ? "redirect" : "status";
}
