import type { AuditEntry, AuditVerification, DecisionRecord, EnvironmentKey } from "@bunting/contracts";
import type { ChainHead } from "../audit/chain.ts";
import type { PendingCommit } from "../ledger/apply.ts";
import type { StoredResponse } from "../ledger/command.ts";
import type { Edit } from "../ledger/decision.ts";
import type { AuditFilter, BackupContents, DecisionFilter } from "../ledger/ledger.ts";
import type { Commit, EnvironmentState, State } from "../ledger/state.ts";
import type { OutboxRow } from "../notifications/outbox-rows.ts";
import type { Outbox } from "../webhooks/delivery.ts";

/*
 * Where the truth is kept. The ledger is the only one that talks to a store, and one ledger owns a store at a time.
 *
 * A store MUST
 *  - make a transaction durable before `commit` returns: on the disk, not in a cache that a power cut empties. What the
 *    ledger tells the world afterwards cannot be taken back.
 *  - make a transaction whole or not at all, whatever kills the process meanwhile. A revision without its audit entry, or the
 *    other way round, is damage.
 *  - notice damage when it reads: a changed bit, an older version of a page, a row that has gone. Answering with a wrong
 *    document is worse than not answering.
 *  - throw a {@link StorageError} from `commit` if it failed, saying whether the outcome is known.
 *
 * A store MUST NOT
 *  - decide anything: revisions, versions and hashes are given to it.
 *  - let anything but `commit` change documents, audit, changes or positions. A second way in is one that no check guards.
 *  - keep a transaction open while anything else can run: a statement that slips in would vanish with a rollback.
 */
export interface Store {
  /** Everything, verified. Throws {@link StorageError} `damaged` and names the first place. */
  load(): Loaded;
  commit(transaction: Transaction): void;
  /** The answer kept for this request, however old. */
  findResponse(token: string, key: string): KeptResponse | undefined;
  /** Newest first. */
  readAudit(filter: AuditFilter): readonly AuditEntry[];
  /** Newest first. */
  readDecisions(filter: DecisionFilter): readonly DecisionRecord[];
  /** Filled by `commit`, moved along by whoever delivers. */
  readonly outbox: Outbox;
  /**
   * Reads all there is and reports instead of throwing. In steps, each a few ms, that yield the audit entries done; anything
   * may be committed between them.
   */
  verify(): Generator<number, AuditVerification>;
  /** Token ids with the Unix ms of their last use. Not part of any transaction, and not worth waiting for the disk. */
  saveTokenUses(uses: ReadonlyMap<string, number>): void;
  /** Copies what is committed to `file` while the store stays in use. The copy is verified before it gets this name. */
  backup(file: string): Promise<BackupContents>;
  /** Housekeeping that needs no transaction of its own, once a minute. */
  maintain(): void;
  close(): void;
}

/** What a store holds when it is opened. */
export interface Loaded {
  readonly state: State;
  /** Oldest first, without a hole, up to the environment's revision. */
  readonly changes: ReadonlyMap<EnvironmentKey, readonly Commit[]>;
  readonly chain: ChainHead;
  /**
   * `ENTRY_FORMAT` of the code that compiled the rulesets last. If it is not ours, the entries in `state` are as we compile
   * them, and the checksums still those of the stored rulesets.
   */
  readonly entryFormat: number;
}

/** One change of the ledger, complete. */
export interface Transaction {
  /** Unix ms. */
  readonly at: number;
  readonly edits: readonly Edit[];
  /** Environments whose facts, revision or checksum differ from what is stored. */
  readonly environments: readonly EnvironmentState[];
  readonly commits: readonly PendingCommit[];
  readonly audit: readonly AuditEntry[];
  /** What webhooks are to be told of it. */
  readonly outbox: readonly OutboxRow[];
  readonly chain: ChainHead;
  /** Changes up to this revision are dropped. */
  readonly compact: ReadonlyMap<EnvironmentKey, number>;
  readonly response?: {
    readonly token: string;
    readonly key: string;
    readonly digest: string;
    /** Key of what the command made or changed. */
    readonly subject: string;
    readonly response: StoredResponse;
  };
  /** A new history: replaces the epoch and drops every change. */
  readonly epoch?: string;
  readonly entryFormat?: number;
}

export interface KeptResponse {
  readonly digest: string;
  readonly subject: string;
  /** Unix ms. */
  readonly at: number;
  readonly response: StoredResponse;
}

/** A failure of the medium. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  /**
   * `full`: nothing was written, and nothing can be. `failed`: the disk failed, what was being written may or may not be
   * there. `damaged`: what was read is not what was written.
   */
  readonly kind: "full" | "failed" | "damaged";

  constructor(kind: StorageError["kind"], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}
