import { type ArmCounts, addInterval, plainLogEvidence, startProcess } from "./evidence-process.ts";
import { HARM } from "./grid.ts";

/** A canary this bad needs no patience. Raw counts of the last 60 s, whatever groups, samples or the stage's age say. */
export function isGrossFailure(counts: ArmCounts): boolean {
  const { canaryExposureCount, canaryEventCount, controlExposureCount, controlEventCount } = counts;
  if (canaryEventCount < 20) return false;
  const canaryRate = canaryEventCount / canaryExposureCount;
  const controlRate = controlExposureCount === 0 ? 0 : controlEventCount / controlExposureCount;
  if (canaryRate < 0.1 || canaryRate < 5 * controlRate) return false;
  const process = addInterval(
    startProcess(HARM),
    HARM,
    { ...counts, controlExposureCount: Math.max(1, controlExposureCount) },
    3,
  );
  return plainLogEvidence(process, HARM, { dispersion: 3 }) >= Math.log(1e6);
}
