import { existsSync, renameSync } from "node:fs";
import type { EnvironmentKey } from "@bunting/contracts";
import Database from "better-sqlite3";
import { StartupError } from "../startup-error.ts";
import { openDatabase } from "../store/sqlite/open-database.ts";
import { EvidenceStore } from "./evidence-store.ts";
import { type BootRow, type ExposureRow, floorTo, MINUTE_MS, OTHER, type UnknownRow } from "./merge.ts";
import { RETENTION, STEPS } from "./schema.ts";

const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** The hour beside the day is for whoever asks for the last day: the minute in which that began must still be whole. */
const EXPOSURES_KEPT = { minute: DAY_MS + HOUR_MS, hour: 90 * DAY_MS } as const;
const UNKNOWN_FLAGS_PER_ENVIRONMENT = 1_000;
/** Counters stop here rather than overflow: what a client sends must not be able to make a commit of many fail. */
const MAXIMUM = Number.MAX_SAFE_INTEGER;
/** Rows deleted before the event loop gets its turn. */
const PRUNED_AT_ONCE = 2_000;

/** Whether the file itself is bad, and not only the moment. */
export function isDamage(error: unknown): boolean {
  return error instanceof Database.SqliteError && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code);
}

export interface UnknownFlag {
  readonly flag: string;
  readonly count: number;
  /** Unix ms. */
  readonly lastAt: number;
}

/** Telemetry's own database: its growth, its locks and its damage stay away from flags. */
export class TelemetryStore {
  /** What running rollouts are judged by, in the same file and the same transactions. */
  readonly evidence: EvidenceStore;
  readonly #file: string;
  readonly #database: Database.Database;
  readonly #statements: ReturnType<typeof prepare>;
  /** Names that are counted on their own, by environment. */
  readonly #unknownFlags = new Map<string, Set<string>>();

  /** A damaged file is put aside under the name that is reported, and a new one begun. */
  static open(file: string, onDamage: (aside: string) => void): TelemetryStore {
    try {
      return new TelemetryStore(file, openMigrated(file));
    } catch (error) {
      if (!isDamage(error) && !(error instanceof StartupError && error.code === "database_corrupt")) throw error;
      onDamage(putAside(file));
      return new TelemetryStore(file, openMigrated(file));
    }
  }

  private constructor(file: string, database: Database.Database) {
    this.#file = file;
    this.#database = database;
    this.#statements = prepare(database);
    this.evidence = new EvidenceStore(database);
  }

