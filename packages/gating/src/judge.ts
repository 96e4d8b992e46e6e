import type { HoldCause, RolloutPlan } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import type { EvidenceInterval } from "./evidence.ts";
import type { ArmCounts } from "./evidence-process.ts";
import { isGrossFailure } from "./gross-failure.ts";
import {
  type GuardrailJudgement,
  isGating,
  isMerged,
  judgeGuardrail,
  type Look,
  rounded,
  SUSPECT_LOG_EVIDENCE,
} from "./guardrail-judgement.ts";
import { guardrailsOfStage, namedGuardrails } from "./guardrails.ts";
import type { Failure, Finding, Judgement, JudgementInputs, NamedGuardrail, SampleRatio } from "./judgement.ts";
import { logSumExp } from "./log-space.ts";
import { isCounted } from "./measurement.ts";
import { MISMATCH_LOG_EVIDENCE } from "./sample-ratio.ts";
import { AttemptStatistics, SILENT_INTERVALS, type StageStatistics } from "./statistics.ts";
import { oddsText, percentText } from "./words.ts";

/** Two flushes after its end an interval has been reported by whoever will: the same for both arms. */
export const WATERMARK_MS = 10_000;

/** Canary groups with traffic before a sequence of users can be told from one user. */
const LEAST_CANARY_GROUPS = 20;

/** After this long without a word from the canary, `onNoData` decides. */
const NO_DATA_MS = 600_000;

/** What is looked at for a gross failure, the interval under way included. */
const GROSS_FAILURE_MS = 60_000;

/** Openings in as many instances are no accident of one. */
const BREAKER_INSTANCES = 2;

/**
 * One look at a rollout's evidence. The first of these that holds is the verdict, all are recorded: a gross failure or open
 * breakers, evidence of harm, a limit exceeded, no word or a wrong split, a guardrail that holds, a suspicion, everything
 * proven, not enough known.
 */
export function judgeGuardrails(inputs: JudgementInputs): Judgement {
  const statistics = new AttemptStatistics(inputs.plan);
  const ordered = inputs.intervals.toSorted((a, b) => a.interval - b.interval || a.stage - b.stage);
  for (const interval of ordered) if (isComplete(interval, inputs.now)) statistics.add(interval);
  return judgeStatistics(statistics, inputs);
}

/** Whether an interval is behind the watermark: only then is it added to statistics. */
export function isComplete({ interval }: EvidenceInterval, now: number): boolean {
  return (interval + 1) * EVIDENCE_INTERVAL_MS + WATERMARK_MS <= now;
}

/**
 * The same for statistics that somebody keeps: all complete intervals have been added, in order.
 *
 * @param inputs of `intervals` only those of the last minute are needed
 */
export function judgeStatistics(statistics: AttemptStatistics, inputs: JudgementInputs): Judgement {
  const { plan, now } = inputs;
  const stage = statistics.enter(inputs.stage);
  const merged = mergeHarm(plan, statistics);
  const look: Look = {
    plan,
    stage,
    stageStartedAt: inputs.stageStartedAt,
    now,
    samples: inputs.samples,
    failingSince: inputs.failingSince,
    mergedLogEvidence: merged.logEvidence,
    weightOf: (id) => merged.weights.get(id) ?? null,
  };
  const judged = guardrailsOfStage(plan, inputs.stage)
    .map((named) => judgeGuardrail(named, statistics.trackers.get(named.id)?.tracker, look))
    .map((judgement) => blame(judgement, merged, plan));
  const sampleRatio = judgeSampleRatio(stage);
  const grossFailure = isGrossFailure(recentCounts(inputs));
  const findings = [
    ...breakerFindings(inputs, grossFailure),
    ...harmFindings(judged, merged, plan),
    ...silenceFindings(stage, inputs, sampleRatio),
    ...guardrailHolds(judged),
    ...suspicion(merged),
  ];
  const waits = waitingFor(judged, stage, inputs);
  const concluded = findings.length > 0 ? findings : [conclude(judged, waits, stage, plan)];
  const first = concluded[0] ?? hold("inconclusive", "");
  return {
    verdict: first.verdict,
    cause: first.cause,
    failure: first.failure ?? null,
    promotedBy: first.verdict === "pass" ? promotedBy(judged, plan) : null,
    because: first.because,
    waitsFor: [...findings.map(({ because }) => because), ...waits.map(({ text }) => text)],
    findings: concluded.map(({ verdict, cause, because }) => ({ verdict, cause, because })),
    guardrails: judged.map(({ said, verdict, cause, explanation }) => ({ ...said, verdict, cause, explanation })),
    alerts: judged.filter(({ gating, verdict }) => !gating && verdict === "fail").map(({ named }) => named.id),
    failingSince: new Map(
      judged.flatMap(({ named, failingSince }) => (failingSince === null ? [] : [[named.id, failingSince] as const])),
    ),
    mergedLogEvidence: rounded(merged.logEvidence),
    contributions: merged.contributions.map(({ id, logEvidence }) => ({ id, logEvidence: rounded(logEvidence) })),
    bakedSeconds: stage.bakedSeconds,
    counts: stage.counts,
    grossFailure,
    sampleRatio,
    judgedThrough: statistics.judgedThrough,
  };
}

