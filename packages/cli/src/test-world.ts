import {
  type ConfigurationView,
  configurationView,
  type Flag,
  flag as flagSchema,
  type Receipt,
  receipt as receiptSchema,
} from "@bunting/contracts";
import { createTheme, type Theme } from "./output/theme.ts";
import type { World } from "./world.ts";

/** A world for tests: nobody at the terminal, no files, no network, time that passes only by sleeping. */
export function createTestWorld(differences: Partial<World> = {}) {
  let [out, err] = ["", ""];
  let elapsed = 0;
  const slept: number[] = [];
  const world: World = {
    env: {},
    stdout: { write: (text) => void (out += text), isTerminal: false, columns: 100 },
    stderr: { write: (text) => void (err += text), isTerminal: false, columns: 100 },
    isInteractive: false,
    readFile: () => undefined,
    writeFile: () => undefined,
    fetch: (url, init) => fetch(url, init),
    sleep: (ms) => {
      slept.push(ms);
      elapsed += ms;
      return Promise.resolve();
    },
    monotonic: () => elapsed,
    now: () => Date.UTC(2026, 0, 31, 12),
    random: () => 0.5,
    uniqueKey: () => "one-key",
    ask: () => Promise.resolve(undefined),
    confirm: () => Promise.resolve(false),
    progress: () => ({ update: () => undefined, end: () => undefined }),
    ...differences,
  };
  return { world, slept, out: () => out, err: () => err };
}

export const PLAIN: Theme = createTheme({ columns: 100, hasColours: false });
export const COLOURFUL: Theme = createTheme({ columns: 100, hasColours: true });

/** Of the right form, and no server's. */
export const TOKEN = `bnt_admin_${"a".repeat(12)}_${"b".repeat(43)}cccccc`;

export function sampleFlag(differences: object = {}): Flag {
  return flagSchema.parse({
    key: "redis-readthrough",
    type: "boolean",
    description: "",
    owner: "",
    tags: [],
    lifecycle: "release",
    metadata: {},
    variants: { on: { value: true }, off: { value: false } },
    retiredVariants: {},
    archivedAt: null,
    createdAt: "2026-01-01T00:00:00.000Z",
    version: 1,
    ...differences,
  });
}

export function sampleConfiguration(differences: object = {}): ConfigurationView {
  return configurationView.parse({
    flag: "redis-readthrough",
    environment: "production",
    enabled: true,
    killed: null,
    offVariant: "off",
    salt: 1,
    cohort: null,
    bucketBy: ["key"],
    pins: {},
    prerequisites: [],
    rules: [],
    fallthrough: { split: { on: 25, off: 75 } },
    version: 12,
    updatedAt: "2026-01-01T00:00:00.000Z",
    position: { epoch: "e", revision: 318 },
    ...differences,
  });
}

export function sampleReceipt(differences: object = {}): Receipt {
  return receiptSchema.parse({
    environment: "production",
    epoch: "e",
    revision: 318,
    committedAt: "2026-01-31T11:59:59.000Z",
    connected: 2413,
    applied: 2413,
    pendingCount: 0,
    pending: [],
    late: 0,
    latencyMs: { p50: 9.44, p95: 20.2, p99: 31.4, max: 1044 },
    complete: true,
    ...differences,
  });
}

export function samplePending(instance: string, differences: object = {}) {
  return {
    instance,
    boot: "b-1",
    sdk: "bunting-node/1.0.0",
    connected: true,
    acknowledged: 317,
    lastSeenAt: "2026-01-31T11:59:58.000Z",
    ...differences,
  };
}