  /** Closes it, puts the file aside and begins a new one. */
  replace(): TelemetryStore {
    this.close();
    putAside(this.#file);
    return new TelemetryStore(this.#file, openMigrated(this.#file));
  }

  close(): void {
    this.#database.close();
  }

  /** All or nothing, durable when it returns. */
  transaction<Result>(work: () => Result): Result {
    return this.#database.transaction(work).immediate();
  }

  /** Null if the boot is not known. */
  storedSequence(environment: EnvironmentKey, instance: string, boot: string): number | null {
    return (this.#statements.sequence.get(environment, instance, boot) as number | undefined) ?? null;
  }

  lastSequence(environment: EnvironmentKey, instance: string, boot: string): number {
    return this.storedSequence(environment, instance, boot) ?? 0;
  }

  putBoot({ environment, instance, boot, sequence, lastAt, overridden }: BootRow): void {
    this.#statements.putBoot.run(environment, instance, boot, sequence, lastAt, JSON.stringify(overridden));
  }

  /** Flags that local overrides force, of each boot that has some. */
  overridden(environment: EnvironmentKey): { instance: string; boot: string; flags: string[] }[] {
    const rows = this.#statements.overridden.all(environment) as { instance: string; boot: string; flags: string }[];
    return rows.map(({ flags, ...identity }) => ({ ...identity, flags: JSON.parse(flags) as string[] }));
  }

  addExposures({ environment, flag, variant, at, count }: ExposureRow): void {
    for (const windowMs of [MINUTE_MS, HOUR_MS]) {
      this.#statements.addExposures.run(environment, flag, variant, windowMs, floorTo(windowMs, at), count);
    }
  }

  addUnknown({ environment, flag, count, lastAt }: UnknownRow): void {
    const names = this.#namesOf(environment);
    const isRoom = names.size < UNKNOWN_FLAGS_PER_ENVIRONMENT || names.has(flag);
    const name = isRoom ? flag : OTHER;
    names.add(name);
    this.#statements.addUnknown.run(environment, name, count, lastAt);
  }

  addDropped(environment: EnvironmentKey, count: number): void {
    this.#statements.addDropped.run(environment, count);
  }

  exposures(environment: EnvironmentKey, flag: string, sinceMs: number, now: number): Record<string, number> {
    const windowMs = sinceMs >= now - EXPOSURES_KEPT.minute + MINUTE_MS ? MINUTE_MS : HOUR_MS;
    const rows = this.#statements.exposures.all(environment, flag, windowMs, floorTo(windowMs, sinceMs));
    return Object.fromEntries(
      (rows as { variant: string; count: number }[]).map(({ variant, count }) => [variant, count]),
    );
  }

  unknownFlags(environment: EnvironmentKey): UnknownFlag[] {
    return this.#statements.unknownFlags.all(environment) as UnknownFlag[];
  }

  /**
   * Deletes some of what is past its time. True if there is more.
   *
   * @param forgetBefore Unix ms: boots that were heard last before this are forgotten
   */
  pruneSome(now: number, forgetBefore: number): boolean {
    const { pruneExposures, pruneBoots, pruneUnknown } = this.#statements;
    const unknown = pruneUnknown.run(now - RETENTION.unknownNameMs, PRUNED_AT_ONCE);
    if (unknown.changes > 0) this.#unknownFlags.clear();
    const deleted = [
      unknown,
      pruneExposures.run(MINUTE_MS, now - EXPOSURES_KEPT.minute, PRUNED_AT_ONCE),
      pruneExposures.run(HOUR_MS, now - EXPOSURES_KEPT.hour, PRUNED_AT_ONCE),
      pruneBoots.run(forgetBefore, PRUNED_AT_ONCE),
    ];
    return deleted.some(({ changes }) => changes >= PRUNED_AT_ONCE);
  }

  #namesOf(environment: EnvironmentKey): Set<string> {
    const stored = () => this.unknownFlags(environment).map(({ flag }) => flag);
    const names = this.#unknownFlags.get(environment) ?? new Set(stored());
    this.#unknownFlags.set(environment, names);
    return names;
  }
}

function prepare(database: Database.Database) {
  return {
    sequence: database.prepare("SELECT sequence FROM boot WHERE environment = ? AND instance = ? AND boot = ?").pluck(),
    putBoot: database.prepare(
      `INSERT INTO boot (environment, instance, boot, sequence, last_at, overridden) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET sequence = excluded.sequence, last_at = excluded.last_at, overridden = excluded.overridden`,
    ),
    overridden: database.prepare(
      "SELECT instance, boot, overridden AS flags FROM boot WHERE environment = ? AND overridden <> '[]'",
    ),
    addExposures: database.prepare(
      `INSERT INTO exposure (environment, flag, variant, window_ms, starts_at, count) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET count = min(count + excluded.count, ${MAXIMUM})`,
    ),
    addUnknown: database.prepare(
      `INSERT INTO unknown_flag (environment, flag, count, last_at) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET count = min(count + excluded.count, ${MAXIMUM}), last_at = excluded.last_at`,
    ),
    addDropped: database.prepare(
      `INSERT INTO dropped (environment, count) VALUES (?, ?) ON CONFLICT DO UPDATE SET count = min(count + excluded.count, ${MAXIMUM})`,
    ),
    exposures: database.prepare(
      `SELECT variant, TOTAL(count) AS count FROM exposure
       WHERE environment = ? AND flag = ? AND window_ms = ? AND starts_at >= ? GROUP BY variant`,
    ),
    unknownFlags: database.prepare(
      "SELECT flag, count, last_at AS lastAt FROM unknown_flag WHERE environment = ? ORDER BY flag",
    ),
    pruneExposures: database.prepare(
      `DELETE FROM exposure WHERE rowid IN
       (SELECT rowid FROM exposure WHERE window_ms = ? AND starts_at < ? LIMIT ?)`,
    ),
    pruneUnknown: database.prepare(
      "DELETE FROM unknown_flag WHERE rowid IN (SELECT rowid FROM unknown_flag WHERE last_at < ? LIMIT ?)",
    ),
    pruneBoots: database.prepare("DELETE FROM boot WHERE rowid IN (SELECT rowid FROM boot WHERE last_at < ? LIMIT ?)"),
  };
}

function openMigrated(file: string): Database.Database {
  const database = openDatabase(file);
  try {
    const version = Number(database.pragma("user_version", { simple: true }));
    if (version > STEPS.length) {
      throw new StartupError(
        "database_newer",
        `${file} has format ${version}, and this release reads ${STEPS.length}. Use the newer release, or move the file away: only counts are in it.`,
      );
    }
    database.transaction(() => {
      for (const step of STEPS.slice(version)) database.exec(step);
      database.pragma(`user_version = ${STEPS.length}`);
    })();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Moves the file and its log out of the way, under a name that is free. */
function putAside(file: string): string {
  let number = 1;
  while (existsSync(`${file}.damaged-${number}`)) number += 1;
  const aside = `${file}.damaged-${number}`;
  renameSync(file, aside);
  for (const suffix of ["-wal", "-shm"]) if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix);
  return aside;
}
