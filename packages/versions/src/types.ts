import type { FailureCode, VersionErrorCode } from "./errors.ts";
import type { VersionLifeName } from "./lifecycle/version-life.ts";
import type { TrafficSplit } from "./routing/source.ts";
import type { Columns } from "./version-module.ts";

export interface ProcessOptions {
  /** What differs by entity, aligned with `entities`, or with `entities()` if all are processed. */
  readonly columns?: Columns | undefined;
  /** @default all of them */
  readonly entities?: readonly string[] | undefined;
}

export interface BatchResult {
  /** Entities that were processed, each once. */
  readonly processedCount: number;
  /** Entities that their version could not process, or that no version could be found for. */
  readonly failed: readonly string[];
  /** What the versions answered, aligned with the batch. */
  readonly columns: Columns;
  /** How many entities each version processed. */
  readonly byVersion: Readonly<Record<string, number>>;
}

export interface EntityDraft {
  readonly entity: string;
  readonly state: unknown;
}

export interface AddOptions {
  /**
   * Whose state it is that the entities come with.
   * @default the version declared first
   */
  readonly stateOf?: string | undefined;
}

export interface VersionMetrics {
  readonly version: string;
  readonly life: VersionLifeName;
  /** Share of the entities that it has now. */
  readonly trafficPercent: number;
  readonly entityCount: number;
  /** Sum over its batches of the entities in them. */
  readonly processedEntities: number;
  readonly batchCount: number;
  /** Within its thread, per batch. */
  readonly avgProcessTimeMs: number;
  /** Of the newest 1,024 batches. */
  readonly p99ProcessTimeMs: number;
  /** Of the last 10 s, 0 to 1. */
  readonly errorRate: number;
  /** Its heap and what hangs outside of it, when it last answered. */
  readonly memoryUsageBytes: number;
  readonly uptimeSeconds: number;
}

/** Two versions side by side: how much `version` differs from `baseline`, per entity and in percent. */
export interface VersionComparison {
  readonly version: VersionMetrics;
  readonly baseline: VersionMetrics;
  /** Null where one of them has processed nothing. */
  readonly processTimePercent: number | null;
  /** Difference of the rates. */
  readonly errorRateDifference: number;
}

export interface MoveReport {
  readonly from: string;
  readonly to: string;
  readonly movedCount: number;
  /** Of them, those that are back with the state from before they had left, for want of a migration back. */
  readonly restoredFromSavedCount: number;
  /** Entities that stayed where they were, with the reason of the first. */
  readonly refusedCount: number;
  readonly refusal: string | null;
  readonly durationMs: number;
  /** Unix ms. */
  readonly at: number;
}

export interface RollbackOptions {
  /** Longer than this is reported, never cut short: a half state is worse. @default 1000 */
  readonly maxDowntimeMs?: number | undefined;
  /** For the audit. */
  readonly reason?: string | undefined;
}

export interface RollbackReport {
  /** The version that was left; null if all others were. */
  readonly from: string | null;
  /** Where its entities are now, and how many. */
  readonly to: Readonly<Record<string, number>>;
  /** Null: somebody asked for it. */
  readonly cause: FailureCode | null;
  readonly message: string;
  readonly entityCount: number;
  /** Of them, those that no version takes. Their state is kept, and they come back when one does. */
  readonly strandedCount: number;
  /** Of them, those that got a state from before they had moved, for want of a migration back. */
  readonly restoredFromSavedCount: number;
  /** The most batches that any of them had been through since its state was last kept. */
  readonly lostBatchCount: number;
  /** From the decision until the last of them was restored. */
  readonly rollbackMs: number;
  /** The longest that any of them had no version: from when the old one was asked what it broke at, or was drained, to the acknowledgement of the new. */
  readonly downtimeMs: number;
  readonly isWithinLimit: boolean;
  /** Unix ms. */
  readonly at: number;
}

export interface UnloadReport {
  readonly version: string;
  readonly cause: "collected" | "unloaded" | "failed";
  /** What it had in use before. All of it goes with the thread. */
  readonly freedBytes: number;
  readonly durationMs: number;
}

/** A version that goes on in a new thread, under the same name. */
export interface ReloadReport {
  readonly version: string;
  readonly entityCount: number;
  /** Of the new thread, while the old one went on. */
  readonly loadMs: number;
  /** From the last answer of the old thread until the new one had every state. Batches waited for that long. */
  readonly downtimeMs: number;
  /** Unix ms. */
  readonly at: number;
}

export interface ModuleEvents {
  readonly load: { readonly version: string; readonly loadMs: number };
  readonly unload: UnloadReport;
  readonly reload: ReloadReport;
  readonly move: MoveReport;
  readonly failure: { readonly version: string; readonly code: FailureCode; readonly message: string };
  readonly rollback: RollbackReport;
  readonly promote: { readonly split: TrafficSplit };
  /** What went wrong in the background, and stops nothing. */
  readonly problem: { readonly code: VersionErrorCode; readonly message: string };
}

