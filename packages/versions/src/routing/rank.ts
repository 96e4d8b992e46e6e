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

/** By position, then by name, so that two of one position have an order too. */
export function inOrder(a: Seat, b: Seat): number {
  return a.position - b.position || (a.entity < b.entity ? -1 : a.entity > b.entity ? 1 : 0);
}

/** How many of `count` are at home with each variant, in the order of the ranges. */
export function quotasOf(count: number, ranges: readonly Range[]): Map<string, number> {
  const quotas = new Map<string, number>();
  for (const [variant, from, to] of ranges) {
    quotas.set(variant, (quotas.get(variant) ?? 0) + firstRankFrom(to, count) - firstRankFrom(from, count));
  }
  return quotas;
}

/**
 * Index of the range where rank `rank` of `count` is at home: the one that has bucket `floor(rank x 100,000 / count)`.
 *
 * @param hint Where a neighbour is at home: the search begins there.
 */
export function homeOf(rank: number, count: number, ranges: readonly Range[], hint = 0): number {
  const bucket = Math.floor((rank * BUCKET_COUNT) / count);
  let at = hint;
  while (at > 0 && bucket < (ranges[at]?.[1] ?? 0)) at -= 1;
  while (at < ranges.length - 1 && bucket >= (ranges[at]?.[2] ?? BUCKET_COUNT)) at += 1;
  return at;
}

/** The lowest rank whose bucket is `bucket` or above. */
function firstRankFrom(bucket: number, count: number): number {
  return Math.ceil((bucket * count) / BUCKET_COUNT);
}
