import type { Decision, DecisionAction, EvidenceCell, HoldCause, Rollout, RolloutNotice } from "@bunting/contracts";
import { armFromCells, type EvidenceInterval } from "./evidence.ts";
import { instantText, toUnixMs } from "./instant.ts";
import { judgeGuardrails, judgeStatistics } from "./judge.ts";
import type { Breakers, Judgement, JudgementInputs, Sample } from "./judgement.ts";
import { type Effect, type Event, isLive, type Transition, transition } from "./machine.ts";
import { nextStepOf } from "./next-step.ts";
import { percentOfStage } from "./plan.ts";
import { applyTransition, type FlagFacts, flagStatus, gatesOf, stateOf } from "./rollout.ts";
import { type DecisionDraft, NO_COUNTS, type Ruling } from "./ruling.ts";
import { splitAtPercent, splitOf } from "./split.ts";
import type { AttemptStatistics } from "./statistics.ts";

/** Everything one look of the controller is decided from, as JSON: stored with the decision, and replayed from there. */
export interface DecisionInputs {
  readonly kind: "analysis";
  readonly rollout: Rollout;
  readonly flag: FlagFacts;
  /** Of this attempt, all stages; cells of several instances may be summed, or not. */
  readonly cells: readonly EvidenceCell[];
  /** Latest value of each gauge and Prometheus guardrail, by guardrail id. */
  readonly samples: Readonly<Record<string, Sample>>;
  readonly breakers: Breakers;
  /** The controller's decision before this one; null if there is none. */
  readonly previous: PreviousDecision | null;
  /** Unix ms. */
  readonly now: number;
  /** Unix ms, as in `JudgementInputs`. Decisions of earlier releases were made without. */
  readonly watchedSince?: number;
}

/** What a decision needs of the one before: since when a guardrail has been failing, and what people were told already. */
export type PreviousDecision = Pick<Decision, "at" | "attempt" | "stage" | "verdict" | "cause" | "guardrails">;

/**
 * One look at one rollout: what the evidence says, what the plan, the calendar and people allow, and so what is done. Pure:
 * the same inputs give the same ruling.
 *
 * In this order: a person's word on the flag; a failure; a hold; a pass, which the release window, the approval and
 * `autoPromote` may still turn into a hold.
 *
 * @param statistics that somebody keeps, with all complete intervals added: of `cells` only those of the last minute are needed
 */
export function decide(inputs: DecisionInputs, statistics?: AttemptStatistics): Ruling {
  const { rollout, flag } = inputs;
  if (!isLive(stateOf(rollout))) return rest(inputs);
  const status = flagStatus(rollout, flag);
  if (status !== "ours") return standDown(inputs, status);
  const judged = judgementInputs(inputs);
  return ruleOn(inputs, statistics ? judgeStatistics(statistics, judged) : judgeGuardrails(judged));
}

/** What is done about a judgement. {@link decide} without the statistics. */
export function ruleOn(inputs: DecisionInputs, judgement: Judgement): Ruling {
  const { rollout, flag, now } = inputs;
  const gates = gatesOf(rollout, { flag, now, hasPass: judgement.verdict === "pass" });
  const outcome = transition(stateOf(rollout), eventOf(rollout, judgement), gates);
  // Evidence is never refused; the compiler cannot know.
  if ("refusal" in outcome) throw new TypeError(`A look at ${rollout.id} was refused: ${outcome.refusal.detail}`);

  const verdict = outcome.held === null ? judgement.verdict : "hold";
  const cause = outcome.held ?? judgement.cause;
  const notices = noticesOf(inputs, judgement, verdict, cause, outcome);
  const moved: Transition = {
    ...outcome,
    effects: [...outcome.effects, ...notices.map((notice): Effect => ({ type: "notify", notice }))],
  };
  const because = sentenceOf(inputs, judgement, moved, cause);
  const next = applyTransition(rollout, moved, { now, by: null, because });
  const isSameStage = next.stage === rollout.stage && next.attempt === rollout.attempt;
  return {
    transition: moved,
    rollout: next,
    decision: {
      ...draft(inputs, next, because),
      verdict,
      cause,
      action: actionOf(moved),
      guardrails: [...judgement.guardrails],
      bakedSeconds: judgement.bakedSeconds,
      counts: judgement.counts,
      nextStep: nextStepOf(next, isSameStage ? judgement : null, now),
    },
  };
}

