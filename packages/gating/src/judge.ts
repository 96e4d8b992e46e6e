import type { DecisionCounts } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { countsWithFresh } from "./counts.ts";
import type { EvidenceInterval } from "./evidence.ts";
import type { ArmCounts } from "./evidence-process.ts";
import { type Found, fail, hold } from "./finding.ts";
import { isGrossFailure } from "./gross-failure.ts";
import { type GuardrailJudgement, judgeGuardrail, type Look, rounded } from "./guardrail-judgement.ts";
import { guardrailsOfStage } from "./guardrails.ts";
import { blame, harmFindings, mergeHarm, sentence, suspicion } from "./harm.ts";
import type { Breakers, Judgement, JudgementInputs } from "./judgement.ts";
import { conclude, promotedBy, waitingFor } from "./promotion.ts";
import { judgeSampleRatio, silenceFindings } from "./silence.ts";
import { AttemptStatistics } from "./statistics.ts";
import { hasBegun, isComplete } from "./watermark.ts";

/** What is looked at for a gross failure, the interval under way included. */
const GROSS_FAILURE_MS = 60_000;

/** Openings in as many instances are no accident of one. */
const BREAKER_INSTANCES = 2;

/**
 * One look at a rollout's evidence. The first of these that holds is the verdict, all are recorded: a failure that kills, a
 * gross failure or open breakers, evidence of harm, a limit exceeded, no word or a wrong split, a guardrail that holds, a
 * suspicion, everything proven, not enough known.
 */
export function judgeGuardrails(inputs: JudgementInputs): Judgement {
  const statistics = new AttemptStatistics(inputs.plan);
  const ordered = inputs.intervals.toSorted((a, b) => a.interval - b.interval || a.stage - b.stage);
  for (const interval of ordered) if (isComplete(interval, inputs.now)) statistics.add(interval);
  return judgeStatistics(statistics, inputs);
}

/**
 * The same for statistics that somebody keeps: all complete intervals have been added, in order.
 *
 * @param inputs of `intervals` only those of the last minute are needed, see {@link isOfLastMinute}
 */
export function judgeStatistics(kept: AttemptStatistics, inputs: JudgementInputs): Judgement {
  const { plan, now } = inputs;
  const statistics = kept.lookedAtIn(inputs.stage);
  const stage = statistics.enter(inputs.stage);
  const harm = mergeHarm(plan, statistics);
  const look: Look = {
    plan,
    stage,
    stageStartedAt: inputs.stageStartedAt,
    now,
    watchedSince: inputs.watchedSince ?? Number.NEGATIVE_INFINITY,
    samples: inputs.samples,
    failingSince: inputs.failingSince,
    mergedLogEvidence: harm.logEvidence,
    weightOf: (id) => harm.weights.get(id) ?? null,
  };
  const judged = guardrailsOfStage(plan, inputs.stage)
    .map((named) => judgeGuardrail(named, statistics.trackers.get(named.id)?.tracker, look))
    .map((judgement) => blame(judgement, harm));
  const sampleRatio = judgeSampleRatio(stage);
  const grossFailure = isGrossFailure(recentCounts(inputs));
  const received = countsWithFresh(stage.counts, inputs);
  const findings = killsFirst([
    ...(grossFailure ? [grossFailureFinding(inputs)] : []),
    ...breakerFindings(inputs.breakers, received),
    ...harmFindings(judged, harm),
    ...silenceFindings(stage, inputs, sampleRatio),
    ...guardrailHolds(judged),
    ...suspicion(harm, plan),
  ]);
  const waits = waitingFor(judged, stage, inputs);
  const concluded = findings.length > 0 ? findings : [conclude(judged, waits, { stage, plan })];
  const first = concluded[0] ?? hold("inconclusive", "");
  return {
    verdict: first.verdict,
    cause: first.cause,
    failure: first.failure ?? null,
    promotedBy: first.verdict === "pass" ? promotedBy(judged, plan) : null,
    because: first.because,
    // A guardrail that fails twice over, by its evidence and by its limit, says the same each time.
    waitsFor: [...new Set([...findings.map(({ because }) => because), ...waits.map(({ text }) => text)])],
    findings: concluded.map(({ verdict, cause, because }) => ({ verdict, cause, because })),
    guardrails: judged.map(({ said, verdict, cause, explanation }) => ({ ...said, verdict, cause, explanation })),
    alerts: judged.filter(({ gating, verdict }) => !gating && verdict === "fail").map(({ named }) => named.id),
    failingSince: new Map(
      judged.flatMap(({ named, failingSince }) => (failingSince === null ? [] : [[named.id, failingSince] as const])),
    ),
    mergedLogEvidence: rounded(harm.logEvidence),
    contributions: harm.contributions.map(({ id, logEvidence }) => ({ id, logEvidence: rounded(logEvidence) })),
    bakedSeconds: stage.bakedSeconds,
    counts: waitsForNobody(first) ? received : stage.counts,
    grossFailure,
    sampleRatio,
    judgedThrough: statistics.judgedThrough,
  };
}

