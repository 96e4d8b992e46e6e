import { addGroups, countDispersion } from "./dispersion.ts";
import { type ArmEvidence, GROUP_COUNT } from "./evidence.ts";
import { logSumExp } from "./log-space.ts";

/** Odds ratios of canary against control units, relative to the configured share. */
const ODDS = [0.5, 0.7, 0.85, 0.93, 0.97, 1.03, 1.07, 1.18, 1.43, 2];

/** An e-value of a thousand: the observed share is not the configured one. */
export const MISMATCH_LOG_EVIDENCE: number = Math.log(1000);

/** `L_k += nT ln(o_k) - (nT + nC) log1p((o_k - 1) s)`, and the log of the mean of `e^(L_k / dispersion)`. */
export function sampleRatioLogEvidence(
  { canaryCount, controlCount }: { readonly canaryCount: number; readonly controlCount: number },
  shareRate: number,
  dispersion = 1,
): number {
  const total = canaryCount + controlCount;
  return logSumExp(
    ODDS.map((odds) => {
      const ratio = canaryCount * Math.log(odds) - total * Math.log1p((odds - 1) * shareRate);
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
  readonly #controlGroups = new Float64Array(GROUP_COUNT);
  #canaryCount = 0;
  #controlCount = 0;

  constructor(shareRate: number) {
    this.#shareRate = shareRate;
  }

  add(canary: ArmEvidence | null, control: ArmEvidence | null): void {
    this.#canaryCount += canary?.unitCount ?? 0;
    this.#controlCount += control?.unitCount ?? 0;
    if (control !== null) addGroups(this.#controlGroups, control.groups.unitCount);
  }

  logEvidence(): number {
    const counts = { canaryCount: this.#canaryCount, controlCount: this.#controlCount };
    return sampleRatioLogEvidence(counts, this.#shareRate, this.dispersion);
  }

  get dispersion(): number {
    return countDispersion(this.#controlGroups);
  }

  get observedShareRate(): number | null {
    const total = this.#canaryCount + this.#controlCount;
    return total === 0 ? null : this.#canaryCount / total;
  }
}
