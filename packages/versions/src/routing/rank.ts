import { BUCKET_COUNT } from "@bunting/engine";

/** One entity of a population that shares a split. */
export interface Seat {
  readonly entity: string;
  /** 0 to 2^32 - 1, from the hash of its key: see `Placement` of the SDK. */
  readonly position: number;
  /** The variant that it has, or null for a newcomer. */
  readonly current: string | null;
}

export type Range = readonly [variant: string, from: number, to: number];

/**
 * Distributes a population over a split, exactly: by each entity's own bucket, 10 % of 100 would be off by more than two
 * points two times in five (binomial), while a population that is owned can be counted.
 *
 * Sorted by position, the entity of rank r is at home where bucket `floor(r x 100,000 / n)` is; how many are at home with a
 * variant is its quota. Who has a variant keeps it unless the variant has more than its quota, and then those leave first
 * that are at home elsewhere. So the number of moves is the least that the quotas allow, whoever comes or goes; and with a
 * population that stays, every entity is at home, so the way back from a split restores the one before (EV-63).
 *
 * @param seats Sorted by {@link inOrder}.
 * @param ranges Sorted, holding every bucket once.
 * @returns Variants, aligned with the seats.
 */
export function distribute(seats: readonly Seat[], ranges: readonly Range[]): readonly string[] {
  const homes = homesOf(seats.length, ranges);
  const free = new Map<string, number>();
  for (const home of homes) free.set(home, (free.get(home) ?? 0) + 1);

  const given: (string | null)[] = seats.map(() => null);
  const give = (index: number, variant: string): void => {
    const left = free.get(variant) ?? 0;
    if (given[index] !== null || left === 0) return;
    given[index] = variant;
    free.set(variant, left - 1);
  };
  // Whoever is at home stays; then who is a guest and need not leave; then everybody without a place, home if possible.
  for (const [index, { current }] of seats.entries()) if (current === homes[index]) give(index, current as string);
  for (const [index, { current }] of seats.entries()) if (current !== null) give(index, current);
  for (const [index, home] of homes.entries()) give(index, home);
  const rest = [...free].flatMap(([variant, left]) => Array.from({ length: left }, () => variant));
  let next = 0;
  return given.map((variant) => variant ?? (rest[next++] as string));
}

/** By position, then by name, so that two of one position have an order too. */
export function inOrder(a: Seat, b: Seat): number {
  return a.position - b.position || (a.entity < b.entity ? -1 : a.entity > b.entity ? 1 : 0);
}

function homesOf(count: number, ranges: readonly Range[]): readonly string[] {
  const homes: string[] = [];
  let at = 0;
  for (let rank = 0; rank < count; rank += 1) {
    const bucket = Math.floor((rank * BUCKET_COUNT) / count);
    while (at < ranges.length - 1 && bucket >= (ranges[at]?.[2] ?? BUCKET_COUNT)) at += 1;
    homes.push(ranges[at]?.[0] as string);
  }
  return homes;
}
