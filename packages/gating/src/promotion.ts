import type { HoldCause, RolloutPlan } from "@bunting/contracts";
import { type Found, hold } from "./finding.ts";
import type { GuardrailJudgement } from "./guardrail-judgement.ts";
import type { JudgementInputs } from "./judgement.ts";
import { isCounted } from "./measurement.ts";
import type { StageStatistics } from "./statistics.ts";

/** Canary groups with traffic before a sequence of users can be told from one user. */
const LEAST_CANARY_GROUPS = 20;

export interface Wait {
  readonly cause: HoldCause;
  readonly text: string;
}

/** What a pass still needs, most important first. */
export function waitingFor(
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
  const least = Math.max(1, plan.minSamples);
  // Guardrails that count ask for samples themselves, if the plan asks for any.
  if (plan.minSamples === 0 || !gating.some(({ named }) => isCounted(named.guardrail))) {
    for (const arm of stage.terms.hasControl ? (["canary", "control"] as const) : (["canary"] as const)) {
      const { exposureCount } = stage.counts[arm];
      if (exposureCount >= least) continue;
      waits.push(wait(`${arm} has ${exposureCount} of ${least} exposures`));
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

/** A pass, unless something is still waited for. */
export function conclude(
  judged: readonly GuardrailJudgement[],
  waits: readonly Wait[],
  { stage, plan }: { readonly stage: StageStatistics; readonly plan: RolloutPlan },
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

export function promotedBy(
  judged: readonly GuardrailJudgement[],
  plan: RolloutPlan,
): "evidence" | "threshold" | "elapsed" {
  if (plan.decideBy === "threshold") return "threshold";
  return judged.every(({ gating, proven }) => !gating || proven) ? "evidence" : "elapsed";
}
