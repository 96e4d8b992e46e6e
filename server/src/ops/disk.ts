import type { Registry } from "prom-client";
import type { Cancel, Logger, Scheduler } from "../ports.ts";
import { readGauge } from "./gauge.ts";

/** Of the volume that holds the data folder, in bytes. */
export interface DiskSpace {
  /** What this user may still write. */
  readonly free: number;
  readonly total: number;
}

/** Below this share the volume is low on space: weeks of warning on most machines, and not yet a full disk on any. */
const LOW = 0.1;
/** It is fine again only above this, so that a volume at the limit does not warn every minute. */
const FINE_AGAIN = 0.12;
const INTERVAL_MS = 60_000;

/** Whether space is low now, given whether it was. */
export function isLowOnSpace({ free, total }: DiskSpace, wasLow: boolean): boolean {
  return free < total * (wasLow ? FINE_AGAIN : LOW);
}

export interface DiskWatch {
  /** As of the last look, at most a minute ago. */
  readonly isLow: boolean;
  readonly stop: Cancel;
}

export interface DiskWatchDeps {
  /** Undefined where it cannot be told. */
  readonly read: () => DiskSpace | undefined;
  readonly scheduler: Pick<Scheduler, "every">;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** Says when the disk is about to be full, while there is still time to do something about it. */
export function watchDisk({ read, scheduler, logger, registry }: DiskWatchDeps): DiskWatch {
  let isLow = false;
  const look = (): void => {
    const space = read();
    if (space === undefined) return;
    const wasLow = isLow;
    isLow = isLowOnSpace(space, wasLow);
    if (isLow === wasLow) return;
    if (isLow) logger.warn({ code: "disk_low", ...space }, "The volume of the data folder has less than 10 % free.");
    else logger.info(space, "The volume of the data folder has enough room again.");
  };
  look();
  const stop = scheduler.every(INTERVAL_MS, look);

  const gauge = (name: string, help: string, of: (space: DiskSpace) => number): void => {
    readGauge(registry, name, help, () => {
      const space = read();
      return space === undefined ? Number.NaN : of(space);
    });
  };
  gauge("bunting_disk_free_bytes", "Room on the volume of the data folder.", ({ free }) => free);
  gauge("bunting_disk_size_bytes", "Size of the volume of the data folder.", ({ total }) => total);

  return {
    get isLow() {
      return isLow;
    },
    stop,
  };
}
