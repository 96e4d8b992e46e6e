import type {
  Decision,
  DecisionRecord,
  IncidentReport,
  Receipt,
  RolloutReport,
  RolloutView,
  StageReport,
} from "@bunting/contracts";
import { type CommandInputs, nextOpening } from "@bunting/gating";
import { fromInstant } from "../platform/instant.ts";

/*
 * The deployment report: a rollout's decisions, read as a story. Pure.
 */

export interface ReportSources {
  readonly rollout: RolloutView;
  /** Those that changed something, oldest first. */
  readonly records: readonly DecisionRecord[];
  readonly omittedDecisionCount: number;
  /** Who has applied a revision; undefined where that is no longer kept. */
  readonly receipt: (revision: number) => Receipt | undefined;
  /** RFC 3339. */
  readonly now: string;
}

export function reportOf(sources: ReportSources): RolloutReport {
  const { rollout, records, omittedDecisionCount, now } = sources;
  const decisions = records.map(withoutInputs);
  return {
    rollout,
    generatedAt: now,
    stages: stagesOf(rollout, records),
    incidents: records.filter(isIncident).map((record) => incidentOf(record, sources)),
    decisions,
    omittedDecisionCount,
  };
}

export function withoutInputs({ inputs: _inputs, ...decision }: DecisionRecord): Decision {
  return decision;
}

type Stage = { -readonly [Field in keyof StageReport]: StageReport[Field] };

const NOTHING = { exposureCount: 0, outcomeCount: 0, errorCount: 0, unitCount: 0 };

/** Stage by stage of each attempt, in the order in which they were entered. */
function stagesOf(rollout: RolloutView, records: readonly DecisionRecord[]): StageReport[] {
  const stages: Stage[] = [];
  const enter = ({ attempt, at }: Pick<Decision, "attempt" | "at">, stage: number): void => {
    stages.push({
      attempt,
      stage,
      percent: rollout.plan.stages[stage]?.percent ?? 0,
      startedAt: at,
      endedAt: null,
      outcome: null,
      bakedSeconds: 0,
      counts: { canary: NOTHING, control: NOTHING },
      guardrails: [],
      signatures: rollout.signatures.filter((each) => attempt === rollout.attempt && each.stage === stage),
    });
  };
  const leave = ({ at }: Decision, outcome: NonNullable<StageReport["outcome"]>): void => {
    const last = stages.at(-1);
    if (last) Object.assign(last, { endedAt: at, outcome });
  };
  // Of a long story the beginning may be left out. Then it begins in the middle of a stage.
  const [first] = records;
  const startedAt = first ? startOf(first, rollout) : null;
  if (first && startedAt !== null && first.at > startedAt) enter({ ...first, at: startedAt }, first.stage ?? 0);
  for (const decision of records) {
    const current = stages.at(-1);
    const look = lookBehind(decision);
    if (current && look?.stage === current.stage && look.attempt === current.attempt) {
      const { bakedSeconds, counts, guardrails } = look;
      Object.assign(current, { bakedSeconds, counts, guardrails });
    }
    switch (decision.action) {
      case "start":
      case "retry":
        enter(decision, 0);
        break;
      case "promote":
        leave(decision, "promoted");
        enter(decision, (decision.stage ?? -1) + 1);
        break;
      case "complete":
        leave(decision, "completed");
        break;
      case "rollback":
        leave(decision, "rolled_back");
        break;
      case "kill":
        leave(decision, "killed");
        break;
      case "abort":
        leave(decision, "aborted");
        break;
      case "none":
      case "ask_approval":
      case "pause":
      case "resume":
      case "approve":
      case "reject":
      case "notify":
        break;
    }
  }
  const open = stages.at(-1);
  if (open?.outcome === null && rollout.counts !== null) {
    const { bakedSeconds, counts, guardrails } = rollout;
    Object.assign(open, { bakedSeconds, counts, guardrails });
  }
  return stages;
}

/** When the stage that a decision names began, if that is the latest one of the rollout. */
function startOf({ attempt, stage }: Decision, rollout: RolloutView): string | null {
  return attempt === rollout.attempt && stage === rollout.stage ? rollout.stageStartedAt : null;
}

type Look = Pick<Decision, "attempt" | "stage" | "bakedSeconds" | "counts" | "guardrails">;

/**
 * The look that a decision rests on: its own, or the one that a person had before him. Looks that said nothing new are not among
 * the records, so the last one before a person acted may be hours younger than the last that is. Null where nothing was
 * measured, as when a rollout stands down.
 */
function lookBehind(record: DecisionRecord): Look | null {
  if (record.cause === "flag_changed" || record.cause === "flag_killed") return null;
  return isAnalysis(record) ? record : (record.inputs as unknown as CommandInputs).latest;
}

/** A look of the controller: a person's command has no verdict. */
function isAnalysis({ verdict }: Decision): boolean {
  return verdict !== null;
}

function isIncident(decision: Decision): boolean {
  return isAnalysis(decision) && (decision.action === "rollback" || decision.action === "kill");
}

function incidentOf(decision: DecisionRecord, { rollout, records, receipt, now }: ReportSources): IncidentReport {
  const { attempt, counts, revision } = decision;
  const stage = decision.stage ?? 0;
  const ofStage = records.filter(
    (each) =>
      each.attempt === attempt && (each.action === "start" || each.action === "retry" || entersBefore(each, stage)),
  );
  const startedAt = fromInstant(ofStage.at(-1)?.at ?? startOf(decision, rollout) ?? decision.at);
  const failing = decision.guardrails.filter(({ verdict }) => verdict === "fail");
  const firstFailure = records.find(
    (each) => each.attempt === attempt && each.stage === stage && each.verdict === "fail",
  );
  const at = fromInstant(decision.at);
  const seenAt = Math.min(
    at,
    fromInstant(firstFailure?.at ?? decision.at),
    ...failing.flatMap(({ failingSince }) => (failingSince === null ? [] : [fromInstant(failingSince)])),
  );
  const applied = revision === null ? undefined : receipt(revision);
  const { windows, freezes } = rollout.plan;
  const opening = windows.length + freezes.length > 0 ? nextOpening({ windows, freezes }, fromInstant(now)) : null;
  return {
    decision: decision.id,
    attempt,
    stage,
    percent: rollout.plan.stages[stage]?.percent ?? 0,
    at: decision.at,
    guardrails: failing.map(({ id }) => id),
    because: decision.because,
    counts,
    detectSeconds: Math.max(0, seenAt - startedAt) / 1_000,
    decideSeconds: (at - seenAt) / 1_000,
    applyMs: applied?.latencyMs?.max ?? null,
    complete: applied?.complete ?? null,
    exposureCount: counts.canary.exposureCount,
    nextOpening: opening?.label ?? null,
  };
}

/** Whether this promotion led into the stage: a decision names the stage that it left. */
function entersBefore({ action, stage: left }: Decision, stage: number): boolean {
  return action === "promote" && left === stage - 1;
}