/** Several versions of one module, side by side. Whatever reaches a version's thread returns a promise. */
export interface VersionedModule<Input = unknown> {
  /**
   * Settles when a thread is kept ready, so that the next load takes only as long as the version's file. Loads need not wait
   * for it; it is for those who measure them.
   */
  warm(): Promise<void>;
  /**
   * Starts a thread and loads the version into it. Brings back a version that was out of service, and one that was unloaded.
   *
   * @param url Declares a version that was not, or has its next load take another file.
   * @throws VersionError `version_unknown`, `load_failed`, `load_timeout`, `bad_exports`, `version_mismatch`,
   *   `dependency_missing`
   */
  loadModuleVersion(version: string, url?: URL | string): Promise<void>;
  /**
   * Ends the version's thread. With `force` its entities go elsewhere first, and it is not loaded again until somebody asks.
   *
   * @throws VersionError `version_in_use`, `version_not_loaded`
   */
  unloadModuleVersion(version: string, options?: { readonly force?: boolean }): Promise<UnloadReport>;
  /**
   * Settles when the entities are where the split wants them, or refused to go. Goes through the flag where there is one.
   *
   * @throws VersionError `split_invalid`, `version_not_loaded`, `no_control`, `control_refused`
   */
  setTrafficSplit(split: TrafficSplit, reason?: string): Promise<void>;
  /** Percent by version, as the flag or the local split has it. */
  getTrafficSplit(): TrafficSplit;
  /**
   * Moves every entity of one version to another, or none: if one is refused, all stay. The share of the one is the other's
   * until the split changes, and in the flag as well if there is a control.
   *
   * @throws VersionError `migration_refused`, `version_not_loaded`, `control_refused`
   */
  migrateState(from: string, to: string): Promise<MoveReport>;
  /**
   * Brings every entity to this version: with a migration back, or else with the state that it had there. First here, at
   * once, then through the flag, for every process.
   *
   * @throws VersionError `version_unknown`, `rollback_incomplete`, `control_refused` (it has happened here nevertheless)
   */
  rollback(version: string, options?: RollbackOptions): Promise<RollbackReport>;
  /** Ends versions that nobody has used for this long. */
  enableAutoGC(unusedThresholdSeconds?: number): void;
  disableAutoGC(): void;
  /** In the order of declaration. */
  getLoadedVersions(): readonly string[];
  isVersionLoaded(version: string): boolean;
  /** The modules that it builds on, as it said when it was last loaded. @throws VersionError `version_unknown` */
  getDependencies(version: string): readonly string[];
  /** @throws VersionError `version_unknown` */
  getVersionMetrics(version: string): VersionMetrics;
  compareVersions(version: string, baseline: string): VersionComparison;
  /**
   * Puts a new thread behind the same version, with what its file, or another one, holds now and all that it imports. The old
   * thread goes on until the new one is ready; then every entity's state is carried over, or none: if one is refused, the old
   * thread stays.
   *
   * @throws VersionError `version_unknown`, `version_not_loaded`, `migration_refused`, and what a load throws
   */
  reloadModuleVersion(version: string, url?: URL | string): Promise<ReloadReport>;
  /**
   * Changes a version while it runs. With `orReload`, a version that cannot take the patch is loaded again from there.
   *
   * @returns How the reload went; null if none was needed.
   * @throws VersionError `patch_refused`, and with `orReload` what a reload throws
   */
  applyPatch(
    version: string,
    patch: unknown,
    options?: { readonly orReload?: URL | string | undefined },
  ): Promise<ReloadReport | null>;
  /**
   * Of every loaded version; later loads get it too. With `orReload`, versions that cannot take it running get a new thread.
   *
   * @throws VersionError `patch_refused` if one cannot take it running, and with `orReload` what a reload throws
   */
  updateConfig(config: unknown, options?: { readonly orReload?: boolean | undefined }): Promise<void>;

  /** @throws VersionError `entity_exists`, `migration_refused`: then none was added */
  addEntities(drafts: readonly EntityDraft[], options?: AddOptions): Promise<void>;
  /** @throws VersionError `entity_unknown` */
  removeEntities(entities: readonly string[]): Promise<void>;
  /** Keeps one entity with a version, whatever the split says; null lets go. Goes through the flag where there is one. */
  pinEntity(entity: string, version: string | null): Promise<void>;
  /** In the order that columns have. Changes when entities come and go. */
  entities(): readonly string[];
  /** The version that has the entity; null while none can. @throws VersionError `entity_unknown` */
  versionOf(entity: string): string | null;
  /** As the versions have them now. @throws VersionError `entity_unknown` */
  getState(entities?: readonly string[]): Promise<ReadonlyMap<string, unknown>>;

  /**
   * Has each entity processed once, by the version that it is with. One message per version, whatever the number of entities.
   * If a version fails, its entities go back to the last good one and are processed there: the call is answered all the same.
   *
   * @throws VersionError `queue_full`, `not_cloneable`, `columns_invalid`, `entity_unknown`
   */
  process(input: Input, options?: ProcessOptions): Promise<BatchResult>;
  /** Settles when every entity is where it is wanted, or was refused there. */
  settled(): Promise<void>;
  on<Name extends keyof ModuleEvents>(name: Name, listener: (event: ModuleEvents[Name]) => void): () => void;
  /** Ends all threads. What they held is gone. */
  close(): Promise<void>;
}
