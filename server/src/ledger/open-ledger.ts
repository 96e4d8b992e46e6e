import { existsSync, rmSync } from "node:fs";
import { LIMITS } from "@bunting/contracts/literals";
import type { Clock, Logger, Random, Scheduler } from "../ports.ts";
import { ENTRY_FORMAT } from "../ruleset/entry.ts";
import { StartupError } from "../startup-error.ts";
import { Ballast } from "../store/ballast.ts";
import { renameDurably, syncFile, writeNewFile } from "../store/durable-file.ts";
import { MIGRATIONS } from "../store/migrations/index.ts";
import type { Migration } from "../store/migrations/migration.ts";
import { backUpAtRest } from "../store/sqlite/back-up.ts";
import { migrate } from "../store/sqlite/migrate.ts";
import { explainOpening, openDatabase } from "../store/sqlite/open-database.ts";
import { SqliteStore } from "../store/sqlite/sqlite-store.ts";
import { StorageError } from "../store/store.ts";
import type { AllowedHosts } from "../webhooks/address.ts";
import { createSecretBox, loadSecretKey, type SecretBox } from "../webhooks/secret-box.ts";
import { createWebhookFacts } from "../webhooks/webhook-facts.ts";
import { type DataFolder, isFirstStart, openDataFolder, setForeignLogAside } from "./data-folder.ts";
import { type FirstRun, furnish } from "./first-run.ts";
import { readHead, writeHead } from "./head.ts";
import type { Ledger } from "./ledger.ts";
import { type Failpoints, type LedgerParts, StoredLedger } from "./stored-ledger.ts";

export interface LedgerOptions {
  /** `BUNTING_DATA_DIR`. Made if it does not exist. */
  readonly dataDir: string;
  /** `BUNTING_TOKEN_PEPPER`, or null. Another pepper makes every token unknown. */
  readonly pepper: string | null;
  /** `BUNTING_SECRET_KEY`. @default the one in the data folder */
  readonly secretKey?: string | null;
  /** `BUNTING_OUTGOING_ALLOW`. @default none */
  readonly allowedHosts?: AllowedHosts;
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** @default 8 MiB */
  readonly ballastBytes?: number;
  /** Tests try other schemas. @default MIGRATIONS */
  readonly migrations?: readonly Migration[];
  readonly failpoints?: Failpoints;
}

export interface OpenedLedger {
  readonly ledger: Ledger;
  /** The secrets of a database that this call founded, else null. */
  readonly firstRun: FirstRun | null;
  /** Opens the secrets of webhooks. */
  readonly box: SecretBox;
}

/**
 * Opens the ledger of a data folder, founding one in an empty folder.
 *
 * @throws StartupError with one sentence for the person at the terminal.
 */
export function openLedger(options: LedgerOptions): OpenedLedger {
  const folder = openDataFolder(options.dataDir);
  const isFirst = isFirstStart(folder);
  const box = createSecretBox(loadSecretKey(folder.path, options.secretKey ?? null, options.random), options.random);
  const firstRun = isFirst ? found(folder, options, box) : null;
  const aside = setForeignLogAside(folder);
  if (aside !== null) options.logger.warn({ aside }, "A backup was put in place beside the log of another database.");
  const ledger = openAt(folder.database, { folder, options, box, founding: null });
  return { ledger, firstRun, box };
}

/**
 * Builds the first database under another name and renames it when it is complete, its secrets written down. A crash before
 * the rename leaves nothing that counts; so a database that is there is never half a one.
 */
function found(folder: DataFolder, options: LedgerOptions, box: SecretBox): FirstRun {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(folder.founding + suffix, { force: true });
  rmSync(folder.firstRun, { force: true });
  const epoch = Buffer.from(options.random.bytes(16)).toString("hex");
  const ledger = openAt(folder.founding, { folder, options, box, founding: { epoch, entryFormat: ENTRY_FORMAT } });
  let firstRun: FirstRun;
  try {
    firstRun = furnish(ledger);
  } finally {
    ledger.close();
  }
  syncFile(folder.founding);
  writeNewFile(folder.firstRun, `${JSON.stringify(firstRun, null, 2)}\n`);
  renameDurably(folder.founding, folder.database);
  return firstRun;
}

interface Opening {
  readonly folder: DataFolder;
  readonly options: LedgerOptions;
  readonly box: SecretBox;
  readonly founding: { readonly epoch: string; readonly entryFormat: number } | null;
}

function openAt(file: string, { folder, options, box, founding }: Opening): Ledger {
  const hadLog = existsSync(`${file}-wal`);
  const database = openDatabase(file, options.failpoints?.onStatement);
  try {
    const { onMigrationStatement } = options.failpoints ?? {};
    migrate(database, {
      file,
      migrations: options.migrations ?? MIGRATIONS,
      found: founding,
      backUp: (from) => backUpAtRest(database, folder.backupBefore(from)),
      ...(onMigrationStatement && { onStatement: onMigrationStatement }),
    });
    const parts: LedgerParts = {
      ...options,
      webhooks: createWebhookFacts(options.random, box, options.allowedHosts ?? new Set()),
      store: new SqliteStore(database, LIMITS.idempotencyKeptMs),
      ballast: new Ballast(folder.ballast, options.random, options.ballastBytes),
      // A database that is being founded has no past, and its future is not the folder's yet.
      head: founding ? null : readHead(folder.head),
      writeHead: founding ? () => undefined : (head) => writeHead(folder.head, head),
    };
    if (!founding) parts.ballast.load();
    return new StoredLedger(parts);
  } catch (error) {
    database.close();
    throw explain(error, file, hadLog);
  }
}

function explain(error: unknown, file: string, hadLog: boolean): Error {
  if (!(error instanceof StorageError)) return explainOpening(error, file);
  if (error.kind === "full") {
    return new StartupError("disk_full", `The volume of ${file} is full. Free some space and start again.`, error);
  }
  const remedy = hadLog
    ? `If it was put in place of another database, ${file}-wal was that one's log: remove both and copy it again; else put a backup in its place.`
    : "Put a backup in its place.";
  return new StartupError(
    "database_corrupt",
    `${file} is damaged. ${error.message} ${remedy} docs/operating/storage.md says how.`,
    error,
  );
}