/** Whether there is a failure for which nobody waits: a gross one, or open breakers. Every look finds it, too. */
export function isUrgent(inputs: Pick<JudgementInputs, "stage" | "intervals" | "breakers" | "now">): boolean {
  return isGrossFailure(recentCounts(inputs)) || areOpen(inputs.breakers);
}

/** Whoever was led back is looked at no more, so a kill would not follow later. */
function killsFirst(findings: readonly Found[]): readonly Found[] {
  const kills = ({ failure }: Found): boolean => failure?.action === "kill";
  return [...findings.filter(kills), ...findings.filter((found) => !kills(found))];
}

/** Whether it was found in what is still coming in. */
const waitsForNobody = ({ failure }: Found): boolean => failure?.by === "gross_failure" || failure?.by === "breakers";

function grossFailureFinding(inputs: JudgementInputs): Found {
  const { canaryEventCount, canaryExposureCount, controlEventCount, controlExposureCount } = recentCounts(inputs);
  const because =
    `the canary is failing grossly: in the last minute ${canaryEventCount} of its ${canaryExposureCount} outcomes were ` +
    `errors, and ${controlEventCount} of the control's ${controlExposureCount}`;
  return fail(because, { by: "gross_failure", action: "rollback", guardrails: [] });
}

function breakerFindings({ openInstanceCount, canaryInstanceCount }: Breakers, { canary, control }: DecisionCounts) {
  if (!areOpen({ openInstanceCount, canaryInstanceCount })) return [];
  const figures =
    canary.outcomeCount === 0
      ? "of this stage no outcome of the canary has come in"
      : `in this stage ${canary.errorCount} of the canary's ${canary.outcomeCount} outcomes were errors, and ` +
        `${control.errorCount} of the control's ${control.outcomeCount}`;
  const because = `breakers are open in ${openInstanceCount} of ${canaryInstanceCount} instances; ${figures}`;
  return [fail(because, { by: "breakers", action: "rollback", guardrails: [] })];
}

function areOpen({ openInstanceCount, canaryInstanceCount }: Breakers): boolean {
  const everywhere = openInstanceCount > 0 && openInstanceCount >= canaryInstanceCount;
  return openInstanceCount >= BREAKER_INSTANCES || everywhere;
}

/** Whether a judgement looks at it beside the statistics. */
export function isOfLastMinute({ interval }: Pick<EvidenceInterval, "interval">, now: number): boolean {
  return (interval + 1) * EVIDENCE_INTERVAL_MS > now - GROSS_FAILURE_MS && hasBegun({ interval }, now);
}

function recentCounts({ intervals, now, stage }: Pick<JudgementInputs, "stage" | "intervals" | "now">): ArmCounts {
  const counts = { canaryExposureCount: 0, canaryEventCount: 0, controlExposureCount: 0, controlEventCount: 0 };
  for (const { interval, stage: reported, canary, control } of intervals) {
    if (reported !== stage || !isOfLastMinute({ interval }, now)) continue;
    counts.canaryExposureCount += canary?.outcomeCount ?? 0;
    counts.canaryEventCount += canary?.errorCount ?? 0;
    counts.controlExposureCount += control?.outcomeCount ?? 0;
    counts.controlEventCount += control?.errorCount ?? 0;
  }
  return counts;
}

/** Guardrails that keep from promoting: not measured, failing without leading back, or failing not long enough. */
function guardrailHolds(judged: readonly GuardrailJudgement[]): Found[] {
  const gating = judged.filter((judgement) => judgement.gating);
  const failed = gating.find(({ verdict, named }) => verdict === "fail" && named.guardrail.onFail === "hold");
  const unmeasured = gating.find(({ cause }) => cause === "measurement_error");
  const silent = gating.find(({ cause }) => cause === "no_data");
  const suspect = gating.find(({ cause }) => cause === "suspect");
  return [
    ...(unmeasured ? [hold("measurement_error", sentence(unmeasured))] : []),
    ...(silent ? [hold("no_data", sentence(silent))] : []),
    ...(failed ? [hold("guardrail_hold", sentence(failed))] : []),
    ...(suspect ? [hold("suspect", sentence(suspect))] : []),
  ];
}
