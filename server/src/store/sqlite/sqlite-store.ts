import type { AuditEntry, AuditVerification, DecisionRecord, EnvironmentKey } from "@bunting/contracts";
import Database from "better-sqlite3";
import { sql } from "kysely";
import { isIntact } from "../../audit/chain.ts";
import type { Edit } from "../../ledger/decision.ts";
import type { AuditFilter, BackupContents, DecisionFilter } from "../../ledger/ledger.ts";
import { type KeptResponse, type Loaded, StorageError, type Store, type Transaction } from "../store.ts";
import { backUp } from "./back-up.ts";
import * as documents from "./documents.ts";
import { guard } from "./guard.ts";
import { loadLedger } from "./load.ts";
import { type Meta, readMeta, writeMeta } from "./meta.ts";
import { Queries } from "./queries.ts";
import { addToDigest, rowChecksum, sameChecksum, subtractFromDigest } from "./row-checksum.ts";
import { SqliteOutbox } from "./sqlite-outbox.ts";
import { verifyDatabase } from "./verify.ts";

/** Answers to repeatable requests are kept this long, then dropped a few at a time. */
const RESPONSES_DROPPED_AT_ONCE = 100;

/** The store in one SQLite file, which this process holds alone. */
export class SqliteStore implements Store {
  readonly #database: Database.Database;
  readonly #queries: Queries;
  readonly #keptMs: number;
  readonly outbox: SqliteOutbox;
  #meta: Meta;

  /** @param keptMs How long an answer under an Idempotency-Key is kept. */
  constructor(database: Database.Database, keptMs: number) {
    this.#database = database;
    this.#queries = new Queries(database);
    this.#keptMs = keptMs;
    this.outbox = new SqliteOutbox(database, this.#queries);
    this.#meta = requireMeta(database);
  }

  load(): Loaded {
    return guard(() => loadLedger(this.#queries, this.#meta));
  }

  commit(transaction: Transaction): void {
    const write = this.#database.transaction(() => this.#write(transaction));
    // The field follows the disk, never the other way round: after a rollback it is still right.
    this.#meta = guard(() => write.immediate());
  }

  findResponse(token: string, key: string): KeptResponse | undefined {
    const row = guard(() =>
      this.#queries.first(
        this.#queries.build.selectFrom("response").selectAll().where("token", "=", token).where("key", "=", key),
      ),
    );
    if (!row) return undefined;
    if (!sameChecksum(row.checksum, rowChecksum("response", responseKey(token, key), row.content))) {
      throw new StorageError("damaged", `The answer kept for ${token} is damaged.`);
    }
    return { ...(JSON.parse(row.content) as Omit<KeptResponse, "at">), at: row.at };
  }

  readAudit({ before, limit, flag, environment, action, environments }: AuditFilter): readonly AuditEntry[] {
    let query = this.#queries.build.selectFrom("audit").select("content").orderBy("number", "desc").limit(limit);
    if (before !== null) query = query.where("number", "<", before);
    if (flag !== undefined) {
      query = query.where("object_key", "=", flag).where("object_kind", "in", ["flag", "configuration"]);
    }
    if (environment !== undefined) query = query.where("environment", "=", environment);
    if (action !== undefined) query = query.where("action", "=", action);
    if (environments !== null) {
      query = query.where((where) =>
        where.or([
          where("environment", "in", [...environments]),
          where.and([where("environment", "is", null), where("object_kind", "in", ["flag", "segment"])]),
        ]),
      );
    }
    return guard(() =>
      this.#queries.all(query).map(({ content }) => {
        const entry = JSON.parse(content) as AuditEntry;
        if (!isIntact(entry)) throw new StorageError("damaged", `Audit entry ${entry.number} is damaged.`);
        return entry;
      }),
    );
  }

