import type { Placement } from "@bunting/sdk";
import { distribute, inOrder, type Seat } from "./rank.ts";

/** An entity, where the split has put it, and what it was routed to before. */
export interface Routable {
  readonly entity: string;
  readonly placement: Placement;
  readonly current: string | null;
}

/**
 * Which version each entity belongs to. Whoever a pin, a rule or a kill decides for gets just that; those whom a split
 * decides for are a population of their own per split, and are distributed by rank. Null where the flag says nothing.
 *
 * @returns Every entity of `population` once.
 */
export function route(population: readonly Routable[]): ReadonlyMap<string, string | null> {
  const routes = new Map<string, string | null>();
  const groups = new Map<
    string,
    { readonly seats: Seat[]; readonly ranges: NonNullable<Placement["split"]>["ranges"] }
  >();
  for (const { entity, placement, current } of population) {
    const { split, detail, variant } = placement;
    routes.set(entity, variant);
    if (split === null) continue;
    const group = groups.get(detail) ?? { seats: [], ranges: split.ranges };
    groups.set(detail, group);
    group.seats.push({ entity, position: split.position, current });
  }
  for (const { seats, ranges } of groups.values()) {
    seats.sort(inOrder);
    const variants = distribute(seats, ranges);
    for (const [index, { entity }] of seats.entries()) routes.set(entity, variants[index] ?? null);
  }
  return routes;
}
