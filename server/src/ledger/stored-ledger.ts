import type { AuditEntry, AuditVerification, DecisionRecord, EnvironmentKey, Ruleset } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import type { ChainHead } from "../audit/chain.ts";
import { ENGINE } from "../platform/engine.ts";
import { fromInstant, toInstant } from "../platform/instant.ts";
import type { Cancel, Clock, Logger, Random, Scheduler } from "../ports.ts";
import { ENTRY_FORMAT } from "../ruleset/entry.ts";
import type { Ballast } from "../store/ballast.ts";
import { type Loaded, StorageError, type Store, type Transaction } from "../store/store.ts";
import { permits, scopeOf } from "../tokens/permission.ts";
import { base62, createTokenText } from "../tokens/secret.ts";
import type { WebhookFacts } from "../webhooks/commands.ts";
import type { Outbox } from "../webhooks/delivery.ts";
import { Announcements } from "./announcements.ts";
import { type Applied, applyDecision } from "./apply.ts";
import { ChangeLog } from "./change-log.ts";
import type { Accepted, Actor, Command, Idempotency, Outcome } from "./command.ts";
import { decide } from "./decide.ts";
import { type Decision, refuse } from "./decision.ts";
import { isEmergency } from "./emergency.ts";
import { environmentsAfter, findRewrite, type Rewrite } from "./epoch.ts";
import { type Head, headOf } from "./head.ts";
import type { AuditFilter, BackupContents, ClosingEvent, DecisionFilter, Ledger } from "./ledger.ts";
import { Medium } from "./medium.ts";
import { recompile } from "./recompile.ts";
import { SharedMap } from "./shared-map.ts";
import { refuseTooLarge } from "./size-limit.ts";
import type { Commit, EnvironmentState, State } from "./state.ts";
import { auditEntries, changedEnvironments, outboxOf } from "./transaction.ts";

export interface LedgerParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** `BUNTING_TOKEN_PEPPER`, or null. */
  readonly pepper: string | null;
  readonly webhooks: WebhookFacts;
  readonly ballast: Ballast;
  /** What `head.json` said at start. */
  readonly head: Head | "unreadable" | null;
  readonly writeHead: (head: Head) => void;
  readonly failpoints?: Failpoints;
}

/** Moments at which a test stops the process. */
export interface Failpoints {
  /** The change is durable, and nobody knows it yet. */
  readonly afterCommit?: () => void;
  /** Before each statement of a migration, counted from 1. */
  readonly onMigrationStatement?: (count: number) => void;
  /** Before each statement of the database. */
  readonly onStatement?: () => void;
}

/** Commands that make a secret: their answer is not stored, so it cannot be repeated. */
const SECRET_MAKERS: ReadonlySet<Command["type"]> = new Set(["create_token", "create_webhook", "rotate_webhook"]);

const HEAD_INTERVAL_MS = 5_000;
/** 119 bits. */
const NOTIFICATION_ID_CHARACTERS = 20;
const MAINTENANCE_INTERVAL_MS = 60_000;
const AUDIT_HEAD_INTERVAL_MS = 60 * 60_000;
const AHEAD_INTERVAL_MS = 60_000;
/** A session that claims to be further ahead than this is wrong about itself. */
const BELIEVABLE_LEAD = 1_000_000_000;

const SYSTEM: Actor = {
  token: "system",
  kind: "system",
  name: "system",
  environments: null,
  roles: [],
  requestId: "system",
};

