import type { Configuration, EvidenceCell } from "@bunting/contracts";
import {
  type DecisionInputs,
  decide,
  judgeGuardrails,
  judgementInputs,
  judgeStatistics,
  type Ruling,
  ruleOn,
} from "@bunting/gating";
import { armsOf, type EvidenceSource } from "../evidence/evidence.ts";
import type { StoredRollout } from "../ledger/state.ts";
import { fromInstant } from "../platform/instant.ts";
import type { AttemptMemory } from "./attempt-memory.ts";

/*
 * One look at one rollout: gathers what there is to see and lets gating decide. Reads, and changes nothing.
 */

export type LookEvidence = Pick<
  EvidenceSource,
  "through" | "cells" | "recent" | "recentCells" | "breakers" | "samples"
>;

export interface Looked {
  readonly ruling: Ruling;
  readonly inputs: KeptInputs;
}

/**
 * What is stored of a decision's inputs. Evidence that will never change again is named and not copied; what was fresher than
 * that is kept.
 */
export interface KeptInputs extends Omit<DecisionInputs, "cells"> {
  /** Evidence that had become usable up to this interval index. */
  readonly through: number;
  readonly fresh: readonly EvidenceCell[];
}

/** The inputs as they were, from the evidence that is still there; null if it cannot be read. */
export function restoreInputs(
  { through, fresh, ...inputs }: KeptInputs,
  evidence: Pick<EvidenceSource, "cells">,
): DecisionInputs | null {
  const settled = evidence.cells(armsOf(inputs.rollout), { through });
  return settled && { ...inputs, cells: [...settled, ...fresh] };
}

type FlagConfiguration = Pick<Configuration, "killed" | "version">;

/**
 * A whole analysis. Null if evidence cannot be read at the moment: that is no sign of anything, so nothing is decided.
 *
 * @param memory of this attempt, for statistics to grow by what is new instead of being made anew at each look
 */
export function look(
  stored: StoredRollout,
  configuration: FlagConfiguration,
  evidence: LookEvidence,
  { memory, now }: { readonly memory: AttemptMemory; readonly now: number },
): Looked | null {
  const { rollout } = stored;
  const through = evidence.through();
  const inputs = inputsOf(stored, configuration, evidence, now);
  const kept = { ...inputs, through, fresh: [] };
  // What a person did to the flag is known without evidence.
  if (configuration.version !== rollout.configurationVersion) {
    return { ruling: decide({ ...inputs, cells: [] }), inputs: kept };
  }
  // Breakers are heard of before the errors they opened at are settled: a decision by them shows those too.
  const early = inputs.breakers.openInstanceCount > 0 ? watch(stored, configuration, evidence, now) : null;
  if (early) return early;
  const remembered = memory.advance(evidence, through, now);
  if (remembered === null) return null;
  if (remembered.kind === "cells") {
    return { ruling: decide({ ...inputs, cells: remembered.cells }), inputs: kept };
  }
  const recent = evidence.recentCells(armsOf(rollout)).filter(({ availableAt }) => availableAt <= through);
  const whole = { ...inputs, cells: recent };
  return { ruling: ruleOn(whole, judgeStatistics(remembered.statistics, judgementInputs(whole))), inputs: kept };
}

/**
 * Whether the canary is failing grossly, by the last minute as far as it has been received; null if not. Everything else is
 * left to the analysis: judged by a minute at a time, chance would have many more chances.
 */
export function watch(
  stored: StoredRollout,
  configuration: FlagConfiguration,
  evidence: LookEvidence,
  now: number,
): Looked | null {
  const { rollout } = stored;
  const arms = armsOf(rollout);
  const { failure } = judgeGuardrails({
    plan: rollout.plan,
    stage: rollout.stage ?? 0,
    stageStartedAt: rollout.stageStartedAt === null ? now : fromInstant(rollout.stageStartedAt),
    intervals: evidence.recent(arms),
    samples: new Map(),
    breakers: evidence.breakers(arms, rollout.stage ?? 0),
    failingSince: new Map(),
    now,
  });
  if (failure?.by !== "gross_failure" && failure?.by !== "breakers") return null;

  // The decision itself is made of everything, so that its figures are those of the stage.
  const through = evidence.through();
  const settled = evidence.cells(arms, { through }) ?? [];
  // Also what was counted while nobody could report it: instances come back with the errors their breakers opened at.
  const fresh = evidence.cells(arms, { after: through, through: Number.MAX_SAFE_INTEGER }) ?? [];
  const inputs = inputsOf(stored, configuration, evidence, now);
  const ruling = decide({ ...inputs, cells: [...settled, ...fresh] });
  return ruling.decision.verdict === "fail" ? { ruling, inputs: { ...inputs, through, fresh } } : null;
}

function inputsOf(
  { rollout, latestAnalysis }: StoredRollout,
  { killed, version }: FlagConfiguration,
  evidence: LookEvidence,
  now: number,
): Omit<DecisionInputs, "cells"> {
  return {
    kind: "analysis",
    rollout,
    flag: { killed: killed !== null, configurationVersion: version },
    samples: Object.fromEntries(evidence.samples(rollout)),
    breakers: evidence.breakers(armsOf(rollout), rollout.stage ?? 0),
    previous: latestAnalysis && {
      at: latestAnalysis.at,
      attempt: latestAnalysis.attempt,
      stage: latestAnalysis.stage,
      verdict: latestAnalysis.verdict,
      cause: latestAnalysis.cause,
      guardrails: latestAnalysis.guardrails,
    },
    now,
  };
}
