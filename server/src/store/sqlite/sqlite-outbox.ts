import { LIMITS } from "@bunting/contracts/literals";
import type Database from "better-sqlite3";
import type { OutboxRow } from "../../notifications/outbox-rows.ts";
import type {
  DeliveryFilter,
  DeliveryRecord,
  DueDelivery,
  Outbox,
  OutboxCount,
  TryRecord,
  TryResult,
} from "../../webhooks/delivery.ts";
import { LONGEST_DELAY_MS } from "../../webhooks/retry.ts";
import { guard } from "./guard.ts";
import type { Queries } from "./queries.ts";
import { rowChecksum, sameChecksum } from "./row-checksum.ts";

/** The outbox in the table `delivery`. */
export class SqliteOutbox implements Outbox {
  readonly #database: Database.Database;
  readonly #queries: Queries;

  constructor(database: Database.Database, queries: Queries) {
    this.#database = database;
    this.#queries = queries;
  }

  /** Within the transaction of a change. A webhook that nobody listens to holds no more than its limit: the oldest are given up. */
  append(rows: readonly OutboxRow[], at: number): void {
    const { build } = this.#queries;
    for (const { id, webhook, notification, kind, body } of rows) {
      const checksum = rowChecksum("delivery", id, body);
      const stored = { id, webhook, notification, kind, body, checksum, body_bytes: Buffer.byteLength(body) };
      this.#queries.run(
        build
          .insertInto("delivery")
          .values({ ...stored, created_at: at, state: "waiting", try_count: 0, next_try_at: at, last_try: null }),
      );
      this.#queries.run(
        build
          .updateTable("delivery")
          .set({ state: "dead", next_try_at: null })
          .where("webhook", "=", webhook)
          .where("state", "=", "waiting")
          .where("number", "<=", this.#numberBehind(webhook, LIMITS.deliveriesWaiting, ["waiting"])),
      );
    }
  }

  /** Within the transaction that deletes the webhook. */
  forget(webhook: string): void {
    this.#queries.run(this.#queries.build.deleteFrom("delivery").where("webhook", "=", webhook));
  }

  /** Within the transaction of whoever wants a delivery that was given up to be tried again. */
  revive({ webhook, id }: { readonly webhook: string; readonly id: string }, at: number): void {
    this.#queries.run(
      this.#queries.build
        .updateTable("delivery")
        .set({ state: "waiting", try_count: 0, next_try_at: at })
        .where("webhook", "=", webhook)
        .where("id", "=", id)
        .where("state", "=", "dead"),
    );
  }

  due(webhook: string, now: number): DueDelivery | undefined {
    const row = guard(() =>
      this.#queries.first(
        this.#queries.build
          .selectFrom("delivery")
          .select(["id", "kind", "body", "checksum", "try_count"])
          .where("webhook", "=", webhook)
          .where("state", "=", "waiting")
          // What is further away than any delay was written before the clock was set back: it would wait as long again.
          .where((where) =>
            where.or([where("next_try_at", "<=", now), where("next_try_at", ">", now + LONGEST_DELAY_MS)]),
          )
          .orderBy("next_try_at")
          .orderBy("number")
          .limit(1),
      ),
    );
    if (!row) return undefined;
    const { id, kind, body, checksum, try_count: tryCount } = row;
    const isWhole = sameChecksum(checksum, rowChecksum("delivery", id, body));
    return { id, webhook, kind, tryCount, body: isWhole ? body : null };
  }

  nextTryAt(webhook: string): number | null {
    const row = guard(() =>
      this.#queries.first(
        this.#queries.build
          .selectFrom("delivery")
          .select((select) => select.fn.min("next_try_at").as("at"))
          .where("webhook", "=", webhook)
          .where("state", "=", "waiting"),
      ),
    );
    return row?.at ?? null;
  }

  record({ id, state, nextTryAt, lastTry }: TryResult): void {
    const { build } = this.#queries;
    const write = this.#database.transaction(() => {
      const row = this.#queries.first(build.selectFrom("delivery").select(["webhook", "state"]).where("id", "=", id));
      // Deleted with its webhook while it was under way; or given up, and then a failure does not bring it back.
      if (!row || (row.state !== "waiting" && state === "waiting")) return;
      this.#queries.run(
        build
          .updateTable("delivery")
          .set({ state, next_try_at: nextTryAt, last_try: JSON.stringify(lastTry) })
          .set((column) => ({ try_count: column("try_count", "+", 1) }))
          .where("id", "=", id),
      );
      if (state === "waiting") return;
      // Somebody who looks for a message that never came finds it in a dead one; a received one is only in the way.
      if (state === "delivered") {
        const checksum = rowChecksum("delivery", id, "");
        this.#queries.run(build.updateTable("delivery").set({ body: "", checksum }).where("id", "=", id));
      }
      this.#queries.run(
        build
          .deleteFrom("delivery")
          .where("webhook", "=", row.webhook)
          .where("state", "!=", "waiting")
          .where("number", "<=", this.#numberBehind(row.webhook, LIMITS.deliveriesKept, ["delivered", "dead"])),
      );
    });
    guard(() => write.immediate());
  }

  read(webhook: string, { before, limit, state, id }: DeliveryFilter): readonly DeliveryRecord[] {
    let query = this.#queries.build
      .selectFrom("delivery")
      .select(["number", "id", "notification", "kind", "state", "created_at", "body_bytes", "try_count"])
      .select(["next_try_at", "last_try"])
      .where("webhook", "=", webhook)
      .orderBy("number", "desc")
      .limit(limit);
    if (before !== null) query = query.where("number", "<", before);
    if (state !== undefined) query = query.where("state", "=", state);
    if (id !== undefined) query = query.where("id", "=", id);
    return guard(() =>
      this.#queries.all(query).map((row) => ({
        number: row.number,
        id: row.id,
        webhook,
        notification: row.notification,
        kind: row.kind,
        state: row.state,
        createdAt: row.created_at,
        bodyBytes: row.body_bytes,
        tryCount: row.try_count,
        nextTryAt: row.next_try_at,
        lastTry: row.last_try === null ? null : (JSON.parse(row.last_try) as TryRecord),
      })),
    );
  }

  count(): OutboxCount {
    const { build } = this.#queries;
    const rows = guard(() =>
      this.#queries.all(
        build
          .selectFrom("delivery")
          .select((select) => ["state" as const, select.fn.countAll<number>().as("count")])
          .select((select) => select.fn.min("created_at").as("oldest"))
          .groupBy("state"),
      ),
    );
    const of = (state: string) => rows.find((row) => row.state === state);
    return {
      waiting: of("waiting")?.count ?? 0,
      dead: of("dead")?.count ?? 0,
      oldestWaitingAt: of("waiting")?.oldest ?? null,
    };
  }

  /** The newest delivery that does not fit into `limit` any more. If all fit it is NULL, and no number is at most that. */
  #numberBehind(webhook: string, limit: number, states: readonly DeliveryRecord["state"][]) {
    return this.#queries.build
      .selectFrom("delivery")
      .select("number")
      .where("webhook", "=", webhook)
      .where("state", "in", states)
      .orderBy("number", "desc")
      .limit(1)
      .offset(limit);
  }
}
