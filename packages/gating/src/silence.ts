import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { type Found, fail, hold } from "./finding.ts";
import { rounded } from "./guardrail-judgement.ts";
import type { JudgementInputs, SampleRatio } from "./judgement.ts";
import { MISMATCH_LOG_EVIDENCE } from "./sample-ratio.ts";
import { SILENT_INTERVALS, type StageStatistics } from "./statistics.ts";
import { WATERMARK_MS } from "./watermark.ts";
import { percentText } from "./words.ts";

/** After this long without a word from the canary, `onNoData` decides. */
const NO_DATA_MS = 600_000;

/** What is missing or split wrongly: nothing can be concluded from it, and never that all is well. */
export function silenceFindings(stage: StageStatistics, inputs: JudgementInputs, sampleRatio: SampleRatio): Found[] {
  const { plan, now, stageStartedAt, watchedSince = Number.NEGATIVE_INFINITY } = inputs;
  const { hasControl } = stage.terms;
  const latestComplete = Math.floor((now - WATERMARK_MS) / EVIDENCE_INTERVAL_MS) - 1;
  const start = Math.floor(stageStartedAt / EVIDENCE_INTERVAL_MS);
  const silentSince = (through: number | null): number => latestComplete - (through ?? start);
  const canarySilence = silentSince(stage.canaryThrough);
  const controlReports = hasControl && silentSince(stage.controlThrough) < SILENT_INTERVALS;
  const canarySilent = canarySilence >= SILENT_INTERVALS;
  // What nobody listened to was no silence.
  const heardSilence = Math.min(canarySilence, silentSince(Math.ceil(watchedSince / EVIDENCE_INTERVAL_MS)));
  const found: Found[] = [];
  if (
    plan.onNoData === "rollback" &&
    heardSilence * EVIDENCE_INTERVAL_MS >= NO_DATA_MS &&
    (controlReports || !hasControl)
  ) {
    const because = `the canary has reported nothing for ${canarySilence * 10} s`;
    found.push(fail(because, { by: "no_data", action: "rollback", guardrails: [] }));
  }
  const { expectedShareRate, dispersion } = stage.sampleRatio;
  const expected = (stage.controlExposureCountSinceCanary * expectedShareRate) / (1 - expectedShareRate) / dispersion;
  if (controlReports && canarySilent && expected >= Math.log(1 / plan.falseAlarmBudget) + 2) {
    const because = "the control reports and the canary does not: it may crash before it can report";
    found.push(hold("sample_ratio_mismatch", because));
  }
  if (sampleRatio.mismatch) found.push(hold("sample_ratio_mismatch", mismatchText(sampleRatio)));
  if (canarySilent) found.push(hold("no_data", `the canary has reported nothing for ${canarySilence * 10} s`));
  if (hasControl && !controlReports) {
    found.push(hold("no_data", `the control has reported nothing for ${silentSince(stage.controlThrough) * 10} s`));
  }
  return found;
}

export function judgeSampleRatio(stage: StageStatistics): SampleRatio {
  const { hasControl } = stage.terms;
  const logEvidence = hasControl ? rounded(stage.sampleRatio.logEvidence()) : null;
  const observedShareRate = hasControl ? stage.sampleRatio.observedShareRate : null;
  return {
    logEvidence,
    mismatch: logEvidence !== null && logEvidence >= MISMATCH_LOG_EVIDENCE,
    observedShareRate: observedShareRate === null ? null : rounded(observedShareRate),
    expectedShareRate: rounded(stage.sampleRatio.expectedShareRate),
  };
}

function mismatchText({ observedShareRate, expectedShareRate }: SampleRatio): string {
  const observed = percentText(observedShareRate ?? 0);
  const lacking = (observedShareRate ?? 0) < expectedShareRate;
  return `${observed} of the units had the canary instead of ${percentText(expectedShareRate)}${
    lacking ? ": it may crash before it can report" : ""
  }`;
}
