import type { Rollout } from "@bunting/contracts";
import { AttemptStatistics, intervalsOf, isComplete } from "@bunting/gating";
import { armsOf, type EvidenceRow, type EvidenceSource } from "../evidence/evidence.ts";

export type Remembered =
  | { readonly kind: "statistics"; readonly statistics: AttemptStatistics }
  /** The statistics have to be made of all of it. */
  | { readonly kind: "cells"; readonly cells: readonly EvidenceRow[] };

type Evidence = Pick<EvidenceSource, "cells">;

/**
 * What was added up of one attempt's evidence. A cache and nothing else: made anew it gives the same, only later. A day of
 * evidence takes seconds to add up, which no other work in the process should have to wait for at every look.
 */
export class AttemptMemory {
  readonly #rollout: Rollout;
  #statistics: AttemptStatistics;
  /** Interval index up to which evidence has been added. */
  #through = -1;
  /** The last interval that was added, and its stage. */
  #last = { interval: -1, stage: -1 };

  constructor(rollout: Rollout) {
    this.#rollout = rollout;
    this.#statistics = new AttemptStatistics(rollout.plan);
  }

  isOf({ id, attempt }: Pick<Rollout, "id" | "attempt">): boolean {
    return this.#rollout.id === id && this.#rollout.attempt === attempt;
  }

  /** Adds what has become usable since; null if it cannot be read. */
  advance(evidence: Evidence, through: number, now: number): Remembered | null {
    const arms = armsOf(this.#rollout);
    const rows = evidence.cells(arms, { after: this.#through, through });
    if (rows === null) return null;
    // After a clock was set back, what was whole then is not whole now.
    const isWhole = this.#last.interval < 0 || isComplete(this.#last, now);
    if (!isWhole || !this.#add(rows, now)) return this.#beginAnew(evidence, through, now);
    this.#through = through;
    return { kind: "statistics", statistics: this.#statistics };
  }

  /** False if it does not follow on what was added before, or is not of whole intervals yet, as after a clock was set back. */
  #add(cells: readonly EvidenceRow[], now: number): boolean {
    const intervals = intervalsOf({ rollout: this.#rollout, cells });
    const isNext = intervals.every((each) => isComplete(each, now) && isAfter(each, this.#last));
    if (!isNext) return false;
    for (const each of intervals) this.#statistics.add(each);
    this.#last = intervals.at(-1) ?? this.#last;
    return true;
  }

  /** Late evidence belongs into the middle of what was added: that only all of it together can give. */
  #beginAnew(evidence: Evidence, through: number, now: number): Remembered | null {
    this.#statistics = new AttemptStatistics(this.#rollout.plan);
    this.#through = -1;
    this.#last = { interval: -1, stage: -1 };
    const cells = evidence.cells(armsOf(this.#rollout), { through });
    if (cells === null) return null;
    if (!this.#add(cells, now)) return { kind: "cells", cells };
    this.#through = through;
    return { kind: "statistics", statistics: this.#statistics };
  }
}

interface Place {
  readonly interval: number;
  readonly stage: number;
}

function isAfter(one: Place, other: Place): boolean {
  return one.interval > other.interval || (one.interval === other.interval && one.stage > other.stage);
}
