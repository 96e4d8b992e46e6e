import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { ReadableStream } from "node:stream/web";
import { type Backup, backupName } from "@bunting/contracts";
import type { Actor, Refusal } from "../ledger/command.ts";
import { refuse } from "../ledger/decision.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { DiskSpace } from "../ops/disk.ts";
import { fromInstant, toInstant } from "../platform/instant.ts";
import type { Clock, Logger } from "../ports.ts";
import { StorageError } from "../store/store.ts";

/** Copies of the database in a folder beside it, made while the server goes on. The newest {@link KEPT} are kept. */
export interface Backups {
  /** One at a time. */
  make(
    actor: Actor,
  ): Promise<{ readonly ok: true; readonly backup: Backup } | { readonly ok: false; readonly refusal: Refusal }>;
  /** Undefined if it is not there, or no longer. One that is being read is read to its end, whatever is removed. */
  read(name: string): { readonly bytes: number; readonly stream: ReadableStream<Uint8Array> } | undefined;
}

export interface BackupsDeps {
  readonly folder: string;
  /** The live database. */
  readonly database: string;
  readonly ledger: Pick<Ledger, "backup" | "execute">;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
  /** Of the folder's volume; undefined where it cannot be told. */
  readonly diskSpace: () => DiskSpace | undefined;
}

/** Enough for the last one to be downloaded while the next is made. They are copies in transit: the disk is the same one. */
const KEPT = 3;
/** Left free on the volume, for the changes made meanwhile. */
const RESERVE_BYTES = 32 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;

export function createBackups({ folder, database, ledger, clock, logger, diskSpace }: BackupsDeps): Backups {
  let isRunning = false;

  const names = (): string[] => (existsSync(folder) ? readdirSync(folder).filter(isBackup).sort() : []);

  /** After all that are there, even if the clock was set back: the order of the names says which is the oldest. */
  const newName = (): string => nameAt(Math.max(clock.now(), timeOf(names().at(-1) ?? "") + 1));

  const copy = async (name: string): Promise<Backup> => {
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
    for (const file of readdirSync(folder)) {
      // What a killed server left half made.
      if (file.startsWith("bunting-") && !isBackup(file)) rmSync(path.join(folder, file), { force: true });
    }
    const madeAt = toInstant(clock.now());
    const file = path.join(folder, name);
    const contents = await ledger.backup(file);
    const sha256 = createHash("sha256");
    await pipeline(createReadStream(file, { highWaterMark: CHUNK_BYTES }), sha256);
    const { size: bytes } = statSync(file);
    for (const old of names().slice(0, -KEPT)) rmSync(path.join(folder, old), { force: true });
    return { name, madeAt, bytes, sha256: sha256.digest("hex"), ...contents };
  };

  return {
    async make(actor) {
      if (isRunning) return refuse("backup_running", "A backup is being made already.");
      const needed = bytesOf(database) + bytesOf(`${database}-wal`) + RESERVE_BYTES;
      const free = diskSpace()?.free ?? Number.POSITIVE_INFINITY;
      if (free < needed) {
        return refuse("storage_full", `A backup takes up to ${needed} bytes, and the volume has ${free} free.`);
      }
      const name = newName();
      const noted = ledger.execute({ type: "back_up", name }, actor);
      if (!noted.ok) return noted;
      isRunning = true;
      try {
        return { ok: true, backup: await copy(name) };
      } catch (error) {
        logger.error({ error, name }, "The backup failed.");
        if (error instanceof StorageError && error.kind === "full") return refuse("storage_full", error.message);
        return refuse("backup_failed", error instanceof StorageError ? error.message : "The copy could not be made.");
      } finally {
        isRunning = false;
      }
    },

    read(name) {
      const file = path.join(folder, name);
      const bytes = isBackup(name) ? bytesOf(file) : 0;
      return bytes === 0 ? undefined : { bytes, stream: ReadableStream.from(chunksOf(file)) };
    },
  };
}

function nameAt(unixMs: number): string {
  return `bunting-${toInstant(unixMs).replaceAll(/[-:.]/g, "")}.db`;
}

/** 0 for what is no such name. */
function timeOf(name: string): number {
  const [, ...parts] = /^bunting-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z/.exec(name) ?? [];
  const [year, month, day, hour, minute, second, ms] = parts;
  return fromInstant(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`) || 0;
}

function isBackup(file: string): boolean {
  return backupName.safeParse(file).success;
}

/** 0 if there is no such file. */
function bytesOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** Opened when somebody reads: an answer to HEAD never does. */
async function* chunksOf(file: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file, { highWaterMark: CHUNK_BYTES });
}
