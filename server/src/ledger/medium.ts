import type { Logger } from "../ports.ts";
import type { Ballast } from "../store/ballast.ts";
import type { StorageError } from "../store/store.ts";
import type { Command } from "./command.ts";
import { refuse } from "./decision.ts";
import { isEmergency } from "./emergency.ts";
import type { Ledger } from "./ledger.ts";

/**
 * Whether the disk takes writes, as far as the ledger has found out. A full one takes what is for an emergency, and everything
 * again once it has room; one that failed takes nothing until the ledger has been opened again, for what it holds is unknown.
 */
export class Medium {
  readonly #ballast: Ballast;
  readonly #logger: Logger;
  #readOnly: Ledger["readOnly"] = null;

  constructor({ ballast, logger }: { readonly ballast: Ballast; readonly logger: Logger }) {
    this.#ballast = ballast;
    this.#logger = logger;
  }

  get readOnly(): Ledger["readOnly"] {
    return this.#readOnly;
  }

  /** Why a command is not even tried, or null. */
  refusal(command: Command) {
    if (this.#readOnly === "storage_read_only") {
      return refuse("storage_read_only", "The server met an I/O error or damage and takes no writes until a restart.");
    }
    return this.#readOnly === "storage_full" && !isEmergency(command) ? refuseFull() : null;
  }

  /** What a write that failed comes to for whoever asked for it. */
  refuseFailed(error: StorageError) {
    if (error.kind === "full") return refuseFull();
    this.stop(error.message, error.cause);
    return refuse("storage_unknown_outcome", "The disk failed while the change was written.");
  }

  /** There is no room: makes some. */
  full(): void {
    this.#ballast.drop();
    if (this.#readOnly !== null) return;
    this.#readOnly = "storage_full";
    this.#logger.error({}, "The disk is full: only kill, restore, the end of rollouts and revocation are accepted.");
  }

  /** Nothing is written any more. */
  stop(why: string, cause: unknown): void {
    if (this.#readOnly === "storage_read_only") return;
    this.#readOnly = "storage_read_only";
    this.#logger.error({ why, cause }, "Storage failed: no writes until the server is restarted.");
  }

  /** Sees whether a full disk has room again. */
  lookAgain(): void {
    if (this.#readOnly !== "storage_full" || !this.#ballast.load()) return;
    this.#readOnly = null;
    this.#logger.info({}, "The disk has room again: all changes are accepted.");
  }
}

const refuseFull = () =>
  refuse(
    "storage_full",
    "The disk is full. Only kill, restore, the end of a rollout and the revocation of tokens are accepted.",
  );
