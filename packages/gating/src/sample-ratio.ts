import { addGroups, countDispersion } from "./dispersion.ts";
import { type EvidenceInterval, GROUP_COUNT } from "./evidence.ts";
import { logSumExp } from "./log-space.ts";

/** Odds ratios of canary against control units, relative to the configured share. */
const ODDS = [0.5, 0.7, 0.85, 0.93, 0.97, 1.03, 1.07, 1.18, 1.43, 2];

/** An e-value of a thousand: the observed share is not the configured one. */
export const MISMATCH_LOG_EVIDENCE: number = Math.log(1000);

/** Distinct units of both arms, and the canary's share of them as it was configured when they came. */
interface SampleRatioCounts {
  readonly canaryCount: number;
  readonly controlCount: number;
  readonly shareRate: number;
}

/** `L_k += nT ln(o_k) - (nT + nC) log1p((o_k - 1) s)`, and the log of the mean of `e^(L_k / dispersion)`. */
export function sampleRatioLogEvidence(
  counts: Omit<SampleRatioCounts, "shareRate">,
  shareRate: number,
  dispersion = 1,
): number {
  return logEvidenceOf([{ ...counts, shareRate }], dispersion);
}

/** The same of units that came under several shares: their terms add up. */
function logEvidenceOf(strata: readonly SampleRatioCounts[], dispersion: number): number {
  return logSumExp(
    ODDS.map((odds) => {
      const ratio = strata.reduce(
        (sum, { canaryCount, controlCount, shareRate }) =>
          sum + canaryCount * Math.log(odds) - (canaryCount + controlCount) * Math.log1p((odds - 1) * shareRate),
        0,
      );
      return ratio / dispersion - Math.log(ODDS.length);
    }),
  );
}

/**
 * Is traffic split as configured? If not, the arms are not alike, and nothing that compares them can be believed
 * (Fabijan et al., KDD 2019; sequentially: Lindon and Malek, 2022). Of one stage only: its share is one.
 *
 * Units are distinct within an interval only; that the same ones come again shows as variance between the control's groups.
 */
export class SampleRatioTest {
  readonly #shareRate: number;
  readonly #counts = new Map<number, SampleRatioCounts>();
  readonly #controlGroups = new Float64Array(GROUP_COUNT);

  /** @param shareRate of intervals that do not say otherwise */
  constructor(shareRate: number) {
    this.#shareRate = shareRate;
  }

  add({ canary, control, shareRate = this.#shareRate }: EvidenceInterval): void {
    const { canaryCount, controlCount } = this.#counts.get(shareRate) ?? { canaryCount: 0, controlCount: 0 };
    this.#counts.set(shareRate, {
      canaryCount: canaryCount + (canary?.unitCount ?? 0),
      controlCount: controlCount + (control?.unitCount ?? 0),
      shareRate,
    });
    if (control !== null) addGroups(this.#controlGroups, control.groups.unitCount);
  }

  /** The same so far; what is added to one is not added to the other. */
  copy(): SampleRatioTest {
    const copy = new SampleRatioTest(this.#shareRate);
    for (const [shareRate, counts] of this.#counts) copy.#counts.set(shareRate, counts);
    copy.#controlGroups.set(this.#controlGroups);
    return copy;
  }

  logEvidence(): number {
    return logEvidenceOf([...this.#counts.values()], this.dispersion);
  }

  get dispersion(): number {
    return countDispersion(this.#controlGroups);
  }

  get observedShareRate(): number | null {
    const total = this.#sum(({ canaryCount, controlCount }) => canaryCount + controlCount);
    return total === 0 ? null : this.#sum(({ canaryCount }) => canaryCount) / total;
  }

  /** As configured, over all units that came; before the first of them the stage's. */
  get expectedShareRate(): number {
    const total = this.#sum(({ canaryCount, controlCount }) => canaryCount + controlCount);
    if (total === 0) return this.#shareRate;
    return this.#sum(({ canaryCount, controlCount, shareRate }) => (canaryCount + controlCount) * shareRate) / total;
  }

  #sum(of: (counts: SampleRatioCounts) => number): number {
    return [...this.#counts.values()].reduce((sum, counts) => sum + of(counts), 0);
  }
}
