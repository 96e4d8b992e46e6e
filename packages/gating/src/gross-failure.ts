import { type ArmCounts, addInterval, plainLogEvidence, startProcess } from "./evidence-process.ts";
import { HARM } from "./grid.ts";

const LEAST_EVENT_COUNT = 20;
const LEAST_RATE = 0.1;
const LEAST_RATE_RATIO = 5;
const NULL_RATE_RATIO = 3;
const DISPERSION = 3;
const LOG_EVIDENCE_BAR = Math.log(1e6);

/** A canary this bad needs no patience. Raw counts of the last 60 s, whatever groups, samples or the stage's age say. */
export function isGrossFailure(counts: ArmCounts): boolean {
  const { canaryExposureCount, canaryEventCount, controlExposureCount, controlEventCount } = counts;
  if (canaryEventCount < LEAST_EVENT_COUNT) return false;
  const canaryRate = canaryEventCount / canaryExposureCount;
  const controlRate = controlExposureCount === 0 ? 0 : controlEventCount / controlExposureCount;
  if (canaryRate < LEAST_RATE || canaryRate < LEAST_RATE_RATIO * controlRate) return false;
  const process = startProcess(HARM);
  // Beside a control that says nothing that adds nothing: whatever fails there may fail everywhere.
  addInterval(process, counts, NULL_RATE_RATIO);
  return plainLogEvidence(process, { dispersion: DISPERSION }) >= LOG_EVIDENCE_BAR;
}
