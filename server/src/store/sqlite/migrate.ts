import type Database from "better-sqlite3";
import { EMPTY_CHAIN } from "../../audit/chain.ts";
import { StartupError } from "../../startup-error.ts";
import type { Migration } from "../migrations/migration.ts";
import { readMeta, writeMeta } from "./meta.ts";

export interface MigrationPlan {
  readonly migrations: readonly Migration[];
  /** For messages. */
  readonly file: string;
  /** What an empty database starts with. `null`: an empty database is an error, for there should be one. */
  readonly found: { readonly epoch: string; readonly entryFormat: number } | null;
  /** Makes a copy of the database before an existing one is changed. */
  readonly backUp: (from: number) => void;
  /** Called before each statement, its number counted from 1. Tests kill the process here. */
  readonly onStatement?: (count: number) => void;
}

/**
 * Brings the schema up to date, all steps in one transaction: killed at any statement, the file is as it was before. A
 * transaction per step is not enough, for there would be a moment at which a step is done and not yet recorded.
 */
export function migrate(database: Database.Database, plan: MigrationPlan): void {
  const { file } = plan;
  const read = readMeta(database);
  if (read.found === "damaged") {
    throw new StartupError("database_corrupt", `The meta row of ${file} is damaged. Put a backup in its place.`);
  }
  if (read.found === "foreign") {
    throw new StartupError("database_foreign", `${file} is a database, but not one of Bunting. Move it away.`);
  }
  if (read.found === "empty" && !plan.found) {
    throw new StartupError(
      "database_empty",
      `${file} has no tables: its contents are lost. Put a backup in its place.`,
    );
  }

  const newest = plan.migrations.at(-1)?.version ?? 0;
  const from = read.found === "meta" ? read.meta.schema : 0;
  if (from > newest) {
    throw new StartupError(
      "database_newer",
      `${file} has schema ${from}, and this version of Bunting knows schemas up to ${newest}. Start the newer version again, or put a backup from before the upgrade in its place.`,
    );
  }
  if (from === newest) return;
  if (from > 0) plan.backUp(from);

  let count = 0;
  const step = (run: () => void): void => {
    plan.onStatement?.(++count);
    run();
  };
  try {
    step(() => void database.exec("BEGIN IMMEDIATE"));
    for (const { statements } of plan.migrations.filter(({ version }) => version > from)) {
      for (const statement of statements) step(() => void database.exec(statement));
    }
    step(() => {
      if (read.found === "meta") writeMeta(database, { ...read.meta, schema: newest });
      else if (plan.found) {
        writeMeta(database, { application: "bunting", schema: newest, digest: 0, chain: EMPTY_CHAIN, ...plan.found });
      }
    });
    step(() => void database.exec("COMMIT"));
  } catch (error) {
    if (database.inTransaction) database.exec("ROLLBACK");
    const why = error instanceof Error ? error.message : String(error);
    throw new StartupError(
      "migration_failed",
      `${file} could not be brought from schema ${from} to ${newest} (${why}) and is unchanged. Start the previous version and report this.`,
      error,
    );
  }
}