/** The cells as the statistics want them: of this attempt, by interval and stage. */
export function judgementInputs(inputs: DecisionInputs): JudgementInputs {
  const { rollout, samples, breakers, now, watchedSince } = inputs;
  return {
    plan: rollout.plan,
    stage: rollout.stage ?? 0,
    stageStartedAt: rollout.stageStartedAt === null ? now : toUnixMs(rollout.stageStartedAt),
    intervals: intervalsOf(inputs),
    samples: new Map(Object.entries(samples)),
    breakers,
    failingSince: failingSince(inputs),
    now,
    ...(watchedSince === undefined ? {} : { watchedSince }),
  };
}

/** The canary's share of canary and control in a stage: less than its percent says if the scope serves others besides. */
function shareRateOf({ plan, formerServe }: Pick<Rollout, "plan" | "formerServe">, stage: number): number {
  const percent = percentOfStage(plan, stage);
  if (formerServe === null) return percent / 100;
  const control = splitAtPercent(splitOf(formerServe), plan.canary, percent)[plan.control] ?? 0;
  return percent / (percent + control);
}

/** By interval and stage, in order. */
export function intervalsOf({
  rollout,
  cells,
}: Pick<DecisionInputs, "rollout" | "cells">): readonly EvidenceInterval[] {
  const { canary, control } = rollout.plan;
  const groups = new Map<string, EvidenceCell[]>();
  for (const cell of cells) {
    if (cell.rollout !== rollout.id || cell.attempt !== rollout.attempt) continue;
    const key = `${cell.interval}/${cell.stage}`;
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    group.push(cell);
  }
  return [...groups.values()]
    .map((group) => ({
      interval: group[0]?.interval ?? 0,
      stage: group[0]?.stage ?? 0,
      canary: armFromCells(group.filter(({ variant }) => variant === canary)),
      control: armFromCells(group.filter(({ variant }) => variant === control)),
      shareRate: shareRateOf(rollout, group[0]?.stage ?? 0),
    }))
    .sort((a, b) => a.interval - b.interval || a.stage - b.stage);
}

function failingSince({ rollout, previous }: DecisionInputs): ReadonlyMap<string, number> {
  if (previous?.attempt !== rollout.attempt) return new Map();
  return new Map(
    previous.guardrails.flatMap(({ id, failingSince }) =>
      failingSince === null ? [] : [[id, toUnixMs(failingSince)] as const],
    ),
  );
}

function eventOf({ plan, attempt, stage }: Rollout, { verdict, cause, failure }: Judgement): Event {
  switch (verdict) {
    case "pass":
      return { type: "pass", attempt, stage: stage ?? 0 };
    case "fail":
      return { type: "fail", response: plan.autoRollback ? (failure?.action ?? "rollback") : "hold" };
    case "hold":
      return { type: "hold", cause: cause ?? "inconclusive" };
  }
}

/** A person killed or changed the flag: that is the newer word, whatever the evidence says. */
function standDown(inputs: DecisionInputs, status: "killed" | "changed"): Ruling {
  const { rollout, flag, now } = inputs;
  const outcome = transition(
    stateOf(rollout),
    { type: status === "killed" ? "flag_killed" : "flag_changed" },
    gatesOf(rollout, { flag, now, hasPass: false }),
  );
  if ("refusal" in outcome) throw new TypeError(`${rollout.id} refused to stand down: ${outcome.refusal.detail}`);
  const because =
    status === "killed"
      ? `Stood down at ${rollout.percent} %: somebody killed the flag. Evidence never brings it back; a person restores it.`
      : `Stood down at ${rollout.percent} %: somebody changed the configuration since the rollout wrote version ${rollout.configurationVersion}, so its evidence is of something else. The flag stays as they left it.`;
  const next = applyTransition(rollout, outcome, { now, by: null, because });
  return {
    transition: outcome,
    rollout: next,
    decision: {
      ...draft(inputs, next, because),
      verdict: "hold",
      cause: status === "killed" ? "flag_killed" : "flag_changed",
      action: "abort",
    },
  };
}

/** Nothing is served by it, so there is nothing to say. */
function rest(inputs: DecisionInputs): Ruling {
  const { rollout } = inputs;
  return {
    transition: { state: stateOf(rollout), effects: [], held: null, forced: false },
    rollout,
    decision: draft(inputs, rollout, rollout.because),
  };
}

function draft({ rollout, now }: DecisionInputs, next: Rollout, because: string): DecisionDraft {
  return {
    rollout: rollout.id,
    attempt: rollout.attempt,
    // The stage that was judged: the one a promotion leaves.
    stage: rollout.stage,
    at: instantText(now),
    by: "controller",
    verdict: null,
    cause: null,
    action: "none",
    forced: false,
    because,
    guardrails: [],
    bakedSeconds: 0,
    counts: NO_COUNTS,
    nextStep: nextStepOf(next, null, now),
  };
}