interface Found extends Finding {
  readonly failure?: Failure;
}

const fail = (because: string, failure: Failure): Found => ({ verdict: "fail", cause: null, because, failure });
const hold = (cause: HoldCause, because: string): Found => ({ verdict: "hold", cause, because });

// --- 1. what needs no patience

function breakerFindings({ breakers }: JudgementInputs, grossFailure: boolean): Found[] {
  const { openInstanceCount, canaryInstanceCount } = breakers;
  const everywhere = openInstanceCount > 0 && openInstanceCount >= canaryInstanceCount;
  const found: Found[] = [];
  if (grossFailure) {
    const because = "the canary is failing grossly, and the control is not";
    found.push(fail(because, { by: "gross_failure", action: "rollback", guardrails: [] }));
  }
  if (openInstanceCount >= BREAKER_INSTANCES || everywhere) {
    const because = `breakers are open in ${openInstanceCount} of ${canaryInstanceCount} instances`;
    found.push(fail(because, { by: "breakers", action: "rollback", guardrails: [] }));
  }
  return found;
}

function recentCounts({ intervals, now, stage }: JudgementInputs): ArmCounts {
  const counts = { canaryExposureCount: 0, canaryEventCount: 0, controlExposureCount: 0, controlEventCount: 0 };
  for (const { interval, stage: reported, canary, control } of intervals) {
    if (reported !== stage || (interval + 1) * EVIDENCE_INTERVAL_MS <= now - GROSS_FAILURE_MS) continue;
    counts.canaryExposureCount += canary?.outcomeCount ?? 0;
    counts.canaryEventCount += canary?.errorCount ?? 0;
    counts.controlExposureCount += control?.outcomeCount ?? 0;
    counts.controlEventCount += control?.errorCount ?? 0;
  }
  return counts;
}

// --- 2. and 3. harm

interface Merged {
  readonly logEvidence: number;
  readonly weights: ReadonlyMap<string, number>;
  readonly contributions: readonly { readonly id: string; readonly logEvidence: number }[];
}

/**
 * The weighted mean of all guardrails' e-values is one again, never weaker than Bonferroni's correction. Weights are those of
 * the whole plan, fixed before the first user: half for errors. One that waits before it counts, or whose stage has not come,
 * keeps its share and adds nothing but 1.
 */
function mergeHarm(plan: RolloutPlan, statistics: AttemptStatistics): Merged {
  const sharing = namedGuardrails(plan).filter(
    (named) =>
      isGating(named) && leadsBack(named) && statistics.trackers.get(named.id)?.tracker.relativeLogEvidence() != null,
  );
  const isError = ({ guardrail }: NamedGuardrail): boolean =>
    isCounted(guardrail) && !("kind" in guardrail) && guardrail.metric === "error_rate";
  const errorCount = sharing.filter(isError).length;
  const otherCount = sharing.length - errorCount;
  const errorShare = errorCount === 0 ? 0 : otherCount === 0 ? 1 : 0.5;
  const weights = new Map(
    sharing.map((named) => [named.id, isError(named) ? errorShare / errorCount : (1 - errorShare) / otherCount]),
  );
  const contributions = sharing.map((named) => {
    const logEvidence = isMerged(named) ? (statistics.trackers.get(named.id)?.tracker.relativeLogEvidence() ?? 0) : 0;
    return { id: named.id, logEvidence: logEvidence + Math.log(weights.get(named.id) ?? 0) };
  });
  return {
    logEvidence: contributions.length === 0 ? 0 : logSumExp(contributions.map(({ logEvidence }) => logEvidence)),
    weights,
    contributions: contributions.sort((a, b) => b.logEvidence - a.logEvidence),
  };
}

