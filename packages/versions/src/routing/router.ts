import type { Placement } from "@bunting/sdk";
import { Crowd } from "./crowd.ts";
import type { Seat } from "./rank.ts";
import type { SplitSource } from "./source.ts";

/** Somebody who is routed. */
export interface Traveller {
  readonly name: string;
  placement: Placement | null;
  /** The version that the split wants for it. */
  routed: string | null;
}

/**
 * Which version each entity belongs to. Whoever a pin, a rule or a kill decides for gets just that; those whom a split
 * decides for are a crowd of their own per split, and are distributed by rank. Null where the flag says nothing.
 *
 * Every method returns those whose route has changed.
 */
export class Router<One extends Traveller> {
  private readonly travellers = new Map<string, One>();
  /** By what decided. */
  private crowds = new Map<string, Crowd>();

  join(source: SplitSource, newcomers: readonly One[]): readonly One[] {
    const changed: One[] = [];
    for (const one of newcomers) {
      this.travellers.set(one.name, one);
      changed.push(...this.place(one, source.place(one.name)));
    }
    for (const [decider, seats] of this.seatsOf(newcomers)) {
      const crowd = this.crowds.get(decider);
      if (crowd === undefined) {
        const fresh = new Crowd(rangesOf(newcomers, decider), seats);
        this.crowds.set(decider, fresh);
        changed.push(...this.follow(fresh.all));
      } else {
        changed.push(...this.follow(crowd.join(seats)));
      }
    }
    return changed;
  }

  leave(leavers: readonly One[]): readonly One[] {
    for (const { name } of leavers) this.travellers.delete(name);
    return [...this.seatsOf(leavers)].flatMap(([decider, seats]) =>
      this.follow(this.crowds.get(decider)?.leave(seats) ?? []),
    );
  }

  /** Asks the split about everybody again. */
  routeAgain(source: SplitSource): readonly One[] {
    const all = [...this.travellers.values()];
    const changed = all.flatMap((one) => this.place(one, source.place(one.name)));
    this.crowds = new Map();
    for (const [decider, seats] of this.seatsOf(all)) {
      const crowd = new Crowd(rangesOf(all, decider), seats);
      this.crowds.set(decider, crowd);
      changed.push(...this.follow(crowd.all));
    }
    return changed;
  }

  /** Whom no split decides for is routed with that. */
  private place(one: One, placement: Placement): readonly One[] {
    one.placement = placement;
    if (placement.split !== null || placement.variant === one.routed) return [];
    one.routed = placement.variant;
    return [one];
  }

  private seatsOf(those: readonly One[]): ReadonlyMap<string, Seat[]> {
    const seats = new Map<string, Seat[]>();
    for (const { name, placement, routed } of those) {
      if (placement === null || placement.split === null) continue;
      const group = seats.get(placement.detail) ?? [];
      seats.set(placement.detail, group);
      group.push({ entity: name, position: placement.split.position, current: routed });
    }
    return seats;
  }

  private follow(seats: readonly Seat[]): readonly One[] {
    return seats.flatMap(({ entity, current }) => {
      const one = this.travellers.get(entity);
      if (one === undefined || one.routed === current) return [];
      one.routed = current;
      return [one];
    });
  }
}

function rangesOf(those: readonly Traveller[], decider: string): NonNullable<Placement["split"]>["ranges"] {
  return those.find(({ placement }) => placement?.detail === decider)?.placement?.split?.ranges ?? [];
}
