import type { Configuration } from "@bunting/contracts";
import {
  type AttemptStatistics,
  type DecisionInputs,
  decide,
  isUrgent,
  type KeptInputs,
  type Ruling,
} from "@bunting/gating";
import { armsOf, type EvidenceRow, type EvidenceSource } from "../evidence/evidence.ts";
import type { StoredRollout } from "../ledger/state.ts";
import type { AttemptMemory, Progress } from "./attempt-memory.ts";

/*
 * One look at one rollout: gathers what there is to see and lets gating decide. Reads, and changes nothing.
 */

export type LookEvidence = Pick<
  EvidenceSource,
  "through" | "cells" | "page" | "recent" | "recentCells" | "breakers" | "samples"
>;

export interface Looked {
  readonly ruling: Ruling;
  readonly inputs: KeptInputs;
}

type FlagConfiguration = Pick<Configuration, "killed" | "version">;

/**
 * A whole analysis, or a step towards one: `more` asks to be called again. Where evidence cannot be read at the moment, that is
 * no sign of anything, so nothing is decided.
 *
 * @param memory of this attempt, for statistics to grow by what is new instead of being made anew at each look
 */
export function look(
  stored: StoredRollout,
  configuration: FlagConfiguration,
  evidence: LookEvidence,
  facts: LookFacts,
): Looked | Exclude<Progress, "done"> {
  const { memory, now } = facts;
  const { rollout } = stored;
  // What a person did to the flag is known without evidence.
  if (configuration.version !== rollout.configurationVersion) {
    const inputs = inputsOf(stored, configuration, evidence, facts);
    const kept = { ...inputs, through: evidence.through(), settledCount: null, fresh: [] };
    return { ruling: decide({ ...inputs, cells: [] }), inputs: kept };
  }
  // Breakers are heard of before the errors they opened at are settled: a decision by them shows those too.
  const { openInstanceCount } = evidence.breakers(armsOf(rollout), rollout.stage ?? 0);
  const early = openInstanceCount > 0 ? watch(stored, configuration, evidence, facts) : null;
  if (early) return early;
  const progress = memory.advance(evidence, evidence.through(), now);
  return progress === "done"
    ? judge(stored, configuration, evidence, { ...facts, fresh: [], statistics: memory.statistics })
    : progress;
}

export interface LookFacts {
  readonly memory: AttemptMemory;
  readonly now: number;
  /** Unix ms. Since when the server has been listening without a break, as far as it can tell. */
  readonly watchedSince: number;
}

/**
 * Whether the canary is failing grossly, by the last minute as far as it has been received, or breakers are open; null if not.
 * Everything else is left to the analysis: judged by a minute at a time, chance would have many more chances.
 */
export function watch(
  stored: StoredRollout,
  configuration: FlagConfiguration,
  evidence: LookEvidence,
  facts: LookFacts,
): Looked | null {
  const { memory, now } = facts;
  const { rollout } = stored;
  const arms = armsOf(rollout);
  const stage = rollout.stage ?? 0;
  const isFailing = isUrgent({
    stage,
    intervals: evidence.recent(arms, now),
    breakers: evidence.breakers(arms, stage),
    now,
  });
  // Also when nothing is found, so that whoever looks once an hour has statistics when he needs them.
  const isUpToDate = memory.advance(evidence, evidence.through(), now) === "done";
  if (!isFailing) return null;
  const looked = judgeAtOnce(stored, configuration, evidence, { ...facts, isUpToDate });
  return looked.ruling.decision.verdict === "fail" ? looked : null;
}

/**
 * The decision is made of everything, so that its figures are those of the stage; but it waits for nothing: while statistics are
 * being made anew, it is made of the last minute alone.
 */
function judgeAtOnce(
  stored: StoredRollout,
  configuration: FlagConfiguration,
  evidence: LookEvidence,
  { isUpToDate, ...facts }: LookFacts & { readonly isUpToDate: boolean },
): Looked {
  const { memory, now } = facts;
  const arms = armsOf(stored.rollout);
  // Also what was counted while nobody could report it: instances come back with the errors their breakers opened at.
  const range = { after: isUpToDate ? memory.through : evidence.through(), through: Number.MAX_SAFE_INTEGER };
  const fresh = evidence.cells(arms, range) ?? [];
  const statistics = isUpToDate ? memory.statisticsWith(fresh, now) : null;
  if (statistics) return judge(stored, configuration, evidence, { ...facts, fresh, statistics });
  const settled = evidence.recentCells(arms, now).filter(({ availableAt }) => availableAt <= range.after);
  const inputs = inputsOf(stored, configuration, evidence, facts);
  const known = [...settled, ...fresh];
  const kept = { ...inputs, through: NONE, settledCount: 0, fresh: known };
  return { ruling: decide({ ...inputs, cells: known }), inputs: kept };
}

/** As `through`: no evidence but what is kept with the decision. */
const NONE = -1;

interface Fresh {
  /** Evidence that is not usable yet, and kept with the decision. */
  readonly fresh: readonly EvidenceRow[];
  /** With as much of it as is of whole intervals. */
  readonly statistics: AttemptStatistics;
}

function judge(
  stored: StoredRollout,
  configuration: FlagConfiguration,
  evidence: LookEvidence,
  { fresh, statistics, ...facts }: LookFacts & Fresh,
): Looked {
  const { memory, now } = facts;
  const { through, settledCount } = memory;
  const inputs = inputsOf(stored, configuration, evidence, facts);
  const recent = evidence.recentCells(armsOf(stored.rollout), now).filter(({ availableAt }) => availableAt <= through);
  const whole = { ...inputs, cells: [...recent, ...fresh] };
  return { ruling: decide(whole, statistics), inputs: { ...inputs, through, settledCount, fresh } };
}

function inputsOf(
  { rollout, latestAnalysis }: StoredRollout,
  { killed, version }: FlagConfiguration,
  evidence: LookEvidence,
  { now, watchedSince }: Pick<LookFacts, "now" | "watchedSince">,
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
    watchedSince,
  };
}
