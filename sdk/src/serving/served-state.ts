import { type CompiledFlag, type ServedInstead, variantIndexOf } from "@bunting/engine";
import { EvidenceBook } from "../evidence/book.ts";
import type { ResolvedOptions } from "../options.ts";
import { createOverrides, decisionOf, type Overrides, watchOverrideFile } from "../overrides.ts";
import type { Cancel, Platform } from "../ports.ts";
import { createReplica, type Replica, type ReplicaStart } from "../ruleset/replica.ts";
import { createSlots, type Slots } from "../telemetry/slots.ts";
import type { ChangeEvent } from "../types.ts";
import type { Serving } from "./evaluator.ts";
import { buildTable, changedKeys, EMPTY_TABLE, type ServingTable } from "./table.ts";

/** The ruleset, the overrides over it, and the table that evaluations read, kept together: who changes one changes all. */
export interface ServedState extends Serving {
  readonly replica: Replica;
  readonly book: EvidenceBook;
  /** Follows the override file until cancelled. */
  watch(): Cancel;
}

export interface ServedStateHost {
  readonly platform: Platform;
  readonly options: Pick<ResolvedOptions<never>, "overrideEnv" | "overrideFile">;
  readonly beginning: ReplicaStart;
  readonly freshness: Serving["freshness"];
  /** The table is another one. Called after the swap. */
  changed(change: ChangeEvent): void;
  /** The ruleset, or what kills say of it, is another one. Called before {@link changed}. */
  moved(replica: Replica): void;
  /** What is wrong with the table that serves from now on; perhaps the same as before. */
  noticed(issues: readonly string[]): void;
  report(code: string, message: string): void;
}

export function createServedState(host: ServedStateHost): ServedState {
  return new SwappedState(host);
}

class SwappedState implements ServedState {
  table: ServingTable = EMPTY_TABLE;
  readonly slots: Slots = createSlots();
  readonly book: EvidenceBook;
  readonly replica: Replica;
  readonly freshness: Serving["freshness"];
  private readonly host: ServedStateHost;
  private readonly overrides: Overrides;

  constructor(host: ServedStateHost) {
    const { platform, options, beginning } = host;
    this.host = host;
    this.freshness = host.freshness;
    this.book = new EvidenceBook({
      clock: platform.clock,
      scheduler: platform.scheduler,
      breakerChanged: (flag) => {
        const before = this.relink();
        const others = changedKeys(before, this.table).filter((key) => key !== flag);
        host.changed({ keys: [flag, ...others], revision: this.table.revision });
      },
    });
    this.overrides = createOverrides({ environment: platform.environment, overrideEnv: options.overrideEnv });
    this.readFile();
    this.replica = createReplica(
      beginning,
      (replica) => {
        const swapped = this.swap();
        host.moved(replica);
        this.tell(swapped);
      },
      (flag) => this.servedInstead(flag),
    );
    this.swap();
  }

  watch(): Cancel {
    const { platform, options } = this.host;
    if (options.overrideFile === null) return () => {};
    return watchOverrideFile(options.overrideFile, platform, (text) => {
      this.overrides.load(text);
      this.tell(this.relink());
    });
  }

  private readFile(): void {
    const { platform, options } = this.host;
    if (options.overrideFile === null) return;
    try {
      this.overrides.load(platform.files.readNow(options.overrideFile));
    } catch (error) {
      const reason = error instanceof Error ? error.message : "unknown reason";
      const message = `the override file cannot be read: ${reason}`;
      this.host.report("override_file", message);
      this.host.noticed([message]);
    }
  }

  /** What prerequisites see of the flag besides its ruleset, in the order of EV-1: kill, override, breaker. */
  private servedInstead(flag: CompiledFlag): ServedInstead | null {
    if (flag.entry.killed) return null;
    const override = this.overrides.of(flag.key);
    const decision = override && decisionOf(override, flag);
    if (decision === undefined) return this.book.withheldOf(flag);
    const forced = flag.variants[variantIndexOf(decision)]?.key;
    return forced === undefined ? null : { forced };
  }

  /** The table before. */
  private relink(): ServingTable {
    this.replica.relink();
    return this.swap();
  }

  /** The table before. */
  private swap(): ServingTable {
    const { table: before, replica, overrides, slots, book } = this;
    const revision = replica.position?.revision ?? null;
    this.table = buildTable(before, { compiled: replica.compiled, revision, overrides, slots, book });
    this.host.noticed(this.table.issues);
    return before;
  }

  private tell(before: ServingTable): void {
    const keys = changedKeys(before, this.table);
    const { revision } = this.table;
    if (keys.length > 0 || revision !== before.revision) this.host.changed({ keys, revision });
  }
}