/** The ledger over a store: decides in memory, commits to the store, then tells the world. */
export class StoredLedger implements Ledger {
  readonly #parts: LedgerParts;
  #state: State;
  #chain: ChainHead;
  readonly #medium: Medium;
  readonly #logs = new Map<EnvironmentKey, ChangeLog>();
  readonly #rulesets = new WeakMap<EnvironmentState, Ruleset>();
  readonly #announcements: Announcements<{
    readonly commit: Commit;
    readonly closing: ClosingEvent;
    readonly outbox: null;
  }>;
  readonly #tokenUses = new Map<string, number>();
  #headIsStale = true;
  #aheadAt = Number.NEGATIVE_INFINITY;
  readonly #timers: readonly Cancel[];

  constructor(parts: LedgerParts) {
    this.#parts = parts;
    this.#medium = new Medium(parts);
    this.#announcements = new Announcements(parts.logger);
    const loaded = parts.store.load();
    this.#state = loaded.state;
    this.#chain = loaded.chain;
    for (const environment of loaded.state.environments.values()) {
      this.#logs.set(environment.key, new ChangeLog(environment.revision, loaded.changes.get(environment.key)));
    }
    this.#settle(loaded);
    this.#writeHead();
    this.#timers = [
      parts.scheduler.every(HEAD_INTERVAL_MS, () => this.#rest()),
      parts.scheduler.every(MAINTENANCE_INTERVAL_MS, () => this.#maintain()),
      parts.scheduler.every(AUDIT_HEAD_INTERVAL_MS, () => this.#logAuditHead()),
    ];
  }

  get state(): State {
    return this.#state;
  }

  get readOnly(): Ledger["readOnly"] {
    return this.#medium.readOnly;
  }

  execute(command: Command, actor: Actor, idempotency?: Idempotency): Outcome {
    // Before the look-up of an earlier answer, which is a way of reading too. `decide` asks again, for itself.
    const forbidden = permits(actor, command.type, scopeOf(command));
    if (forbidden) return { ok: false, refusal: forbidden };
    try {
      const repeated = idempotency && this.#findRepeated(command, actor, idempotency);
      if (repeated) return repeated;
      return this.#change(command, actor, idempotency);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      return this.#medium.refuseFailed(error);
    }
  }

  ruleset(environment: EnvironmentKey): Ruleset | undefined {
    const found = this.#state.environments.get(environment);
    if (!found || found.archivedAt !== null) return undefined;
    let ruleset = this.#rulesets.get(found);
    if (!ruleset) {
      ruleset = {
        epoch: this.#state.epoch,
        revision: found.revision,
        checksum: found.checksum,
        flags: sortedRecord(found.flags),
        segments: sortedRecord(found.segments),
      };
      this.#rulesets.set(found, ruleset);
    }
    return ruleset;
  }

  changesAfter(environment: EnvironmentKey, after: number): readonly Commit[] | "compacted" {
    return this.#logs.get(environment)?.after(after) ?? "compacted";
  }

  onCommit(listener: (commit: Commit) => void): Cancel {
    return this.#announcements.listen("commit", listener);
  }

  onClosing(listener: (event: ClosingEvent) => void): Cancel {
    return this.#announcements.listen("closing", listener);
  }

  get outbox(): Outbox {
    return this.#parts.store.outbox;
  }

  onOutbox(listener: () => void): Cancel {
    return this.#announcements.listen("outbox", listener);
  }

  reportAhead(environment: EnvironmentKey, revision: number): boolean {
    const found = this.#state.environments.get(environment);
    if (!found || this.readOnly || !Number.isSafeInteger(revision)) return false;
    if (revision <= found.revision || revision > found.revision + BELIEVABLE_LEAD) return false;
    const now = this.#parts.clock.monotonic();
    if (now - this.#aheadAt < AHEAD_INTERVAL_MS) return false;
    this.#aheadAt = now;
    const reason = `an SDK holds revision ${revision} of ${environment}, whose head is ${found.revision}`;
    try {
      this.#rewriteHistory({ reason, seen: new Map([[environment, revision]]) });
      return true;
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#medium.refuseFailed(error);
      return false;
    }
  }

  audit(filter: AuditFilter): readonly AuditEntry[] {
    return this.#parts.store.readAudit(filter);
  }

  decisions(filter: DecisionFilter): readonly DecisionRecord[] {
    return this.#parts.store.readDecisions(filter);
  }

  verify(): AuditVerification {
    const steps = this.verifyInSteps();
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
    }
  }

  *verifyInSteps(): Generator<number, AuditVerification> {
    const verification = yield* this.#parts.store.verify();
    if (verification.damagedRows.length > 0)
      this.#medium.stop("Stored documents are damaged.", verification.damagedRows);
    if (verification.brokenAt !== null) {
      this.#parts.logger.error({ brokenAt: verification.brokenAt }, "The audit chain is broken.");
    }
    return verification;
  }

  touchToken(id: string, now: number): void {
    const token = this.#state.tokens.get(id);
    if (!token || (token.lastUsedAt !== null && sameMinute(fromInstant(token.lastUsedAt), now))) return;
    this.#tokenUses.set(id, now);
    const tokens = SharedMap.from(this.#state.tokens).with([[id, { ...token, lastUsedAt: toInstant(now) }]]);
    this.#state = { ...this.#state, tokens };
  }

  backup(file: string): Promise<BackupContents> {
    return this.#parts.store.backup(file);
  }

  close(): void {
    for (const cancel of this.#timers) cancel();
    if (this.readOnly !== "storage_read_only") this.#saveTokenUses();
    this.#writeHead();
    this.#parts.store.close();
  }

  #findRepeated(command: Command, actor: Actor, { key, digest }: Idempotency): Outcome | null {
    const kept = this.#parts.store.findResponse(actor.token, key);
    if (!kept || kept.at < this.#parts.clock.now() - LIMITS.idempotencyKeptMs) return null;
    if (kept.digest !== digest) {
      return refuse("idempotency_key_reused", "This Idempotency-Key belongs to another request.");
    }
    if (SECRET_MAKERS.has(command.type)) {
      return refuse("secret_shown_once", `The first request made the secret of ${kept.subject}.`);
    }
    return { ok: true, state: this.#state, commits: [], audit: [], replayed: kept.response };
  }

  #change(command: Command, actor: Actor, idempotency: Idempotency | undefined): Outcome {
    const refused = this.#medium.refusal(command);
    if (refused) return refused;

    const { clock, random, pepper, webhooks } = this.#parts;
    const at = clock.now();
    const decision = decide(command, {
      state: this.#state,
      actor,
      now: toInstant(at),
      newSalt: () => new DataView(random.bytes(4).slice().buffer).getUint32(0),
      newToken: (kind) => createTokenText(kind, random, pepper),
      engine: ENGINE,
      webhooks,
    });
    if (!decision.ok) return decision;
    if (decision.edits.length === 0 && decision.audit.length === 0 && !idempotency)
      return { ok: true, state: this.#state, commits: [], audit: [] };

    const applied = applyDecision(this.#state, decision);
    const tooLarge = refuseTooLarge(command, this.#state, applied);
    if (tooLarge) return tooLarge;
    const written = this.#write({ applied, decision, actor, at, idempotency });
    this.#commit(written.transaction, command);
    this.#parts.failpoints?.afterCommit?.();
    return this.#publish(applied, written, decision);
  }

  /** Puts everything that belongs to one change into one transaction. */
  #write({ applied, decision, actor, at, idempotency }: Change): Written {
    const facts = { head: this.#chain, actor, at, commits: applied.commits };
    const { entries: audit, chain } = auditEntries(decision.audit, facts);
    const provisional: Accepted = {
      ok: true,
      state: applied.state,
      commits: applied.commits.map((commit) => ({ ...commit, committedAt: at })),
      audit,
    };
    const transaction: Transaction = {
      at,
      edits: decision.edits,
      environments: changedEnvironments(this.#state, applied.state),
      commits: applied.commits,
      audit,
      outbox: outboxOf(decision, applied.state, () => base62(NOTIFICATION_ID_CHARACTERS, this.#parts.random)),
      chain,
      compact: this.#compactable(applied, at),
    };
    if (!idempotency) return { transaction, audit };
    const { key, digest } = idempotency;
    const subject = audit[0]?.object.key ?? "";
    const response = { token: actor.token, key, digest, subject, response: idempotency.respond(provisional) };
    return { transaction: { ...transaction, response }, audit };
  }

  #commit(transaction: Transaction, command: Command): void {
    try {
      this.#parts.store.commit(transaction);
    } catch (error) {
      if (!(error instanceof StorageError) || error.kind !== "full") throw error;
      this.#medium.full();
      if (!isEmergency(command)) throw error;
      this.#parts.store.commit(transaction);
    }
  }

  #publish(applied: Applied, { transaction, audit }: Written, decision: Decision): Accepted {
    // Right after COMMIT returned: latencies of receipts are counted from here.
    const committedAt = this.#parts.clock.now();
    const commits = applied.commits.map((commit): Commit => ({ ...commit, committedAt }));
    this.#state = applied.state;
    this.#chain = transaction.chain;
    this.#headIsStale = true;
    for (const environment of applied.state.environments.values()) {
      if (!this.#logs.has(environment.key)) this.#logs.set(environment.key, new ChangeLog(0));
    }
    for (const [environment, revision] of transaction.compact) this.#logs.get(environment)?.compact(revision);
    for (const commit of commits) this.#logs.get(commit.environment)?.append(commit);

    const { closing, secret } = decision;
    for (const commit of commits) this.#announcements.announce("commit", commit);
    if (closing) this.#announcements.announce("closing", closing);
    const isOfOutbox = transaction.edits.some(({ kind }) => kind === "webhook" || kind === "delivery");
    if (transaction.outbox.length > 0 || isOfOutbox) this.#announcements.announce("outbox", null);
    const accepted: Accepted = { ok: true, state: applied.state, commits, audit };
    return secret === undefined ? accepted : { ...accepted, secret };
  }

  #compactable({ commits }: Applied, at: number): ReadonlyMap<EnvironmentKey, number> {
    const compact = new Map<EnvironmentKey, number>();
    for (const { environment } of commits) {
      const log = this.#logs.get(environment);
      const revision = log?.compactable(at) ?? 0;
      if (log && revision > log.base) compact.set(environment, revision);
    }
    return compact;
  }

  /** Puts right, at start, what is not as this code expects it. */
  #settle(loaded: Loaded): void {
    const rewrite = findRewrite(this.#parts.head, loaded);
    if (rewrite) this.#rewriteHistory(rewrite);
    if (loaded.entryFormat === ENTRY_FORMAT) return;
    const applied = recompile(this.#state);
    const audit = [
      {
        action: "recompile",
        object: { kind: "database", key: "rulesets", environment: null },
        before: { entryFormat: loaded.entryFormat },
        after: { entryFormat: ENTRY_FORMAT },
        reason: "another version of the server wrote the rulesets",
      },
    ] as const;
    const decision = { ok: true, edits: [], audit } as const;
    const at = this.#parts.clock.now();
    const written = this.#write({ applied, decision, actor: SYSTEM, at, idempotency: undefined });
    this.#parts.store.commit({ ...written.transaction, entryFormat: ENTRY_FORMAT });
    this.#publish(applied, written, decision);
  }

  #rewriteHistory(rewrite: Rewrite): void {
    const epoch = Buffer.from(this.#parts.random.bytes(16)).toString("hex");
    const at = this.#parts.clock.now();
    const environments = environmentsAfter(rewrite, this.#state);
    const before = this.#state;
    const state: State = { ...before, epoch, environments: new Map(environments.map((after) => [after.key, after])) };
    const { entries: audit, chain } = auditEntries(
      [
        {
          action: "new_epoch",
          object: { kind: "database", key: "epoch", environment: null },
          before: { epoch: before.epoch },
          after: { epoch },
          reason: rewrite.reason,
        },
      ],
      { head: this.#chain, actor: SYSTEM, at, commits: [] },
    );
    this.#parts.store.commit({
      at,
      edits: [],
      environments,
      commits: [],
      audit,
      outbox: [],
      chain,
      compact: new Map(),
      epoch,
    });
    this.#parts.logger.error({ reason: rewrite.reason, epoch }, "History was rewritten: a new epoch begins.");
    this.#state = state;
    this.#chain = chain;
    for (const { key, revision } of environments) this.#logs.set(key, new ChangeLog(revision));
    this.#writeHead();
    this.#announcements.announce("closing", { type: "history_rewritten" });
  }

  /** Every few seconds: note how far the history has come, and see whether a full disk has room again. */
  #rest(): void {
    if (this.#headIsStale) this.#writeHead();
    this.#medium.lookAgain();
  }

  #writeHead(): void {
    try {
      this.#parts.writeHead(headOf(this.#state, this.#chain));
      this.#headIsStale = false;
    } catch (error) {
      this.#parts.logger.warn({ error }, "The head of the history could not be written down.");
    }
  }

  #maintain(): void {
    if (this.readOnly !== null) return;
    this.#saveTokenUses();
    try {
      this.#parts.store.maintain();
    } catch (error) {
      if (!(error instanceof StorageError)) this.#parts.logger.error({ error }, "Housekeeping of the store failed.");
      else if (error.kind === "full") this.#medium.full();
      else this.#medium.stop(error.message, error.cause);
    }
  }

  /** A log that is kept elsewhere then shows whether the whole audit was written anew. */
  #logAuditHead(): void {
    this.#parts.logger.info({ entries: this.#chain.count, head: this.#chain.hash }, "audit head");
  }

  /** When a token was last used is worth knowing, but not worth failing for. */
  #saveTokenUses(): void {
    if (this.#tokenUses.size === 0) return;
    try {
      this.#parts.store.saveTokenUses(this.#tokenUses);
      this.#tokenUses.clear();
    } catch (error) {
      this.#parts.logger.warn({ error }, "The last use of tokens could not be written down.");
    }
  }
}

interface Change {
  readonly applied: Applied;
  readonly decision: Decision;
  readonly actor: Actor;
  readonly at: number;
  readonly idempotency: Idempotency | undefined;
}

interface Written {
  readonly transaction: Transaction;
  readonly audit: readonly AuditEntry[];
}

const sameMinute = (a: number, b: number): boolean => Math.floor(a / 60_000) === Math.floor(b / 60_000);

/** One order whatever the order of the commits was, so that equal rulesets have equal bytes. */
function sortedRecord<Key extends string, Entry>(entries: ReadonlyMap<Key, Entry>): Record<Key, Entry> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1))) as Record<Key, Entry>;
}