  readDecisions({ rollout, before, limit, attempt, onlyChanges }: DecisionFilter): readonly DecisionRecord[] {
    let query = this.#queries.build.selectFrom("decision").selectAll().where("rollout", "=", rollout);
    if (before !== null) query = query.where("number", "<", before);
    if (attempt !== undefined) query = query.where("attempt", "=", attempt);
    if (onlyChanges) query = query.where("changes", "=", 1);
    const rows = guard(() => this.#queries.all(query.orderBy("number", "desc").limit(limit)));
    return rows.map(({ number, content, checksum }) => {
      const key = documents.decisionKey(rollout, number);
      if (sameChecksum(checksum, rowChecksum("decision", key, content))) return documents.readDecision(content);
      throw new StorageError("damaged", `The decision ${key} is damaged.`);
    });
  }

  *verify(): Generator<number, AuditVerification> {
    const steps = verifyDatabase(this.#queries, () => this.#meta);
    for (;;) {
      const step = guard(() => steps.next());
      if (step.done) return step.value;
      yield step.value;
    }
  }

  saveTokenUses(uses: ReadonlyMap<string, number>): void {
    guard(() =>
      this.#database.transaction(() => {
        for (const [token, at] of uses) {
          this.#queries.run(
            this.#queries.build
              .insertInto("token_use")
              .values({ token, at })
              .onConflict((conflict) => conflict.column("token").doUpdateSet({ at })),
          );
        }
      })(),
    );
  }

  backup(file: string): Promise<BackupContents> {
    return backUp(this.#database, file);
  }

  maintain(): void {
    guard(() => this.#database.pragma("wal_checkpoint(TRUNCATE)"));
  }

  close(): void {
    this.#database.close();
  }

  /** Runs inside the transaction; gives the new meta row. */
  #write(transaction: Transaction): Meta {
    const { at, edits, environments, commits, audit, chain, compact, response } = transaction;
    const digest = new RunningDigest(this.#meta.digest);
    for (const environment of environments) {
      this.#put("environment", environment.key, documents.writeEnvironment(environment), digest);
    }
    for (const edit of edits) this.#writeEdit(edit, at, digest);
    if (transaction.epoch !== undefined) this.#queries.run(this.#queries.build.deleteFrom("change"));
    for (const commit of commits) this.#appendChange(documents.writeChange(commit, at), commit);
    for (const [environment, revision] of compact) this.#compact(environment, revision);
    for (const entry of audit) this.#appendAudit(entry);
    this.outbox.append(transaction.outbox, at);
    if (response) this.#keepResponse(response, at);
    const { epoch, entryFormat } = transaction;
    const meta: Meta = {
      ...this.#meta,
      digest: digest.value,
      chain,
      epoch: epoch ?? this.#meta.epoch,
      entryFormat: entryFormat ?? this.#meta.entryFormat,
    };
    writeMeta(this.#database, meta);
    return meta;
  }

  #writeEdit(edit: Edit, at: number, digest: RunningDigest): void {
    switch (edit.kind) {
      case "environment":
        return; // Written with its revision and checksum, from Transaction.environments.
      case "flag":
        return this.#put("flag", edit.key, documents.writeFlag(edit.after), digest);
      case "token":
        return this.#put("token", edit.id, documents.writeToken(edit.after), digest);
      case "delivery":
        return this.outbox.revive(edit, at);
      case "webhook":
        if (edit.after) return this.#put("webhook", edit.id, documents.writeWebhook(edit.after), digest);
        this.outbox.forget(edit.id);
        return this.#delete("webhook", edit.id, digest);
      case "segment":
        if (edit.after) return this.#put("segment", edit.key, documents.writeSegment(edit.after), digest);
        return this.#delete("segment", edit.key, digest);
      case "configuration":
        return this.#putConfiguration(edit, digest);
      case "rollout":
        return this.#put("rollout", edit.id, documents.writeRollout(edit.after), digest);
      case "decision":
        return this.#appendToDecisions(edit);
    }
  }

  #put(
    table: "environment" | "flag" | "segment" | "token" | "webhook" | "rollout",
    key: string,
    content: string,
    digest: RunningDigest,
  ): void {
    const { build } = this.#queries;
    const previous = this.#queries.first(build.selectFrom(table).select("checksum").where("key", "=", key));
    const checksum = rowChecksum(table, key, content);
    digest.replace(previous?.checksum, checksum);
    this.#queries.run(
      build
        .insertInto(table)
        .values({ key, content, checksum })
        .onConflict((conflict) => conflict.column("key").doUpdateSet({ content, checksum })),
    );
  }

  #putConfiguration(edit: Extract<Edit, { kind: "configuration" }>, digest: RunningDigest): void {
    const { environment, flag, after } = edit;
    const { build } = this.#queries;
    const content = documents.writeConfiguration(after);
    const checksum = rowChecksum("configuration", documents.configurationKey(environment, flag), content);
    const previous = this.#queries.first(
      build
        .selectFrom("configuration")
        .select("checksum")
        .where("environment", "=", environment)
        .where("flag", "=", flag),
    );
    digest.replace(previous?.checksum, checksum);
    this.#queries.run(
      build
        .insertInto("configuration")
        .values({ environment, flag, content, checksum })
        .onConflict((conflict) => conflict.columns(["environment", "flag"]).doUpdateSet({ content, checksum })),
    );
  }

  #appendToDecisions({ entry, dropHoldsUpTo }: Extract<Edit, { kind: "decision" }>): void {
    const { build } = this.#queries;
    const { number, record } = entry;
    const { rollout, attempt } = record;
    const content = documents.writeDecision(record);
    const checksum = rowChecksum("decision", documents.decisionKey(rollout, number), content);
    const changes = entry.changes ? 1 : 0;
    this.#queries.run(build.insertInto("decision").values({ rollout, number, attempt, changes, content, checksum }));
    this.#queries.run(
      build
        .deleteFrom("decision")
        .where("rollout", "=", rollout)
        .where("attempt", "=", attempt)
        .where("changes", "=", 0)
        .where("number", "<=", dropHoldsUpTo),
    );
  }

  #delete(table: "segment" | "webhook", key: string, digest: RunningDigest): void {
    const { build } = this.#queries;
    const previous = this.#queries.first(build.selectFrom(table).select("checksum").where("key", "=", key));
    digest.replace(previous?.checksum, undefined);
    this.#queries.run(build.deleteFrom(table).where("key", "=", key));
  }

  #appendChange(content: string, { environment, revision }: { environment: EnvironmentKey; revision: number }): void {
    const checksum = rowChecksum("change", documents.changeKey(environment, revision), content);
    this.#queries.run(this.#queries.build.insertInto("change").values({ environment, revision, content, checksum }));
  }

  #compact(environment: EnvironmentKey, revision: number): void {
    this.#queries.run(
      this.#queries.build.deleteFrom("change").where("environment", "=", environment).where("revision", "<=", revision),
    );
  }

  #appendAudit(entry: AuditEntry): void {
    const { number, action, object } = entry;
    this.#queries.run(
      this.#queries.build.insertInto("audit").values({
        number,
        action,
        object_kind: object.kind,
        object_key: object.key,
        environment: object.environment,
        content: JSON.stringify(entry),
      }),
    );
  }

  #keepResponse({ token, key, digest, subject, response }: NonNullable<Transaction["response"]>, at: number): void {
    const { build } = this.#queries;
    const expired = build
      .selectFrom("response")
      .select(sql<number>`rowid`.as("row"))
      .where("at", "<", at - this.#keptMs)
      .limit(RESPONSES_DROPPED_AT_ONCE);
    this.#queries.run(build.deleteFrom("response").where(sql<number>`rowid`, "in", expired));
    const content = JSON.stringify({ digest, subject, response } satisfies Omit<KeptResponse, "at">);
    const checksum = rowChecksum("response", responseKey(token, key), content);
    this.#queries.run(
      build
        .insertInto("response")
        .values({ token, key, at, content, checksum })
        .onConflict((conflict) => conflict.columns(["token", "key"]).doUpdateSet({ at, content, checksum })),
    );
  }
}

/** The database's digest while a transaction is being written. */
class RunningDigest {
  value: number;

  constructor(value: number) {
    this.value = value;
  }

  replace(previous: Uint8Array | undefined, next: Uint8Array | undefined): void {
    if (previous) this.value = subtractFromDigest(this.value, previous);
    if (next) this.value = addToDigest(this.value, next);
  }
}

/** A token id has no slash, so nothing else has this key. */
const responseKey = (token: string, key: string): string => `${token}/${key}`;

function requireMeta(database: Database.Database): Meta {
  const read = guard(() => readMeta(database));
  if (read.found === "meta") return read.meta;
  throw new StorageError("damaged", "The meta row is missing or damaged.");
}
