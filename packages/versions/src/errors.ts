/**
 * Everything that can go wrong with a versioned module, with a code that never changes its meaning. Refusals are thrown as a
 * {@link VersionError}; what befalls a version is told by `failure` events, with one of the codes in {@link FAILURE_CODES}.
 */
export interface VersionErrorDefinition {
  /** What happened, in one sentence. */
  readonly meaning: string;
  /** When this is nothing to worry about. */
  readonly normal: string;
  /** What the caller does about it. */
  readonly remedy: string;
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean;
}

const define = <const Table extends Record<string, VersionErrorDefinition>>(table: Table): Table => table;

export const VERSION_ERRORS = define({
  // --- loading and unloading
  version_unknown: {
    meaning: "No version of this name was declared.",
    normal: "While a flag has a variant whose code is not deployed here yet: such entities stay with the fallback.",
    remedy: "Add it to `versions`, or give its file to `loadModuleVersion`.",
    retryable: false,
  },
  version_not_loaded: {
    meaning: "The version is declared but no thread runs it.",
    normal: "After it was collected.",
    remedy: "Call `loadModuleVersion` first.",
    retryable: false,
  },
  version_in_use: {
    meaning: "The version still has entities or a share of the split.",
    normal: "Never.",
    remedy: "Move its share away first, or unload it with `force`.",
    retryable: false,
  },
  load_failed: {
    meaning: "The version's file could not be imported, or its `initialize` threw.",
    normal: "Never.",
    remedy: "Mend the file; the message holds what was thrown.",
    retryable: false,
  },
  load_timeout: {
    meaning: "The version was not ready within `loadTimeoutMs`.",
    normal: "On a machine that starts many threads at once.",
    remedy: "Do less in `initialize`, or allow more time.",
    retryable: true,
  },
  bad_exports: {
    meaning: "The file does not export `createModule`, or what that makes lacks a function.",
    normal: "Never.",
    remedy: "Export what `VersionModule` asks for; the message names what is missing.",
    retryable: false,
  },
  version_mismatch: {
    meaning: "The file says that it is another version than the one it was loaded as.",
    normal: "After files were swapped.",
    remedy: "Correct the address in `versions`.",
    retryable: false,
  },
  dependency_missing: {
    meaning: "The version builds on a module that the option `dependencies` does not have.",
    normal: "Never.",
    remedy: "Create that module first, and pass it; the message names it.",
    retryable: false,
  },
  patch_refused: {
    meaning: "The version has no `applyPatch` or `updateConfig`, or it answered false.",
    normal: "Where a change needs new code.",
    remedy: "Pass `orReload` for a new thread behind the same version, or load the change as a version of its own.",
    retryable: false,
  },

  // --- entities and batches
  entity_exists: {
    meaning: "The module owns an entity of this name already.",
    normal: "Never.",
    remedy: "Remove it first, or use another name.",
    retryable: false,
  },
  entity_unknown: {
    meaning: "The module owns no entity of this name.",
    normal: "After it was removed.",
    remedy: "Add it first.",
    retryable: false,
  },
  migration_refused: {
    meaning:
      "A state cannot be brought from the one version to the other: there is no migration, or it refused or threw.",
    normal: "For a version that was never meant to follow the other.",
    remedy: "Write `migrateStateFrom`; entities stay where they were.",
    retryable: false,
  },
  queue_full: {
    meaning: "More batches wait than `maxQueuedBatches`.",
    normal: "For a moment while a version is replaced.",
    remedy: "Send batches as fast as they are answered.",
    retryable: true,
  },
  not_cloneable: {
    meaning: "The input holds something that cannot be sent to another thread, as functions cannot.",
    normal: "Never.",
    remedy: "Send values of the structured clone algorithm, best of all typed arrays.",
    retryable: false,
  },
  columns_invalid: {
    meaning: "A column does not have one value per entity.",
    normal: "Never.",
    remedy: "Make columns as long as `entities()`, in its order.",
    retryable: false,
  },

  // --- split and rollback
  split_invalid: {
    meaning: "The percentages of the split are not from 0 to 100 with a sum of 100, or name an unknown version.",
    normal: "Never.",
    remedy: "Correct them.",
    retryable: false,
  },
  no_control: {
    meaning: "The split belongs to a flag, and no `control` was given that could change the flag.",
    normal: "Where only people may change flags.",
    remedy: "Change the flag by the command line or the API, or pass `control`.",
    retryable: false,
  },
  control_refused: {
    meaning: "The server refused to change the flag, or did not answer.",
    normal: "While somebody else edits the flag.",
    remedy: "Read the message, which holds the server's code.",
    retryable: true,
  },
  rollback_incomplete: {
    meaning: "Some entities could not return to the version; they are where they were, with their state.",
    normal: "Where the version accepts no state of the other and none was saved.",
    remedy: "Write a migration back; the message says how many.",
    retryable: false,
  },
  closed: {
    meaning: "The module was closed.",
    normal: "While a process shuts down.",
    remedy: "None.",
    retryable: false,
  },

  // --- what befalls a version
  process_threw: {
    meaning: "`process` threw, or answered something else than columns.",
    normal: "Never.",
    remedy: "Mend the version. Its entities are back with the last good one.",
    retryable: false,
  },
  stalled: {
    meaning: "The version did not answer before its deadline; its thread was ended.",
    normal: "Never, with a deadline that fits.",
    remedy: "Look for an endless loop, or allow more time.",
    retryable: false,
  },
  heap_limit: {
    meaning: "The version used more memory than `maxHeapMb`.",
    normal: "Never.",
    remedy: "Look for a leak, or allow more.",
    retryable: false,
  },
  exited: {
    meaning: "The version's thread ended by itself: `process.exit`, or an error outside of a call.",
    normal: "Never.",
    remedy: "The message holds the exit code or the error.",
    retryable: false,
  },
  state_corrupt: {
    meaning:
      "A state failed its check: it changed without having been processed, is not what was restored, or is missing.",
    normal: "Never.",
    remedy: "Look for writes to another entity's data.",
    retryable: false,
  },
  error_rate: {
    meaning: "More than `maxErrorRate` of the entities that the version processed failed.",
    normal: "Never.",
    remedy: "Mend the version. Its entities went back with the state they had.",
    retryable: false,
  },
});

export type VersionErrorCode = keyof typeof VERSION_ERRORS;

/** The codes that say why a version is out of service. */
export const FAILURE_CODES = [
  "load_failed",
  "load_timeout",
  "bad_exports",
  "version_mismatch",
  "dependency_missing",
  "process_threw",
  "stalled",
  "heap_limit",
  "exited",
  "state_corrupt",
  "error_rate",
] as const satisfies readonly VersionErrorCode[];

export type FailureCode = (typeof FAILURE_CODES)[number];

/** Why a version is out of service. */
export interface Failure {
  readonly code: FailureCode;
  readonly message: string;
}

/** A refusal. `code` is stable; the message is for people. */
export class VersionError extends Error {
  override readonly name = "VersionError";
  readonly code: VersionErrorCode;

  constructor(code: VersionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
