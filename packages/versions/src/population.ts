import { type Backup, Entity } from "./entity.ts";
import { VersionError } from "./errors.ts";
import { route } from "./routing/route.ts";
import type { SplitSource } from "./routing/source.ts";

/** The entities that the module owns, in an order of their own, and where the split puts them. */
export class Population {
  private readonly byName = new Map<string, Entity>();
  private ordered: readonly Entity[] | null = null;

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

  add(name: string, backup: Backup): Entity {
    if (this.byName.has(name)) throw new VersionError("entity_exists", `There is an entity "${name}" already.`);
    const entity = new Entity(name, backup);
    this.byName.set(name, entity);
    this.ordered = null;
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

  /** Asks the split about everybody again. `isFresh`: where they stood may have changed too. */
  routeBy(source: SplitSource, isFresh: boolean): void {
    const all = this.all();
    for (const entity of all) if (isFresh || entity.placement === null) entity.placement = source.place(entity.name);
    const routes = route(
      all.map((entity) => ({
        entity: entity.name,
        placement: entity.placement ?? source.place(entity.name),
        current: entity.routed,
      })),
    );
    for (const entity of all) {
      const routed = routes.get(entity.name) ?? null;
      if (routed !== entity.routed) entity.refusedBy.clear();
      entity.routed = routed;
    }
  }
}
