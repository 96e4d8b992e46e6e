import { randomBytes } from "node:crypto";
import { statfsSync } from "node:fs";
import { hostname } from "node:os";
import type { DiskSpace } from "../ops/disk.ts";
import type { Clock, Random, Scheduler } from "../ports.ts";

/** The real world. Chosen in main.ts; tests take the simulated twins. */
export function createNodeClock(): Clock {
  return { now: () => Date.now(), monotonic: () => performance.now() };
}

export function createNodeScheduler(): Scheduler {
  return {
    after(delayMs, task) {
      const timer = setTimeout(task, delayMs);
      timer.unref();
      return () => clearTimeout(timer);
    },
    every(intervalMs, task) {
      const timer = setInterval(task, intervalMs);
      timer.unref();
      return () => clearInterval(timer);
    },
    soon: (task) => void setImmediate(task),
  };
}

export function createNodeRandom(): Random {
  // 53 bits of a cryptographic source: as even as Math.random, and one source fewer to think about.
  const next = (): number => Number(randomBytes(8).readBigUInt64BE() >> 11n) / 2 ** 53;
  return { next, bytes: (count) => randomBytes(count) };
}

/** Tells the restarts and neighbours of a server apart. */
export function nameOfProcess(random: Random): string {
  return `${hostname()}-${Buffer.from(random.bytes(3)).toString("hex")}`;
}

/** Undefined where the system does not say. */
export function readDiskSpace(folder: string): DiskSpace | undefined {
  try {
    const { bavail, blocks, bsize } = statfsSync(folder);
    return { free: bavail * bsize, total: blocks * bsize };
  } catch {
    return undefined;
  }
}
