import type { RolloutPlan } from "@bunting/contracts";
import { type Found, fail, hold } from "./finding.ts";
import { type GuardrailJudgement, isMerged, SUSPECT_LOG_EVIDENCE } from "./guardrail-judgement.ts";
import { isGating, namedGuardrails } from "./guardrails.ts";
import type { Failure, NamedGuardrail } from "./judgement.ts";
import { logWeightedMean } from "./log-space.ts";
import { isCounted } from "./measurement.ts";
import type { AttemptStatistics } from "./statistics.ts";
import { oddsText } from "./words.ts";

/** Evidence of harm of all guardrails together. */
export interface Harm {
  readonly logEvidence: number;
  /** Whether it decides: at `1 / falseAlarmBudget`, unless the plan decides by thresholds. */
  readonly refutes: boolean;
  /** Shares in the merged e-value, by guardrail id. */
  readonly weights: ReadonlyMap<string, number>;
  /** Largest first. */
  readonly contributions: readonly { readonly id: string; readonly logEvidence: number }[];
  /** Where it decides, those that carry a tenth of it or more, and the largest in any case. Worst first. */
  readonly blamed: readonly Blamed[];
}

interface Blamed {
  readonly named: NamedGuardrail;
  /** Its own, before it was weighed. */
  readonly logEvidence: number;
}

/**
 * The weighted mean of all guardrails' e-values is one again, never weaker than Bonferroni's correction. Weights are those of
 * the whole plan, fixed before the first user: half for errors. One that waits before it counts, or whose stage has not come,
 * keeps its share and adds nothing but 1.
 */
export function mergeHarm(plan: RolloutPlan, statistics: AttemptStatistics): Harm {
  const evidence = namedGuardrails(plan)
    .filter((named) => isGating(named) && leadsBack(named))
    .flatMap((named) => {
      const logEvidence = statistics.trackers.get(named.id)?.tracker.relativeLogEvidence() ?? null;
      return logEvidence === null ? [] : [{ named, logEvidence: isMerged(named) ? logEvidence : 0 }];
    });
  const errorCount = evidence.filter(({ named }) => isErrors(named)).length;
  const otherCount = evidence.length - errorCount;
  const errorShare = errorCount === 0 ? 0 : otherCount === 0 ? 1 : 0.5;
  const sharing = evidence
    .map(({ named, logEvidence }) => {
      const weight = isErrors(named) ? errorShare / errorCount : (1 - errorShare) / otherCount;
      return { named, logEvidence, weight, contribution: logEvidence + Math.log(weight) };
    })
    .toSorted((a, b) => b.contribution - a.contribution);
  const logEvidence = sharing.length === 0 ? 0 : meanOf(sharing);
  const refutes = plan.decideBy === "evidence" && logEvidence >= Math.log(1 / plan.falseAlarmBudget);
  const merged = sharing.filter(({ named }) => isMerged(named));
  // Of a dozen alike none carries a tenth.
  const least = Math.min(logEvidence - Math.log(10), merged[0]?.contribution ?? 0);
  return {
    logEvidence,
    refutes,
    weights: new Map(sharing.map(({ named, weight }) => [named.id, weight])),
    contributions: sharing.map(({ named, contribution }) => ({ id: named.id, logEvidence: contribution })),
    blamed: refutes ? merged.filter(({ contribution }) => contribution >= least) : [],
  };
}

function meanOf(sharing: readonly { readonly logEvidence: number; readonly weight: number }[]): number {
  return logWeightedMean(
    sharing.map((one) => one.logEvidence),
    sharing.map(({ weight }) => weight),
  );
}

const isErrors = ({ guardrail }: NamedGuardrail): boolean =>
  isCounted(guardrail) && !("kind" in guardrail) && guardrail.metric === "error_rate";

const leadsBack = ({ guardrail }: NamedGuardrail): boolean =>
  guardrail.onFail === "rollback" || guardrail.onFail === "kill";

/** A guardrail that is to blame for a merged failure fails. */
export function blame(judgement: GuardrailJudgement, { blamed }: Harm): GuardrailJudgement {
  if (!blamed.some(({ named }) => named.id === judgement.named.id)) return judgement;
  const explanation = `worse than the control, ${oddsText(judgement.said.logEvidence ?? 0)}; ${judgement.explanation}`;
  return { ...judgement, verdict: "fail", cause: null, refutes: judgement.refutes ?? "relative", explanation };
}

/** Failures that lead back, in the order of their weight: merged evidence, absolute limits, everything that fails alone. */
export function harmFindings(judged: readonly GuardrailJudgement[], { blamed }: Harm): Found[] {
  const failed = judged.filter(({ gating, verdict, named }) => gating && verdict === "fail" && leadsBack(named));
  const absolute = failed.filter(({ refutes }) => refutes === "absolute");
  const blamedIds = new Set(blamed.map(({ named }) => named.id));
  const alone = failed.filter(({ refutes, named }) => refutes !== "absolute" && !blamedIds.has(named.id));
  const environment = judged.find(({ gating, cause }) => gating && cause === "environment");
  return [
    ...mergedFailure(blamed, judged),
    ...failure("absolute", absolute),
    ...failure("guardrail", alone),
    ...(environment ? [hold("environment", sentence(environment))] : []),
  ];
}

/** Also on a guardrail of another stage: its evidence may be heard after the stage was left. */
function mergedFailure(blamed: readonly Blamed[], judged: readonly GuardrailJudgement[]): Found[] {
  const [worst] = blamed;
  if (worst === undefined) return [];
  const { id, stage } = worst.named;
  const here = judged.find(({ named }) => named.id === id);
  const because = here
    ? sentence(here)
    : `${id}: worse than the control, ${oddsText(worst.logEvidence)}, in stage ${(stage ?? 0) + 1}`;
  const guardrails = blamed.map(({ named }) => named);
  return [
    fail(because, { by: "merged", action: actionOf(guardrails), guardrails: guardrails.map((named) => named.id) }),
  ];
}

function failure(by: "absolute" | "guardrail", judged: readonly GuardrailJudgement[]): Found[] {
  const [worst] = judged;
  if (worst === undefined) return [];
  const guardrails = judged.map(({ named }) => named);
  return [fail(sentence(worst), { by, action: actionOf(guardrails), guardrails: guardrails.map(({ id }) => id) })];
}

function actionOf(guardrails: readonly NamedGuardrail[]): Failure["action"] {
  return guardrails.some(({ guardrail }) => guardrail.onFail === "kill") ? "kill" : "rollback";
}

/** Too much evidence of harm to promote on, and too little to roll back. */
export function suspicion(harm: Harm, plan: RolloutPlan): Found[] {
  if (plan.decideBy === "threshold" || harm.logEvidence < SUSPECT_LOG_EVIDENCE) return [];
  return [hold("suspect", `evidence of harm is ${oddsText(harm.logEvidence)}, too much to promote on`)];
}

export const sentence = ({ named, explanation }: GuardrailJudgement): string => `${named.id}: ${explanation}`;
