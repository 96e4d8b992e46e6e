import type { Entity } from "./entity.ts";
import { errorRate, NO_OUTCOMES, type Outcomes } from "./health/breaker.ts";
import { ProcessTimes } from "./health/process-times.ts";
import { ABSENT, type VersionLife } from "./lifecycle/version-life.ts";
import type { VersionThread } from "./version-thread.ts";
import { Roster } from "./worker/roster.ts";

/** One declared version: its life, its thread, who is with it, and how it does. */
export class VersionEntry {
  readonly name: string;
  url: string;
  life: VersionLife = ABSENT;
  thread: VersionThread | null = null;
  /** Settles when the load that is under way has, with what went wrong. */
  loading: Promise<unknown> | null = null;
  /** What it says of itself; kept after it is unloaded, for plans that lead through it. */
  migratesFrom: readonly string[] | null | undefined;
  /** Other modules that it builds on. */
  dependencies: readonly string[] = [];
  /** Unloaded by force: not loaded again for a split, only when asked. */
  withdrawn = false;
  roster = new Roster();
  /** In the order of the roster. */
  members: Entity[] = [];

  times = new ProcessTimes();
  outcomes: Outcomes = NO_OUTCOMES;
  processedCount = 0;
  heapBytes = 0;
  /** Monotonic ms. */
  loadedAt: number | null = null;
  unusedSince: number | null = null;
  batchCount = 0;
  checkpointBatch = 0;
  /** Monotonic ms. */
  checkpointAt = 0;
  /** When it was started again because there was nothing else, monotonic ms. */
  restarts: readonly number[] = [];

  constructor(name: string, url: string) {
    this.name = name;
    this.url = url;
  }

  join(entity: Entity): void {
    if (this.roster.has(entity.name)) return;
    this.roster.add(entity.name);
    this.members.push(entity);
    entity.joinedAt = this.batchCount;
  }

  /** As {@link Roster.remove} does it: the last one takes the free slot. */
  leave(entity: Entity): void {
    const slot = this.roster.slotOf(entity.name);
    if (slot === undefined) return;
    this.roster.remove(entity.name);
    const last = this.members.pop();
    if (last !== undefined && last !== entity) this.members[slot] = last;
  }

  /** A new thread knows nobody, and its measurements are its own. */
  begin(thread: VersionThread): void {
    this.thread = thread;
    this.roster = new Roster();
    this.members = [];
    this.times = new ProcessTimes();
    this.outcomes = NO_OUTCOMES;
    this.processedCount = 0;
    this.heapBytes = 0;
    this.batchCount = 0;
    this.checkpointBatch = 0;
    this.unusedSince = null;
  }

  get errorRate(): number {
    return errorRate(this.outcomes);
  }

  /** Of those that joined before it, the batches of which no state is kept. */
  unsavedBatches(entity: Entity): number {
    return this.batchCount - Math.max(this.checkpointBatch, entity.joinedAt);
  }
}