const leadsBack = ({ guardrail }: NamedGuardrail): boolean =>
  guardrail.onFail === "rollback" || guardrail.onFail === "kill";

/** Of a merged failure, those that carry a tenth of it or more are to blame. */
function blame(judgement: GuardrailJudgement, merged: Merged, plan: RolloutPlan): GuardrailJudgement {
  const share = merged.contributions.find(({ id }) => id === judgement.named.id)?.logEvidence;
  if (plan.decideBy === "threshold" || share === undefined || !isMerged(judgement.named)) return judgement;
  if (merged.logEvidence < Math.log(1 / plan.falseAlarmBudget) || share < merged.logEvidence - Math.log(10))
    return judgement;
  const harm = judgement.said.logEvidence ?? 0;
  const explanation = `worse than the control, ${oddsText(harm)}; ${judgement.explanation}`;
  return { ...judgement, verdict: "fail", cause: null, refutes: judgement.refutes ?? "relative", explanation };
}

function harmFindings(judged: readonly GuardrailJudgement[], merged: Merged, plan: RolloutPlan): Found[] {
  const found: Found[] = [];
  const failed = judged.filter(({ gating, verdict, named }) => gating && verdict === "fail" && leadsBack(named));
  const action = (guardrails: readonly GuardrailJudgement[]): "kill" | "rollback" =>
    guardrails.some(({ named }) => named.guardrail.onFail === "kill") ? "kill" : "rollback";
  const ids = (guardrails: readonly GuardrailJudgement[]): string[] => guardrails.map(({ named }) => named.id);
  if (plan.decideBy === "evidence" && merged.logEvidence >= Math.log(1 / plan.falseAlarmBudget)) {
    const order = merged.contributions.map(({ id }) => id);
    const blamed = failed
      .filter(({ refutes }) => refutes === "relative")
      .toSorted((a, b) => order.indexOf(a.named.id) - order.indexOf(b.named.id));
    const worst = blamed[0];
    const because = worst
      ? `${worst.named.id}: ${worst.explanation}`
      : `worse than the control, ${oddsText(merged.logEvidence)}`;
    found.push(fail(because, { by: "merged", action: action(blamed), guardrails: ids(blamed) }));
  }
  for (const by of ["absolute", "guardrail"] as const) {
    const group = failed.filter(({ refutes, named }) =>
      by === "absolute"
        ? refutes === "absolute"
        : refutes === "value" || (refutes === "relative" && !(isMerged(named) && plan.decideBy === "evidence")),
    );
    const worst = group[0];
    if (worst === undefined) continue;
    const because = `${worst.named.id}: ${worst.explanation}`;
    found.push(fail(because, { by, action: action(group), guardrails: ids(group) }));
  }
  const environment = judged.find(({ gating, cause }) => gating && cause === "environment");
  if (environment) found.push(hold("environment", `${environment.named.id}: ${environment.explanation}`));
  return found;
}

// --- 4. silence and a wrong split

