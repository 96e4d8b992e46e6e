import type { CellCounters } from "./cell.ts";
import type { Arm, Outcome, Witnessed } from "./live-rollout.ts";

/** Rollouts that one request can be evidence for. Further ones get exposures without outcomes. */
const MOST_NOTED = 64;

/** The flags that one request has read, waiting for how it ends. */
export class RequestOutcome {
  private readonly noted: Witnessed[] = [];
  isOver = false;

  /** A flag that is read again for the same unit is one trial: the request ends once. */
  note(arm: Arm, cell: CellCounters | null, unit: number): void {
    if (this.isOver || this.noted.length === MOST_NOTED) return;
    for (const known of this.noted) if (known.unit === unit && known.arm === arm) return;
    if (cell !== null) cell.outstanding += 1;
    this.noted.push({ arm, cell, unit, openings: arm.rollout.breaker.openings });
  }

  /** Once. Null: it ended in a way that says nothing. */
  settle(outcome: Outcome | null): void {
    if (this.isOver) return;
    this.isOver = true;
    for (const witnessed of this.noted) {
      if (outcome !== null) witnessed.arm.settle(witnessed, outcome);
      else abandon(witnessed);
    }
  }
}

/** Its outcome will never be told. */
export function abandon({ cell }: Witnessed): void {
  if (cell !== null) cell.outstanding -= 1;
}
