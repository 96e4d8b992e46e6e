import type { Entity } from "./entity.ts";
import type { Fleet } from "./fleet.ts";
import type { Mover } from "./mover.ts";
import type { Population } from "./population.ts";
import type { Rescue } from "./rescue.ts";
import type { Routes } from "./routes.ts";
import type { Turns } from "./turns.ts";
import type { VersionEntry } from "./version-entry.ts";

export interface RelocationHost {
  readonly fleet: Fleet;
  readonly population: Population;
  readonly mover: Mover;
  readonly routes: Routes;
  readonly rescue: Rescue;
  readonly turns: Turns;
  readonly moveSlice: number;
}

/** Brings entities to where they are to be, a slice between two batches, and loads what they need for it. */
export class Relocation {
  private readonly host: RelocationHost;
  private waiting: Entity[] = [];
  private isQueued = false;

  constructor(host: RelocationHost) {
    this.host = host;
  }

  /** Whether anybody waits to be moved. */
  get isUnderWay(): boolean {
    return this.isQueued;
  }

  /** The split has changed. */
  followSplit(): void {
    const { fleet, population, routes } = this.host;
    population.routeAgain(routes.source);
    // Who was refused on the way back may come with what was saved, now that nobody is to be left there.
    for (const { owner, routed, refusedBy } of population.all()) {
      if (owner === null || routed === null || !refusedBy.has(routed)) continue;
      if (routes.kindOf(fleet.get(owner), fleet.get(routed)) === "return") refusedBy.delete(routed);
    }
    this.plan();
  }

  /** For everybody: the split has changed, or what can be used. */
  plan(): void {
    this.waiting = [];
    this.planOf(this.host.population.all());
  }

  /** For those whose route has changed. */
  planOf(entities: readonly Entity[]): void {
    const { fleet, routes } = this.host;
    const waiting = new Set(this.waiting);
    for (const entity of entities) {
      const target = routes.targetOf(entity);
      // Who is on the way arrives yet, maybe where nobody wants it any more.
      const isOnItsWay = entity.move.name !== "resident";
      if (target === null || (target === entity.owner && !isOnItsWay)) continue;
      if (fleet.isReady(target)) waiting.add(entity);
      else this.loadForTraffic(fleet.get(target));
    }
    this.waiting = [...waiting];
    if (waiting.size > 0) this.moveSoon();
  }

  private loadForTraffic(entry: VersionEntry): void {
    const { fleet, turns } = this.host;
    if (entry.loading !== null || !turns.isOpen) return;
    void fleet.load(entry).then(() => {
      if (turns.isOpen) this.plan();
    });
  }

  private moveSoon(): void {
    if (this.isQueued || !this.host.turns.isOpen) return;
    this.isQueued = true;
    // A turn of its own for each slice: batches that were asked for in the meantime come between.
    this.host.turns.takeUnasked(async () => {
      try {
        await this.moveSlice();
      } finally {
        this.isQueued = false;
        if (this.waiting.length > 0) this.moveSoon();
      }
    });
  }

  private async moveSlice(): Promise<void> {
    const { fleet, mover, routes, rescue, moveSlice } = this.host;
    const { waiting } = this;
    const first = waiting.find((entity) => this.isDue(entity));
    this.waiting = [];
    if (first === undefined) return;
    const [from, to] = [first.owner as string, routes.targetOf(first) as string];
    const isAlike = (entity: Entity): boolean =>
      this.isDue(entity) && entity.owner === from && routes.targetOf(entity) === to;
    const slice: Entity[] = [];
    for (const entity of waiting) {
      if (slice.length < moveSlice && isAlike(entity)) slice.push(entity);
      else this.waiting.push(entity);
    }
    const [source, target] = [fleet.get(from), fleet.get(to)];
    await mover.move({ from: source, to: target, entities: slice, kind: routes.kindOf(source, target) });
    await rescue.rescue();
  }

  private isDue(entity: Entity): boolean {
    const { fleet, population, routes } = this.host;
    const target = routes.targetOf(entity);
    const isThere = population.has(entity.name) && entity.move.name === "resident";
    return isThere && target !== null && target !== entity.owner && fleet.isReady(target);
  }
}
