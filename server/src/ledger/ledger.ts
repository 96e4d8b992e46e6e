import type {
  AuditEntry,
  AuditVerification,
  Backup,
  DecisionRecord,
  EnvironmentKey,
  Ruleset,
} from "@bunting/contracts";
import type { Cancel } from "../ports.ts";
import type { Outbox } from "../webhooks/delivery.ts";
import type { Actor, Command, Idempotency, Outcome } from "./command.ts";
import type { Commit, State } from "./state.ts";

/** A page of the audit, newest first. */
export interface AuditFilter {
  readonly before: number | null;
  readonly limit: number;
  readonly flag?: string;
  readonly environment?: string;
  readonly action?: string;
  /** Only entries a token limited to these environments may see; null: all. */
  readonly environments: readonly EnvironmentKey[] | null;
}

/** A page of one rollout's decisions, newest first. */
export interface DecisionFilter {
  readonly rollout: string;
  /** Only decisions with a smaller number; null: from the newest. */
  readonly before: number | null;
  readonly limit: number;
  readonly attempt?: number | undefined;
  /** Only those that did something or said something new. */
  readonly onlyChanges: boolean;
}

/**
 * The one place where what the server knows is changed. Reads are from memory; a change is one synchronous transaction of
 * document, audit entry, revision + 1, change row, checksum, outbox and idempotency key, and listeners hear of it only after COMMIT
 * returned.
 */
export interface Ledger {
  /** As of the last commit. Never half a transaction. */
  readonly state: State;
  /** Why writes are refused at the moment, or null. */
  readonly readOnly: "storage_read_only" | "storage_full" | null;
  /** Checks permission, decides, commits, publishes. Does not throw for anything a caller can cause. */
  execute(command: Command, actor: Actor, idempotency?: Idempotency): Outcome;
  /** The whole ruleset of an environment at its head; undefined if there is no such environment. */
  ruleset(environment: EnvironmentKey): Ruleset | undefined;
  /** The commits with `revision > after`, oldest first, or "compacted" if the log no longer reaches back that far. */
  changesAfter(environment: EnvironmentKey, after: number): readonly Commit[] | "compacted";
  /** Called synchronously after each COMMIT, once per changed environment, in revision order. */
  onCommit(listener: (commit: Commit) => void): Cancel;
  /** Called synchronously after a token was revoked, an environment archived, or the epoch replaced. */
  onClosing(listener: (event: ClosingEvent) => void): Cancel;
  /** What webhooks are to be told and were told. */
  readonly outbox: Outbox;
  /** Called synchronously after a COMMIT after which there may be more to deliver. */
  onOutbox(listener: () => void): Cancel;
  /**
   * A server SDK presented a revision of this epoch above the head: history may have been lost. Mints a new epoch (at most
   * once a minute, audited) and returns true if it did.
   */
  reportAhead(environment: EnvironmentKey, revision: number): boolean;
  audit(filter: AuditFilter): readonly AuditEntry[];
  decisions(filter: DecisionFilter): readonly DecisionRecord[];
  /** Reads all there is, and stops writing if stored documents are damaged. At once: for whoever serves nobody meanwhile. */
  verify(): AuditVerification;
  /** The same in steps of a few ms, which yield the audit entries done. Between them anything may be committed. */
  verifyInSteps(): Generator<number, AuditVerification>;
  /** Remembers that a token was used, to the minute, outside the flag transaction. */
  touchToken(id: string, now: number): void;
  /** Copies the live database to `file`, verified, and says what the copy holds. */
  backup(file: string): Promise<BackupContents>;
  close(): void;
}

/** How far the history goes in a backup. */
export type BackupContents = Pick<Backup, "epoch" | "revisions" | "auditEntries" | "auditHead">;

/** Something that ends streams. */
export type ClosingEvent =
  | { readonly type: "token_revoked"; readonly token: string }
  | { readonly type: "environment_archived"; readonly environment: EnvironmentKey }
  | { readonly type: "history_rewritten" };
