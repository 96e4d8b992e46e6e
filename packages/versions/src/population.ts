import { type Backup, Entity } from "./entity.ts";
import { VersionError } from "./errors.ts";
import { Router } from "./routing/router.ts";
import type { SplitSource } from "./routing/source.ts";

/** The entities that the module owns, in an order of their own, and where the split puts them. */
export class Population {
  private readonly byName = new Map<string, Entity>();
  private readonly router = new Router<Entity>();
  /** Null after somebody has left: the others' places are counted again when they are asked for. */
  private ordered: Entity[] | null = [];

  get size(): number {
    return this.byName.size;
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  /** @throws VersionError `entity_unknown` */
  get(name: string): Entity {
    const entity = this.byName.get(name);
    if (entity === undefined) throw new VersionError("entity_unknown", `There is no entity "${name}".`);
    return entity;
  }

  /** Nobody is routed by it yet. */
  add(name: string, backup: Backup): Entity {
    if (this.byName.has(name)) throw new VersionError("entity_exists", `There is an entity "${name}" already.`);
    const entity = new Entity(name, backup);
    this.byName.set(name, entity);
    if (this.ordered !== null) entity.index = this.ordered.push(entity) - 1;
    return entity;
  }

  remove(entity: Entity): void {
    this.byName.delete(entity.name);
    this.ordered = null;
  }

  /** In the order of arrival. Each knows its index in it. */
  all(): readonly Entity[] {
    if (this.ordered === null) {
      const ordered = [...this.byName.values()];
      for (const [index, entity] of ordered.entries()) entity.index = index;
      this.ordered = ordered;
    }
    return this.ordered;
  }

  /** @returns Newcomers, and whoever has to move for them. */
  routeArrivals(source: SplitSource, arrivals: readonly Entity[]): readonly Entity[] {
    return rerouted(this.router.join(source, arrivals));
  }

  /** @returns Whoever has to move because these are gone. */
  routeDepartures(departures: readonly Entity[]): readonly Entity[] {
    return rerouted(this.router.leave(departures));
  }

  /** Asks the split about everybody again. */
  routeAgain(source: SplitSource): void {
    rerouted(this.router.routeAgain(source));
  }
}

/** What refused it before may take it now. */
function rerouted(entities: readonly Entity[]): readonly Entity[] {
  for (const { refusedBy } of entities) refusedBy.clear();
  return entities;
}
