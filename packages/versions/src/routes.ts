import type { Entity } from "./entity.ts";
import type { Fleet } from "./fleet.ts";
import { isServing } from "./lifecycle/version-life.ts";
import type { Slice } from "./mover.ts";
import type { SplitSource, TrafficSplit } from "./routing/source.ts";
import type { VersionEntry } from "./version-entry.ts";

/** Where entities are to be: what the split wants, as far as versions work, and what has been decided here since. */
export class Routes {
  readonly source: SplitSource;
  private readonly fleet: Fleet;
  private readonly oldest: string;
  /** Versions whose entities are somewhere else until the split changes: after a rollback, or a migration by hand. */
  private readonly redirects = new Map<string, string>();

  constructor(fleet: Fleet, { source, oldest }: { readonly source: SplitSource; readonly oldest: string }) {
    this.fleet = fleet;
    this.source = source;
    this.oldest = oldest;
  }

  split(): TrafficSplit {
    return this.source.split();
  }

  /** Share of the split, redirects included. */
  percentOf(version: string): number {
    let percent = 0;
    for (const [name, share] of Object.entries(this.split()))
      if ((this.redirects.get(name) ?? name) === version) percent += share;
    return percent;
  }

  redirect(from: string, to: string): void {
    this.redirects.set(from, to);
  }

  redirectAllTo(version: string): void {
    for (const name of this.fleet.entries.keys()) this.redirects.set(name, version);
    this.redirects.delete(version);
  }

  clearRedirects(): void {
    this.redirects.clear();
  }

  /** Where an entity is to be: where the split wants it, if that version works; else where it is; else with the last good one. */
  targetOf(entity: Entity): string | null {
    const { routed, owner } = entity;
    const wanted = routed === null ? this.oldest : (this.redirects.get(routed) ?? routed);
    if (this.fleet.isUsable(wanted) && !entity.refusedBy.has(wanted)) return wanted;
    if (owner !== null && this.fleet.isUsable(owner)) return owner;
    return this.fleet.fallbacksFor(entity.previous).find((version) => !entity.refusedBy.has(version)) ?? null;
  }

  /**
   * Whoever leaves a version that is out of service, or that was rolled back, goes with what it has. Rolled back is also what
   * has no share any more while an older version has its entities: a kill, a gate on the server or a person has done that.
   */
  kindOf({ name, life }: VersionEntry, to: VersionEntry): Slice["kind"] {
    if (!isServing(life) || this.redirects.has(name)) return "return";
    const declared = [...this.fleet.entries.keys()];
    const isBack = declared.indexOf(to.name) < declared.indexOf(name);
    return isBack && this.percentOf(name) === 0 ? "return" : "advance";
  }
}
