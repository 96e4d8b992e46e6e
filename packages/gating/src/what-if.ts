import type { EvidenceCell, Rollout, RolloutPlan } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { type DecisionInputs, intervalsOf, judgementInputs, ruleOn } from "./decide.ts";
import type { EvidenceInterval } from "./evidence.ts";
import { instantText, toUnixMs } from "./instant.ts";
import { judgeStatistics } from "./judge.ts";
import type { Breakers, Sample } from "./judgement.ts";
import { isLive } from "./machine.ts";
import { percentOfStage } from "./plan.ts";
import { stateOf } from "./rollout.ts";
import type { DecisionDraft } from "./ruling.ts";
import { AttemptStatistics } from "./statistics.ts";
import { isComplete } from "./watermark.ts";

/** What happened in one attempt: the rollout as it is stored, and everything that was reported meanwhile. */
export interface History {
  readonly rollout: Rollout;
  readonly cells: readonly EvidenceCell[];
  /** Every value from outside, oldest first, with the id of its guardrail. */
  readonly samples: readonly { readonly id: string; readonly sample: Sample }[];
  /** The breakers' state after each report, oldest first. */
  readonly breakers: readonly { readonly at: number; readonly breakers: Breakers }[];
  /** Unix ms of the last look. */
  readonly until: number;
}

export interface WhatIf {
  readonly timeline: readonly WhatIfEntry[];
  /** As it would have ended, or stood at the end of the history. */
  readonly rollout: Rollout;
}

export interface WhatIfEntry {
  readonly decision: DecisionDraft;
  /** The canary's percent under the other plan, and as it really was. Evidence was collected at the latter. */
  readonly percent: number;
  readonly realPercent: number;
}

/**
 * Another plan's decisions on the evidence of a history, at its own analysis interval.
 *
 * Two things it cannot know. Evidence is what it was: where the plan would have given the canary another share, errors are
 * counted at the share that was real. And people: they are taken to promote and to sign at once, so that the timeline shows
 * what the evidence and the calendar allow.
 */
export function whatIf(history: History, plan: RolloutPlan): WhatIf {
  const { until } = history;
  const answered = withoutPeople(plan);
  const startedAt = history.rollout.startedAt === null ? until : toUnixMs(history.rollout.startedAt);
  const evidence = intervalsOf(history);
  const statistics = new AttemptStatistics(answered);
  const timeline: WhatIfEntry[] = [];
  let rollout = begun(history.rollout, answered, startedAt);
  let previous: DecisionDraft | null = null;
  let addedCount = 0;
  const stepMs = answered.analysisIntervalSeconds * 1000;
  for (let now = startedAt + stepMs; now <= until && isLive(stateOf(rollout)); now += stepMs) {
    for (let next = evidence[addedCount]; next !== undefined && isComplete(next, now); next = evidence[addedCount]) {
      statistics.add(inStageOf(rollout, next));
      addedCount += 1;
    }
    const inputs = inputsAt(history, rollout, previous, now);
    const known = evidence.filter((interval) => endOf(interval) <= now && endOf(interval) > now - RECENT_MS);
    const judgement = judgeStatistics(statistics, {
      ...judgementInputs(inputs),
      intervals: known.map((interval) => inStageOf(rollout, interval)),
    });
    const ruling = ruleOn(inputs, judgement);
    const real = evidence.findLast((interval) => endOf(interval) <= now);
    timeline.push({
      decision: ruling.decision,
      percent: rollout.percent,
      realPercent: percentOfStage(history.rollout.plan, real?.stage ?? 0),
    });
    previous = ruling.decision;
    rollout = ruling.rollout;
  }
  return { timeline, rollout };
}

/** What a judgement looks at beside its statistics. */
const RECENT_MS = 120_000;

const NO_BREAKERS: Breakers = { openInstanceCount: 0, canaryInstanceCount: 0 };

function withoutPeople(plan: RolloutPlan): RolloutPlan {
  return { ...plan, autoPromote: true, stages: plan.stages.map(({ approval: _approval, ...stage }) => stage) };
}

function begun(rollout: Rollout, plan: RolloutPlan, startedAt: number): Rollout {
  return {
    ...rollout,
    plan,
    state: "running",
    stage: 0,
    percent: percentOfStage(plan, 0),
    configurationVersion: rollout.configurationVersion ?? 0,
    startedAt: instantText(startedAt),
    stageStartedAt: instantText(startedAt),
    askedAt: null,
    endedAt: null,
    signatures: [],
  };
}

/** An interval belongs to the stage in which it begins. It is looked at before another stage can pass, so to this or the last. */
function inStageOf({ stage, stageStartedAt }: Rollout, interval: EvidenceInterval): EvidenceInterval {
  const current = stage ?? 0;
  const isOfThis = stageStartedAt === null || interval.interval * EVIDENCE_INTERVAL_MS >= toUnixMs(stageStartedAt);
  return { ...interval, stage: isOfThis ? current : Math.max(0, current - 1) };
}

function endOf({ interval }: EvidenceInterval): number {
  return (interval + 1) * EVIDENCE_INTERVAL_MS;
}

function inputsAt(history: History, rollout: Rollout, previous: DecisionDraft | null, now: number): DecisionInputs {
  const known = history.samples.filter(({ sample }) => sample.at <= now);
  return {
    kind: "analysis",
    rollout,
    flag: { killed: false, configurationVersion: rollout.configurationVersion ?? 0 },
    // They are in the statistics already.
    cells: [],
    samples: Object.fromEntries(known.map(({ id, sample }) => [id, sample])),
    breakers: history.breakers.findLast(({ at }) => at <= now)?.breakers ?? NO_BREAKERS,
    previous,
    now,
  };
}