function actionOf({ state, effects }: Transition): DecisionAction {
  const has = (type: Effect["type"]): boolean => effects.some((effect) => effect.type === type);
  if (has("kill_flag")) return "kill";
  if (state.name === "rolled_back") return "rollback";
  if (has("complete")) return "complete";
  if (has("ask_approval")) return "ask_approval";
  if (has("set_percent")) return "promote";
  return has("notify") ? "notify" : "none";
}

// --- what people are told

/** Whether a hold is news. The others are what every stage goes through, or have a notice of their own. */
const IS_NEWS: Readonly<Record<HoldCause, boolean>> = {
  insufficient_data: false,
  no_data: true,
  measurement_error: true,
  sample_ratio_mismatch: true,
  inconclusive: false,
  suspect: true,
  environment: true,
  guardrail_hold: true,
  baking: false,
  outside_window: true,
  awaiting_approval: false,
  flag_changed: false,
  flag_killed: false,
  manual: true,
};

/** Notices beside those of the transition: each once, when it becomes true, or at its interval. */
function noticesOf(
  inputs: DecisionInputs,
  judgement: Judgement,
  verdict: Decision["verdict"],
  cause: HoldCause | null,
  { state }: Transition,
): readonly RolloutNotice[] {
  const { rollout } = inputs;
  if (state.name !== rollout.state || state.stage !== rollout.stage) return [];
  const previous =
    inputs.previous?.attempt === rollout.attempt && inputs.previous.stage === rollout.stage ? inputs.previous : null;
  const isNew = previous?.verdict !== verdict || previous.cause !== cause;
  const failedBefore = new Set(previous?.guardrails.filter(({ verdict: said }) => said === "fail").map(({ id }) => id));
  const alert = judgement.alerts.some((id) => !failedBefore.has(id));
  const failing = verdict === "fail" && isNew;
  // A person paused it, so that is no news to people; all else that holds a paused rollout is.
  const held = cause !== null && isNew && IS_NEWS[cause] && !(cause === "manual" && rollout.state === "paused");
  return [
    ...(failing || alert ? (["guardrail_failing"] as const) : []),
    ...(held ? (["held"] as const) : []),
    ...(isBakingNoticeDue(inputs) ? (["baking"] as const) : []),
    ...(isReminderDue(inputs) ? (["approval_reminder"] as const) : []),
  ];
}

function isBakingNoticeDue({ rollout, previous, now }: DecisionInputs): boolean {
  if (rollout.stageStartedAt === null) return false;
  return isDue(rollout.stageStartedAt, rollout.plan.noticeEverySeconds, previous, now);
}

function isReminderDue({ rollout, previous, now }: DecisionInputs): boolean {
  if (rollout.state !== "awaiting_approval" || rollout.askedAt === null || rollout.stage === null) return false;
  const approval = rollout.plan.stages[rollout.stage]?.approval;
  if (approval === undefined || approval === true) return false;
  return isDue(rollout.askedAt, approval.remindAfterSeconds, previous, now);
}

/**
 * Whether a multiple of the interval lies between the look before and this one. Nothing is remembered, so nothing is
 * forgotten by a crash, and a server that slept tells people once and not once per interval it missed.
 */
function isDue(
  since: string,
  everySeconds: number | undefined,
  previous: PreviousDecision | null,
  now: number,
): boolean {
  if (everySeconds === undefined) return false;
  const start = toUnixMs(since);
  const before = previous === null ? start : Math.max(start, toUnixMs(previous.at));
  const count = (at: number): number => Math.floor((at - start) / (everySeconds * 1000));
  return count(now) > count(before);
}

// --- in words

function sentenceOf(
  { rollout }: DecisionInputs,
  judgement: Judgement,
  { state, effects, held }: Transition,
  cause: HoldCause | null,
): string {
  const from = rollout.percent;
  const to = percentOfStage(rollout.plan, state.stage);
  return `${subject()}: ${judgement.because}.`;

  function subject(): string {
    if (effects.some(({ type }) => type === "kill_flag")) return `Killed at ${from} %`;
    if (state.name === "rolled_back") return `Rolled back from ${from} %`;
    if (state.name === "completed") return `Completed at ${from} %`;
    if (judgement.verdict === "fail") return `Failing at ${from} %, which the plan leaves to people`;
    if (state.stage !== rollout.stage) return `Promoted from ${from} % to ${to} %`;
    if (held === "awaiting_approval") return `Ready to leave ${from} %, which waits for an approval`;
    if (held === "outside_window") return `Ready to leave ${from} %, which waits for a release window`;
    if (held === "manual") {
      return `Ready to leave ${from} %, which waits for a person to ${rollout.state === "paused" ? "resume" : "promote"}`;
    }
    return `Held at ${from} % (${(cause ?? "inconclusive").replaceAll("_", " ")})`;
  }
}
