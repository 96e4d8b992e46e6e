import type { RolloutPlan } from "@bunting/contracts";
import { type Found, fail, hold } from "./finding.ts";
import { type GuardrailJudgement, isMerged, SUSPECT_LOG_EVIDENCE } from "./guardrail-judgement.ts";
import { isGating, namedGuardrails } from "./guardrails.ts";
import type { NamedGuardrail } from "./judgement.ts";
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
}

/**
 * The weighted mean of all guardrails' e-values is one again, never weaker than Bonferroni's correction. Weights are those of
 * the whole plan, fixed before the first user: half for errors. One that waits before it counts, or whose stage has not come,
 * keeps its share and adds nothing but 1.
 */
export function mergeHarm(plan: RolloutPlan, statistics: AttemptStatistics): Harm {
  const sharing = namedGuardrails(plan)
    .filter((named) => isGating(named) && leadsBack(named))
    .flatMap((named) => {
      const logEvidence = statistics.trackers.get(named.id)?.tracker.relativeLogEvidence() ?? null;
      return logEvidence === null ? [] : [{ named, logEvidence: isMerged(named) ? logEvidence : 0 }];
    });
  const errorCount = sharing.filter(({ named }) => isErrors(named)).length;
  const otherCount = sharing.length - errorCount;
  const errorShare = errorCount === 0 ? 0 : otherCount === 0 ? 1 : 0.5;
  const weightOf = (named: NamedGuardrail): number =>
    isErrors(named) ? errorShare / errorCount : (1 - errorShare) / otherCount;
  const contributions = sharing.map(({ named, logEvidence }) => ({
    id: named.id,
    logEvidence: logEvidence + Math.log(weightOf(named)),
  }));
  const logEvidence =
    sharing.length === 0
      ? 0
      : logWeightedMean(
          sharing.map((one) => one.logEvidence),
          sharing.map(({ named }) => weightOf(named)),
        );
  return {
    logEvidence,
    refutes: plan.decideBy === "evidence" && logEvidence >= Math.log(1 / plan.falseAlarmBudget),
    weights: new Map(sharing.map(({ named }) => [named.id, weightOf(named)])),
    contributions: contributions.sort((a, b) => b.logEvidence - a.logEvidence),
  };
}

const isErrors = ({ guardrail }: NamedGuardrail): boolean =>
  isCounted(guardrail) && !("kind" in guardrail) && guardrail.metric === "error_rate";

const leadsBack = ({ guardrail }: NamedGuardrail): boolean =>
  guardrail.onFail === "rollback" || guardrail.onFail === "kill";

/** Of a merged failure, those that carry a tenth of it or more are to blame. */
export function blame(judgement: GuardrailJudgement, harm: Harm): GuardrailJudgement {
  if (!isBlamed(judgement.named, harm)) return judgement;
  const explanation = `worse than the control, ${oddsText(judgement.said.logEvidence ?? 0)}; ${judgement.explanation}`;
  return { ...judgement, verdict: "fail", cause: null, refutes: judgement.refutes ?? "relative", explanation };
}

function isBlamed(named: NamedGuardrail, harm: Harm): boolean {
  const share = harm.contributions.find(({ id }) => id === named.id)?.logEvidence;
  return harm.refutes && share !== undefined && isMerged(named) && share >= harm.logEvidence - Math.log(10);
}

/** Failures that lead back, in the order of their weight: merged evidence, absolute limits, everything that fails alone. */
export function harmFindings(judged: readonly GuardrailJudgement[], harm: Harm): Found[] {
  const failed = judged.filter(({ gating, verdict, named }) => gating && verdict === "fail" && leadsBack(named));
  const order = harm.contributions.map(({ id }) => id);
  const blamed = failed
    .filter(({ named }) => isBlamed(named, harm))
    .toSorted((a, b) => order.indexOf(a.named.id) - order.indexOf(b.named.id));
  const absolute = failed.filter(({ refutes }) => refutes === "absolute");
  const alone = failed.filter((judgement) => judgement.refutes !== "absolute" && !blamed.includes(judgement));
  const environment = judged.find(({ gating, cause }) => gating && cause === "environment");
  return [
    ...failure("merged", blamed),
    ...failure("absolute", absolute),
    ...failure("guardrail", alone),
    ...(environment ? [hold("environment", sentence(environment))] : []),
  ];
}

function failure(by: "merged" | "absolute" | "guardrail", judged: readonly GuardrailJudgement[]): Found[] {
  const [worst] = judged;
  if (worst === undefined) return [];
  const action = judged.some(({ named }) => named.guardrail.onFail === "kill") ? "kill" : "rollback";
  return [fail(sentence(worst), { by, action, guardrails: judged.map(({ named }) => named.id) })];
}

/** Too much evidence of harm to promote on, and too little to roll back. */
export function suspicion(harm: Harm, plan: RolloutPlan): Found[] {
  if (plan.decideBy === "threshold" || harm.logEvidence < SUSPECT_LOG_EVIDENCE) return [];
  return [hold("suspect", `evidence of harm is ${oddsText(harm.logEvidence)}, too much to promote on`)];
}

export const sentence = ({ named, explanation }: GuardrailJudgement): string => `${named.id}: ${explanation}`;
