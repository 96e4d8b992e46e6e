export { createRestControl, type RestControlOptions } from "./control/rest.ts";
export { createVersionedModule } from "./create-versioned-module.ts";
export {
  FAILURE_CODES,
  type FailureCode,
  VERSION_ERRORS,
  VersionError,
  type VersionErrorCode,
  type VersionErrorDefinition,
} from "./errors.ts";
export type { PromotionPlan } from "./health/promotion.ts";
export type { VersionLifeName } from "./lifecycle/version-life.ts";
export type { Dependency, Limits, VersionedModuleOptions } from "./options.ts";
export { distribute } from "./routing/crowd.ts";
export { inOrder, type Range, type Seat } from "./routing/rank.ts";
export type { SplitControl, TrafficSplit } from "./routing/source.ts";
export type {
  AddOptions,
  BatchResult,
  EntityDraft,
  ModuleEvents,
  MoveReport,
  ProcessOptions,
  ReloadReport,
  RollbackOptions,
  RollbackReport,
  UnloadReport,
  VersionComparison,
  VersionedModule,
  VersionMetrics,
} from "./types.ts";
export { type Batch, type Column, type Columns, defineVersion, type VersionModule } from "./version-module.ts";
