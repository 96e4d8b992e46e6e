import { logSumExp } from "./log-space.ts";

/** Odds ratios of canary against control exposures, relative to the configured share. */
const ODDS = [0.5, 0.7, 0.85, 0.93, 0.97, 1.03, 1.07, 1.18, 1.43, 2];

/** An e-value of a thousand: the observed share is not the configured one. */
export const MISMATCH_LOG_EVIDENCE = Math.log(1000);

/** Running likelihood ratios of the sample-ratio test. Fresh per stage: only windows of one configuration version. */
export type SampleRatioProcess = readonly number[];

export const startSampleRatio = (): SampleRatioProcess => ODDS.map(() => 0);

/** `L_k += nT ln(o_k) - (nT + nC) log1p((o_k - 1) s)`. */
export function addExposures(
  process: SampleRatioProcess,
  canaryExposureCount: number,
  controlExposureCount: number,
  shareRate: number,
): SampleRatioProcess {
  return process.map((sum, k) => {
    const odds = ODDS[k] ?? 1;
    return (
      sum +
      canaryExposureCount * Math.log(odds) -
      (canaryExposureCount + controlExposureCount) * Math.log1p((odds - 1) * shareRate)
    );
  });
}

/**
 * Log of the e-value that traffic is not split as configured.
 *
 * @param exposureDispersion variance over mean of the control's exposures per group, at least 1: users are not equally busy
 */
export function sampleRatioLogEvidence(process: SampleRatioProcess, exposureDispersion: number): number {
  return logSumExp(process.map((ratio) => ratio / exposureDispersion - Math.log(ODDS.length)));
}
