import { homeOf, inOrder, quotasOf, type Range, type Seat } from "./rank.ts";

/** A seat that changes hands. */
type Held = { -readonly [Name in keyof Seat]: Seat[Name] };

/** Fewer than this are put into their places one by one, more by sorting. */
const FEW = 32;

/**
 * A population that shares a split, distributed exactly: by each entity's own bucket, 10 % of 100 would be off by more than
 * two points two times in five (binomial), while a population that is owned can be counted.
 *
 * Sorted by position, the entity of rank r is at home where bucket `floor(r x 100,000 / n)` is; how many are at home with a
 * variant is its quota. Who has a variant keeps it unless the variant has more than its quota, and then those leave first
 * that are at home elsewhere. So the number of moves is the least that the quotas allow, whoever comes or goes; and with a
 * population that stays, every entity is at home, so the way back from a split restores the one before (EV-63).
 *
 * The order is kept: k that come to n cost about k log n comparisons, and one look at the others if somebody must make room.
 */
export class Crowd {
  private readonly ranges: readonly Range[];
  private readonly holders = new Map<string, number>();
  private seats: Held[];

  /** Settles everybody. @param ranges Sorted, holding every bucket once. */
  constructor(ranges: readonly Range[], seats: readonly Seat[]) {
    this.ranges = ranges;
    this.seats = seats.map((seat) => ({ ...seat })).sort(inOrder);
    for (const { current } of this.seats) this.count(current, 1);
    this.settle(this.seats.filter(({ current }) => current === null));
  }

  /** In order. */
  get all(): readonly Seat[] {
    return this.seats;
  }

  /** @returns The newcomers, and whoever had to move for them. */
  join(arrivals: readonly Seat[]): readonly Seat[] {
    const fresh = arrivals.map((seat): Held => ({ ...seat, current: null }));
    if (fresh.length < FEW) for (const seat of fresh) this.seats.splice(this.rankOf(seat), 0, seat);
    else this.seats = [...this.seats, ...fresh.sort(inOrder)].sort(inOrder);
    return this.settle(fresh);
  }

  /** @returns Whoever had to move because these are gone. */
  leave(departures: readonly Pick<Seat, "entity" | "position">[]): readonly Seat[] {
    const places = departures
      .map((one) => ({ one, place: this.rankOf({ ...one, current: null }) }))
      .flatMap(({ one, place }) => (this.seats[place]?.entity === one.entity ? [place] : []));
    const gone = new Set(places.map((place) => this.seats[place]));
    for (const seat of gone) this.count(seat?.current ?? null, -1);
    if (places.length < FEW) for (const place of places.sort((a, b) => b - a)) this.seats.splice(place, 1);
    else this.seats = this.seats.filter((seat) => !gone.has(seat));
    return this.settle([]);
  }

  /** Gives a variant to whoever has none, and to whoever must leave the one it has. @returns Them. */
  private settle(homeless: readonly Held[]): readonly Seat[] {
    const quotas = quotasOf(this.seats.length, this.ranges);
    const moving = [...this.evict(quotas), ...homeless].sort(inOrder);
    const take = (seat: Held, variant: string): void => {
      seat.current = variant;
      this.count(variant, 1);
    };
    const isFree = (variant: string): boolean => (this.holders.get(variant) ?? 0) < (quotas.get(variant) ?? 0);
    for (const seat of moving) {
      const home = this.ranges[homeOf(this.rankOf(seat), this.seats.length, this.ranges)]?.[0] as string;
      if (isFree(home)) take(seat, home);
    }
    const variants = [...quotas.keys()];
    for (const seat of moving) if (seat.current === null) take(seat, variants.find(isFree) as string);
    return moving;
  }

  /** Takes the variant from as many as are too many. The last ones that are at home elsewhere leave: the others always have a place. */
  private evict(quotas: ReadonlyMap<string, number>): readonly Held[] {
    const surplus = new Map<string, number>();
    let left = 0;
    for (const [variant, count] of this.holders) {
      const tooMany = Math.max(0, count - (quotas.get(variant) ?? 0));
      surplus.set(variant, tooMany);
      left += tooMany;
    }
    const leaving: Held[] = [];
    let at = this.ranges.length - 1;
    for (let rank = this.seats.length - 1; left > 0 && rank >= 0; rank -= 1) {
      const seat = this.seats[rank] as Held;
      const { current } = seat;
      at = homeOf(rank, this.seats.length, this.ranges, at);
      if (current === null || current === this.ranges[at]?.[0]) continue;
      const tooMany = surplus.get(current) ?? 0;
      if (tooMany === 0) continue;
      surplus.set(current, tooMany - 1);
      left -= 1;
      this.count(current, -1);
      seat.current = null;
      leaving.push(seat);
    }
    return leaving;
  }

  /** Where it is in the order, or would be. */
  private rankOf(seat: Seat): number {
    let [low, high] = [0, this.seats.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (inOrder(this.seats[middle] as Seat, seat) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private count(variant: string | null, change: 1 | -1): void {
    if (variant !== null) this.holders.set(variant, (this.holders.get(variant) ?? 0) + change);
  }
}

/** A population distributed once. @returns Variants, in the order of the seats by {@link inOrder}. */
export function distribute(seats: readonly Seat[], ranges: readonly Range[]): readonly string[] {
  return new Crowd(ranges, seats).all.map(({ current }) => current as string);
}
