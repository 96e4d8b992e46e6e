import { type Flag, type Split, toBuckets } from "@bunting/contracts";
import { allocate } from "@bunting/engine";
import type { Allocation } from "../ledger/state.ts";

/** The ranges of a split, moved as little as possible from those before. Variants the split does not name get nothing. */
export function allocateSplit(before: Allocation | null, flag: Flag, split: Split): Allocation {
  const variants = Object.keys(flag.variants) as (keyof typeof flag.variants)[];
  return allocate(
    before,
    variants.map((variant) => [variant, Object.hasOwn(split, variant) ? toBuckets(split[variant] ?? 0) : 0] as const),
  );
}
