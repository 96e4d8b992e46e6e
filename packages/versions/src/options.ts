import type { Flags } from "@bunting/sdk";
import type { PromotionPlan } from "./health/promotion.ts";
import type { SplitControl, TrafficSplit } from "./routing/source.ts";
import type { VersionedModule } from "./types.ts";

export interface VersionedModuleOptions {
  /** Files by version, the oldest first: JavaScript, or TypeScript where tsx is installed. */
  readonly versions: Readonly<Record<string, URL | string>>;
  /** Who decides the split, with `flag`. Without it the split is this process's own. */
  readonly flags?: Pick<Flags, "place" | "on" | "expose" | "gauge" | "flush"> | undefined;
  /** A flag whose variants are the versions. */
  readonly flag?: string | undefined;
  /** What may change the flag: see `createRestControl`. */
  readonly control?: SplitControl | undefined;
  /**
   * The first split, where there is no flag.
   * @default all to the version declared first
   */
  readonly split?: TrafficSplit | undefined;
  /** Handed to `initialize`. @default null */
  readonly config?: unknown;
  /** Ends versions that nobody has used for this long. @default never */
  readonly unusedThresholdSeconds?: number | undefined;
  /** Other versioned modules by name, for versions that build on them: see `VersionModule.getDependencies`. */
  readonly dependencies?: Readonly<Record<string, Dependency>> | undefined;
  /** Steps that the local split takes by itself. @default none */
  readonly promotion?: PromotionPlan | undefined;
  /**
   * How old the newest kept state may be when a version breaks. 0 keeps the state after every batch: then nothing is ever
   * lost, at the price of sending every state each time.
   * @default 1000
   */
  readonly checkpointEveryMs?: number | undefined;
  readonly limits?: Partial<Limits> | undefined;
}

/** As much of another versioned module as matters to those that build on it. */
export type Dependency = Pick<VersionedModule, "on">;

/** What bounds a version, and this package's own queues. */
export interface Limits {
  /** Of each version: heap, and typed arrays outside of it. @default 256 */
  readonly maxHeapMb: number;
  /** @default 10000 */
  readonly loadTimeoutMs: number;
  /** For a batch, and for every other question but the load. Whoever needs longer is ended. @default 500 */
  readonly deadlineMs: number;
  /** Failed of processed entities in 10 s, 0 to 1, above which a version is taken out. @default 0.05 */
  readonly maxErrorRate: number;
  /** @default 64 */
  readonly maxQueuedBatches: number;
  /** Entities that move between two batches. @default 1000 */
  readonly moveSlice: number;
  /** Entities per batch and version whose outcome is told to the flag's rollout. @default 100 */
  readonly evidencePerBatch: number;
  /** How often collection, promotion and checkpoints are looked at. @default 250 */
  readonly maintenanceMs: number;
}

export interface ResolvedOptions {
  readonly versions: ReadonlyMap<string, string>;
  /** The version declared first. */
  readonly oldest: string;
  readonly flag: { readonly flags: NonNullable<VersionedModuleOptions["flags"]>; readonly key: string } | null;
  readonly control: SplitControl | null;
  readonly split: TrafficSplit;
  readonly config: unknown;
  readonly unusedThresholdMs: number | null;
  readonly dependencies: ReadonlyMap<string, Dependency>;
  readonly promotion: PromotionPlan | null;
  readonly checkpointEveryMs: number;
  readonly limits: Limits;
}

const LIMITS: Limits = {
  maxHeapMb: 256,
  loadTimeoutMs: 10_000,
  deadlineMs: 500,
  maxErrorRate: 0.05,
  maxQueuedBatches: 64,
  moveSlice: 1_000,
  evidencePerBatch: 100,
  maintenanceMs: 250,
};

const NAMES: { readonly [Name in keyof Required<VersionedModuleOptions>]: true } = {
  versions: true,
  flags: true,
  flag: true,
  control: true,
  split: true,
  config: true,
  unusedThresholdSeconds: true,
  dependencies: true,
  promotion: true,
  checkpointEveryMs: true,
  limits: true,
};

/** Loose input to one total value, once. @throws TypeError for a mistake that nothing later can mend. */
export function resolveOptions(options: VersionedModuleOptions): ResolvedOptions {
  checkNames("option", options, Object.keys(NAMES));
  checkNames("limit", options.limits ?? {}, Object.keys(LIMITS));
  const versions = new Map(Object.entries(options.versions).map(([name, url]) => [name, String(url)]));
  const [oldest] = versions.keys();
  if (oldest === undefined) refuse("`versions` is empty");
  const { flags, flag, promotion } = options;
  if ((flags === undefined) !== (flag === undefined)) refuse("`flags` and `flag` belong together");
  if (flags !== undefined && options.split !== undefined) refuse("with a flag, the flag has the split");
  if (flags !== undefined && promotion !== undefined)
    refuse("a flag's rollout promotes by its own plan, on the server");
  if (flags === undefined && options.control !== undefined) refuse("`control` changes a flag, and there is none");
  const named = promotion === undefined ? [] : [promotion.canary, promotion.baseline];
  const stranger = named.find((name) => !versions.has(name));
  if (stranger !== undefined) refuse(`\`promotion\` names "${stranger}", which is no version`);
  const limits = Object.fromEntries(
    Object.entries(LIMITS).map(([name, value]) => [name, options.limits?.[name as keyof Limits] ?? value]),
  ) as unknown as Limits;
  for (const [name, value] of Object.entries(limits)) {
    if (!(value >= 0 && Number.isFinite(value))) refuse(`limit "${name}" must be a number from 0, it is ${value}`);
  }
  const threshold = options.unusedThresholdSeconds;
  return {
    versions,
    oldest,
    flag: flags === undefined || flag === undefined ? null : { flags, key: flag },
    control: options.control ?? null,
    split: options.split ?? { [oldest]: 100 },
    config: options.config ?? null,
    unusedThresholdMs: threshold === undefined ? null : threshold * 1_000,
    dependencies: new Map(Object.entries(options.dependencies ?? {})),
    promotion: promotion ?? null,
    checkpointEveryMs: options.checkpointEveryMs ?? 1_000,
    limits,
  };
}

function checkNames(what: string, given: object, known: readonly string[]): void {
  const stranger = Object.keys(given).find((name) => !known.includes(name));
  if (stranger !== undefined) refuse(`unknown ${what} "${stranger}", known are ${known.join(", ")}`);
}

function refuse(problem: string): never {
  throw new TypeError(`Cannot create a versioned module: ${problem}`);
}
