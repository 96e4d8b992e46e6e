import { causeOf, finalise, variantIndexOf } from "@bunting/engine";
import type { Placement, PlacementRange, User } from "../types.ts";
import { decide, type Serving } from "./evaluator.ts";
import { missing, variantOfMissing } from "./missing.ts";
import { createSubjectOf } from "./subject.ts";
import { NOT_FORCED, type ServedFlag } from "./table.ts";

/** Where users stand on a flag's split, for applications that distribute a population of their own over it (LC-57). */
export function createPlacer<Who>(
  serving: Serving,
  identify: ((user: Who) => User) | null,
): (key: string, user?: Who) => Placement {
  const subjectOf = createSubjectOf(identify);
  return (key, user) => {
    const served = serving.table.flags.get(key);
    if (served === undefined) {
      return { variant: variantOfMissing(missing(serving, key)), detail: "flag_not_found", split: null };
    }
    const decision = decide(served, subjectOf(user));
    const decided = served.variants[variantIndexOf(decision)] ?? null;
    const replaced = served.scope?.withheld ?? null;
    const variant = replaced !== null && decided === replaced.canary ? replaced.control : decided;
    const { detail } = served.flag.describe(decision);
    const allocation = served.forced === NOT_FORCED ? allocationOf(served, causeOf(decision)) : null;
    if (allocation === null) return { variant, detail, split: null };
    const position = finalise(served.flag.lastHash ^ served.flag.entry.salt) >>> 0;
    return { variant, detail, split: { position, ranges: without(allocation, replaced) } };
  };
}

/** The ranges of the split that this cause stands for, or null if the decision was none of a split. */
function allocationOf({ flag }: ServedFlag, cause: number): readonly PlacementRange[] | null {
  const { fallthrough, rules } = flag.entry;
  if (cause === flag.splitCause(null)) return "allocation" in fallthrough ? fallthrough.allocation : null;
  for (const { id, serve } of rules) {
    if (cause === flag.splitCause(id)) return "allocation" in serve ? serve.allocation : null;
  }
  return null;
}

/** What an open breaker leaves of an allocation. */
function without(
  allocation: readonly PlacementRange[],
  replaced: { readonly canary: string; readonly control: string } | null,
): readonly PlacementRange[] {
  if (replaced === null) return allocation;
  const { canary, control } = replaced;
  return allocation.map(([variant, from, to]) => [variant === canary ? control : variant, from, to]);
}
