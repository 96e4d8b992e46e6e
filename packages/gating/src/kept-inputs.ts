import type { EvidenceCell } from "@bunting/contracts";
import type { DecisionInputs } from "./decide.ts";

/**
 * What is stored of a look's inputs. Evidence that will never change again is named and not copied; what was fresher than that
 * is kept.
 */
export interface KeptInputs extends Omit<DecisionInputs, "cells"> {
  /** Evidence that had become usable up to this interval index. */
  readonly through: number;
  /**
   * How many rows of it there were: with fewer, what is left is not what was judged. Null where a person's word decided and
   * evidence was not looked at.
   */
  readonly settledCount: number | null;
  readonly fresh: readonly EvidenceCell[];
}

/**
 * The inputs as they were; null if their evidence is no longer there, or not all of it.
 *
 * @param settled every row of the attempt that had become usable at `through`
 */
export function restoreInputs(kept: KeptInputs, settled: readonly EvidenceCell[]): DecisionInputs | null {
  const { through: _through, settledCount, fresh, ...inputs } = kept;
  if (settledCount === null) return { ...inputs, cells: [...fresh] };
  return settled.length === settledCount ? { ...inputs, cells: [...settled, ...fresh] } : null;
}