function silenceFindings(stage: StageStatistics, inputs: JudgementInputs, sampleRatio: SampleRatio): Found[] {
  const { plan, now, stageStartedAt } = inputs;
  const { hasControl } = stage.terms;
  const latestComplete = Math.floor((now - WATERMARK_MS) / EVIDENCE_INTERVAL_MS) - 1;
  const start = Math.floor(stageStartedAt / EVIDENCE_INTERVAL_MS);
  const silentSince = (through: number | null): number => latestComplete - (through ?? start);
  const canarySilence = silentSince(stage.canaryThrough);
  const controlReports = hasControl && silentSince(stage.controlThrough) < SILENT_INTERVALS;
  const canarySilent = canarySilence >= SILENT_INTERVALS;
  const found: Found[] = [];
  if (
    plan.onNoData === "rollback" &&
    canarySilence * EVIDENCE_INTERVAL_MS >= NO_DATA_MS &&
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

function judgeSampleRatio(stage: StageStatistics): SampleRatio {
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

// --- 5. and 6. what keeps from promoting

function guardrailHolds(judged: readonly GuardrailJudgement[]): Found[] {
  const gating = judged.filter((judgement) => judgement.gating);
  const text = ({ named, explanation }: GuardrailJudgement): string => `${named.id}: ${explanation}`;
  const failed = gating.find(({ verdict, named }) => verdict === "fail" && named.guardrail.onFail === "hold");
  const unmeasured = gating.find(({ cause }) => cause === "measurement_error");
  const silent = gating.find(({ cause }) => cause === "no_data");
  const suspect = gating.find(({ cause }) => cause === "suspect");
  return [
    ...(unmeasured ? [hold("measurement_error", text(unmeasured))] : []),
    ...(silent ? [hold("no_data", text(silent))] : []),
    ...(failed ? [hold("guardrail_hold", text(failed))] : []),
    ...(suspect ? [hold("suspect", text(suspect))] : []),
  ];
}

function suspicion({ logEvidence }: Merged): Found[] {
  if (logEvidence < SUSPECT_LOG_EVIDENCE) return [];
  return [hold("suspect", `evidence of harm is ${oddsText(logEvidence)}, too much to promote on`)];
}

// --- 7. and 8. pass, or not enough known

interface Wait {
  readonly cause: HoldCause;
  readonly text: string;
}

/** What a pass still needs, most important first. */
function waitingFor(
  judged: readonly GuardrailJudgement[],
  stage: StageStatistics,
  { plan, stage: index }: JudgementInputs,
): readonly Wait[] {
  const gating = judged.filter((judgement) => judgement.gating);
  const of = (cause: HoldCause): Wait[] =>
    gating
      .filter((judgement) => judgement.cause === cause)
      .map(({ named, explanation }) => ({ cause, text: `${named.id}: ${explanation}` }));
  const bakeSeconds = plan.stages[index]?.bakeSeconds ?? 0;
  const { bakedSeconds } = stage;
  return [
    ...of("insufficient_data"),
    ...lackingExposures(gating, stage, plan),
    ...(bakedSeconds >= bakeSeconds
      ? []
      : [{ cause: "baking" as const, text: `${bakedSeconds} of ${bakeSeconds} s of evidence` }]),
    ...of("inconclusive"),
  ];
}

function lackingExposures(gating: readonly GuardrailJudgement[], stage: StageStatistics, plan: RolloutPlan): Wait[] {
  const wait = (text: string): Wait => ({ cause: "insufficient_data", text });
  const waits: Wait[] = [];
  // Guardrails that count ask for samples themselves.
  if (!gating.some(({ named }) => isCounted(named.guardrail))) {
    for (const arm of stage.terms.hasControl ? (["canary", "control"] as const) : (["canary"] as const)) {
      const { exposureCount } = stage.counts[arm];
      if (exposureCount >= plan.minSamples) continue;
      waits.push(wait(`${arm} has ${exposureCount} of ${plan.minSamples} exposures`));
    }
  }
  const { filledCanaryGroupCount } = stage;
  if (plan.decideBy === "evidence" && filledCanaryGroupCount < LEAST_CANARY_GROUPS) {
    waits.push(
      wait(
        `users in ${filledCanaryGroupCount} of at least ${LEAST_CANARY_GROUPS} groups: too few to tell one from many`,
      ),
    );
  }
  return waits;
}

function conclude(
  judged: readonly GuardrailJudgement[],
  waits: readonly Wait[],
  stage: StageStatistics,
  plan: RolloutPlan,
): Found {
  const [first] = waits;
  if (first) return hold(first.cause, first.text);
  const by = promotedBy(judged, plan);
  const proof = { evidence: "proven", threshold: "within its thresholds", elapsed: "without a sign of harm" }[by];
  const { canary } = stage.counts;
  return {
    verdict: "pass",
    cause: null,
    because: `every required guardrail is ${proof} after ${stage.bakedSeconds} s and ${canary.exposureCount} canary exposures`,
  };
}

function promotedBy(judged: readonly GuardrailJudgement[], plan: RolloutPlan): "evidence" | "threshold" | "elapsed" {
  if (plan.decideBy === "threshold") return "threshold";
  return judged.every(({ gating, proven }) => !gating || proven) ? "evidence" : "elapsed";
}
