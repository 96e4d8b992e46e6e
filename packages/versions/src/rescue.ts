import type { Entity } from "./entity.ts";
import type { Failure } from "./errors.ts";
import type { Fleet } from "./fleet.ts";
import type { Listeners } from "./listeners.ts";
import { groupBy, type Mover, type Slice } from "./mover.ts";
import type { Population } from "./population.ts";
import type { Clock } from "./ports.ts";
import type { Routes } from "./routes.ts";
import type { RollbackReport } from "./types.ts";
import type { VersionEntry } from "./version-entry.ts";

/** What a rollback adds up to while it is under way. */
export interface Tally {
  readonly startedAt: number;
  savedCount: number;
  pauseMs: number;
}

/** Who was rolled back, from what, and why. */
export interface Retreat {
  readonly from: string | null;
  readonly entities: readonly Entity[];
  readonly failure: Failure | null;
  readonly lostBatchCount: number;
  readonly message: string;
}

export interface RescueHost {
  readonly fleet: Fleet;
  readonly population: Population;
  readonly mover: Mover;
  readonly routes: Routes;
  readonly clock: Clock;
  readonly listeners: Listeners;
  readonly moveSlice: number;
}

const DEFAULT_DOWNTIME_MS = 1_000;

/** Brings entities out of versions that broke, or that are out of service for another reason. Within somebody's turn. */
export class Rescue {
  private readonly host: RescueHost;

  constructor(host: RescueHost) {
    this.host = host;
  }

  async emergency(entry: VersionEntry, failure: Failure): Promise<void> {
    this.host.fleet.broke(entry, failure);
    await this.rescue();
  }

  /**
   * Brings whoever has no version to one that works: the one it is meant for, the one it was with before, the others; and where
   * there is none, a broken one is started again. Who is refused everywhere stays here, with its state, until that changes.
   * For each version that broke, that was a rollback, and is told as one.
   */
  async rescue(): Promise<void> {
    const { fleet, mover, routes, clock } = this.host;
    const startedAt = clock.monotonic();
    const incidents = [...fleet.takeIncidents()];
    let savedCount = 0;
    for (;;) {
      const waiting = this.stranded();
      const groups = groupBy(waiting, (entity) => routes.targetOf(entity));
      const [target, entities] = [...groups].find(([version]) => version !== null) ?? [null, []];
      if (target === null) {
        const again = waiting.length === 0 ? null : fleet.restartable();
        if (again === null || (await fleet.load(again)) !== null) break;
        for (const entity of waiting) entity.refusedBy.delete(again.name);
        continue;
      }
      const to = fleet.get(target);
      if (!fleet.isReady(target) && (await fleet.load(to)) !== null) continue;
      const restored = await mover.restore(to, entities);
      savedCount += restored.savedCount;
      incidents.push(...fleet.takeIncidents());
    }
    for (const { entry, failure, entities, lostBatchCount, since } of incidents) {
      if (entities.length === 0) continue;
      const tally: Tally = { startedAt, savedCount, pauseMs: clock.monotonic() - since };
      this.tell({ from: entry.name, entities, failure, lostBatchCount, message: failure.message }, tally);
    }
  }

  /** Empties a version that is out of service but answers. */
  async evacuate(entry: VersionEntry, tally: Tally = { startedAt: 0, savedCount: 0, pauseMs: 0 }): Promise<void> {
    const { fleet } = this.host;
    for (const target of fleet.fallbacksFor(entry.members[0]?.previous ?? null)) {
      const entities = [...entry.members].filter(({ refusedBy }) => !refusedBy.has(target));
      if (entities.length === 0) continue;
      const to = fleet.get(target);
      if (!fleet.isReady(target) && (await fleet.load(to)) !== null) continue;
      await this.moveAll({ from: entry, to, entities, kind: "return" }, tally);
    }
  }

  /** What the breaker has condemned gives its entities back, with the state that they have now. */
  async emptyCondemned(): Promise<void> {
    const { fleet, clock } = this.host;
    for (const entry of fleet.entries.values()) {
      if (entry.life.name !== "condemned") continue;
      const { failure } = entry.life;
      const entities = [...entry.members];
      const tally: Tally = { startedAt: clock.monotonic(), savedCount: 0, pauseMs: 0 };
      await this.evacuate(entry, tally);
      if (entities.length > 0) {
        this.tell({ from: entry.name, entities, failure, lostBatchCount: 0, message: failure.message }, tally);
      }
      // Nobody takes them: a version that fails at some is better than none.
      if (entry.members.length > 0) await fleet.load(entry);
      else await fleet.emptied(entry, "failed");
    }
  }

  /** Slice by slice, and after each whoever lost its version on the way. */
  async moveAll(slice: Slice, tally: Tally): Promise<void> {
    const { mover, moveSlice } = this.host;
    const entities = slice.entities.filter(({ owner }) => owner === slice.from.name);
    for (let start = 0; start < entities.length; start += moveSlice) {
      const moved = await mover.move({ ...slice, entities: entities.slice(start, start + moveSlice) });
      tally.savedCount += moved.savedCount;
      tally.pauseMs = Math.max(tally.pauseMs, moved.pauseMs);
      await this.rescue();
    }
  }

  reportOf(retreat: Retreat, tally: Tally): RollbackReport {
    const { clock } = this.host;
    const to: Record<string, number> = {};
    for (const { owner } of retreat.entities) if (owner !== null) to[owner] = (to[owner] ?? 0) + 1;
    return {
      from: retreat.from,
      to,
      cause: retreat.failure?.code ?? null,
      message: retreat.message,
      entityCount: retreat.entities.length,
      strandedCount: retreat.entities.filter(({ owner }) => owner === null).length,
      restoredFromSavedCount: tally.savedCount,
      lostBatchCount: retreat.lostBatchCount,
      rollbackMs: clock.monotonic() - tally.startedAt,
      downtimeMs: tally.pauseMs,
      isWithinLimit: tally.pauseMs <= DEFAULT_DOWNTIME_MS,
      at: clock.now(),
    };
  }

  private tell(retreat: Retreat, tally: Tally): void {
    this.host.listeners.tell("rollback", this.reportOf(retreat, tally));
  }

  private stranded(): readonly Entity[] {
    return this.host.population.all().filter(({ move }) => move.name === "stranded");
  }
}
