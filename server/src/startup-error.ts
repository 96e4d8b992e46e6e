/** Why the server cannot start. Each code is explained, with its remedy, in docs/operating/storage.md. */
export type StartupErrorCode =
  | "data_folder_not_writable"
  | "network_file_system"
  | "sqlite_unsupported"
  | "durability_unavailable"
  | "database_locked"
  | "database_missing"
  | "database_empty"
  | "database_corrupt"
  | "database_foreign"
  | "database_newer"
  | "migration_failed"
  | "secret_key_damaged"
  | "disk_full";

/**
 * An expected reason not to start. `message` is one or two sentences for the person at the terminal: what is wrong, where, and
 * what to do. Print it without the stack.
 */
export class StartupError extends Error {
  override readonly name = "StartupError";
  readonly code: StartupErrorCode;

  constructor(code: StartupErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
