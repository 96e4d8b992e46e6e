import type {
  Approval,
  ArmCounts,
  Decision,
  DecisionCounts,
  GuardrailVerdict,
  NextStep,
  RolloutPlan,
  RolloutState,
  RolloutView,
  WeeklyWindow,
} from "@bunting/contracts";
import { consequenceOf, renderGuardrails } from "./guardrails.ts";
import { stageBar } from "./stage-bar.ts";
import { facts } from "./table.ts";
import type { Style, Theme } from "./theme.ts";
import { formatInstant, formatPercent, formatRate, formatSpan, formatTime, inOneLine } from "./words.ts";

/** One rollout as of one moment, and the latest of what was decided about it, newest first. */
export interface SeenRollout {
  readonly rollout: RolloutView;
  readonly decisions: readonly Decision[];
  /** Why this is not how it stands now: the server could not be asked. */
  readonly trouble?: string;
}

const DECISIONS_SHOWN = 6;

/**
 * Everything a person wants to know before going home: where it stands, on what evidence, and what it waits for. The guardrails
 * come after that: a plan may have twenty, and a watch shows what one screen holds.
 */
export function renderRollout({ rollout, decisions, trouble }: SeenRollout, nowMs: number, theme: Theme): string {
  const { plan, guardrails, checklist } = rollout;
  const unticked = checklist.filter(({ by }) => by === null);
  return [
    headline(rollout, nowMs, theme),
    ...(trouble === undefined ? [] : [theme.paint("bad", `This is how it stood when it was last seen. ${trouble}`)]),
    stageBar(rollout, theme),
    ...section(evidenceFacts(rollout, theme)),
    ...section(
      facts(
        [
          ...nextFacts(rollout, nowMs),
          ["from here", wayOn(rollout, decisions)],
          // The latest decision says it in its own line below.
          ["because", decisions[0]?.because === rollout.because ? undefined : inOneLine(rollout.because)],
          ...unticked.map(({ item }): Fact => ["not ticked", inOneLine(item)]),
          ...Object.entries(plan.links).map(([name, address]): Fact => [name, address]),
        ],
        theme,
      ),
    ),
    ...section(guardrails.length === 0 ? "" : renderGuardrails(guardrails, plan, theme)),
    ...section(
      decisions
        .slice(0, DECISIONS_SHOWN)
        .map((decision) => decisionLine(decision, theme))
        .join("\n"),
    ),
  ].join("\n");
}

/** One line that says where it stands. */
export function rolloutLine(rollout: RolloutView, theme: Theme): string {
  return `${theme.paint("strong", rollout.flag)} in ${rollout.environment}: ${stateInWords(rollout, theme)}, ${shareInWords(rollout)}`;
}

/** `14:01:10  promote   Promoted from 1 % to 5 %: …` */
export function decisionLine(
  { at, action, verdict, cause, by, because }: Pick<Decision, "at" | "action" | "verdict" | "cause" | "by" | "because">,
  theme: Theme,
): string {
  const did = action === "none" ? (cause ?? verdict ?? "none") : action;
  const style: Style = verdict === "fail" || did === "rollback" || did === "kill" ? "bad" : (STYLES_OF[did] ?? "faint");
  const word = did.replaceAll("_", " ").padEnd(WORD_WIDTH);
  return `${theme.paint("faint", formatTime(at))}  ${theme.paint(style, word)}  ${inOneLine(because)}${by === "controller" || because.startsWith(by) ? "" : theme.paint("faint", ` (${by})`)}`;
}

const WORD_WIDTH = 17;

const STYLES_OF: Readonly<Partial<Record<string, Style>>> = {
  start: "good",
  retry: "good",
  promote: "good",
  complete: "good",
  approve: "good",
  resume: "good",
  ask_approval: "caution",
  pause: "caution",
  reject: "caution",
  abort: "caution",
  notify: "caution",
};

const STATE_STYLES: Readonly<Record<RolloutState, Style>> = {
  pending: "faint",
  running: "good",
  paused: "caution",
  awaiting_approval: "caution",
  completed: "good",
  rolled_back: "bad",
  aborted: "caution",
};

export function stateInWords({ state }: Pick<RolloutView, "state">, theme: Theme): string {
  return theme.paint(STATE_STYLES[state], state.replaceAll("_", " "));
}

/** `25 % of on against off`. Of one that stood down it is what it had: the flag is as somebody else has left it. */
export function shareInWords({ state, percent, plan }: Pick<RolloutView, "state" | "percent" | "plan">): string {
  const stoodDown = state === "aborted" && percent > 0;
  const where = "rule" in plan.scope ? ` in rule ${plan.scope.rule}` : "";
  return `${stoodDown ? "was at " : ""}${formatPercent(percent)} of ${plan.canary} against ${plan.control}${where}`;
}

/** A guardrail with its name, and its limits in words. */
type NamedLimit = Pick<GuardrailVerdict, "id" | "limit" | "required" | "onFail"> & { readonly source?: string };

/** What was planned, in a few lines: all that decides over the traffic, so that whoever planned it sees what is missing. */
export function renderPlan(plan: RolloutPlan, limits: readonly NamedLimit[], theme: Theme): string {
  const stages = plan.stages.map(
    ({ percent, bakeSeconds, approval }) =>
      `${formatPercent(percent)} for ${formatSpan(bakeSeconds)}${approval === undefined ? "" : `, then ${approvalInWords(approval)}`}`,
  );
  return facts(
    [
      ["stages", stages.join("  →  ")],
      ...limits.map((limit, index): Fact => [index === 0 ? "guardrails" : "", limitInWords(limit, plan)]),
      ["at least", `${plan.minSamples} outcomes in each arm`],
      ["promotes", plan.autoPromote ? "by itself, on evidence" : "when a person says so, after the evidence"],
      ["rolls back", plan.autoRollback ? "by itself" : "when a person says so"],
      ["false alarms", `at most ${formatRate(plan.falseAlarmBudget)} of attempts`],
      ...plan.windows.map((window, index): Fact => [index === 0 ? "only" : "", windowInWords(window)]),
      ...plan.freezes.map((window, index): Fact => [index === 0 ? "never" : "", windowInWords(window)]),
      ["tells", plan.notify.join(", ")],
      ...plan.checklist.map((item): Fact => ["before the start", item]),
    ],
    theme,
  );
}

function approvalInWords(approval: Approval): string {
  if (approval === true) return "an approval";
  const { roles, signatures } = approval;
  if (roles) return `an approval by ${roles.join(" and ")}`;
  return signatures === 1 ? "an approval" : `${signatures} approvals`;
}

/** A query is known by its name alone. A rollback is what the lines below speak of. */
function limitInWords(guardrail: NamedLimit, plan: Pick<RolloutPlan, "autoRollback">): string {
  const name = guardrail.source === undefined ? "" : `${guardrail.id}: `;
  const rollsBack = guardrail.required && guardrail.onFail === "rollback";
  return `${name}${guardrail.limit}${rollsBack ? "" : `; ${consequenceOf(guardrail, plan)}`}`;
}

function windowInWords({ days, from, to, timezone }: WeeklyWindow): string {
  return `${days.join(", ")} from ${from} to ${to} ${timezone}`;
}

type Fact = readonly [name: string, value: string | undefined];

function section(text: string): string[] {
  return text === "" ? [] : ["", text];
}

function headline(rollout: RolloutView, nowMs: number, theme: Theme): string {
  const { flag, environment, attempt, id, stageStartedAt, endedAt } = rollout;
  const since = endedAt ?? stageStartedAt;
  return [
    `${theme.paint("strong", flag)} in ${environment}`,
    stateInWords(rollout, theme),
    shareInWords(rollout),
    ...(since === null ? [] : [`for ${formatSpan((nowMs - Date.parse(since)) / 1000)}`]),
    theme.paint("faint", `attempt ${attempt}, ${id}`),
  ].join("  ");
}

function evidenceFacts(rollout: RolloutView, theme: Theme): string {
  const bakeSeconds = rollout.stage === null ? 0 : (rollout.plan.stages[rollout.stage]?.bakeSeconds ?? 0);
  const { counts } = rollout;
  const baked =
    rollout.stage === null
      ? undefined
      : `${formatSpan(rollout.bakedSeconds)} of ${formatSpan(bakeSeconds)} of evidence`;
  const arm = (counts: DecisionCounts, name: "canary" | "control"): string =>
    `${armInWords(counts[name])}${counts.fresh ? `, of which only just come in: ${outcomesInWords(counts.fresh[name])}` : ""}`;
  return facts(
    [
      ["baked", baked],
      [`canary ${rollout.plan.canary}`, counts ? arm(counts, "canary") : undefined],
      [`control ${rollout.plan.control}`, counts ? arm(counts, "control") : undefined],
    ],
    theme,
  );
}

/** Counts without separators: the sentences of decisions stand beside them, and are kept as they were written. */
function armInWords(counts: ArmCounts): string {
  return `${counts.exposureCount} exposures of ${counts.unitCount} users, ${outcomesInWords(counts)}`;
}

function outcomesInWords({ outcomeCount, errorCount }: ArmCounts): string {
  return `${outcomeCount} outcomes, ${errorCount} errors`;
}

function nextFacts({ nextStep, plan, stage }: RolloutView, nowMs: number): Fact[] {
  if (nextStep === null || (nextStep.step === "none" && nextStep.waitsFor.length === 0)) return [];
  return [
    ["next", `${stepInWords(nextStep, plan.stages[(stage ?? -1) + 1]?.percent)}${notBefore(nextStep, nowMs)}`],
    ...nextStep.waitsFor.map((what, index): Fact => [index === 0 ? "waits for" : "", what]),
  ];
}

/**
 * What leads on from an end that is no success: never a machine. A rollout that stood down has left the canary its share, with
 * which nothing can begin; from behind a kill that would be back with the restore, so it goes first.
 */
export function wayOn(
  { state, flag, environment, percent, plan }: Pick<RolloutView, "state" | "flag" | "environment" | "percent" | "plan">,
  [latest]: readonly Pick<Decision, "action" | "cause">[],
): string | undefined {
  if (state !== "rolled_back" && state !== "aborted") return undefined;
  const which = `${flag} --env ${environment}`;
  const isKilled = latest?.action === "kill" || latest?.cause === "flag_killed";
  const steps = [
    ...(percent > 0 ? [`take the share of ${plan.canary} away (bunting flag set ${which})`] : []),
    ...(isKilled ? [`bunting restore ${which}`] : []),
    `bunting rollout retry ${which}`,
  ];
  return `${steps.join(", then ")}: a new attempt with fresh statistics`;
}

function stepInWords({ step }: NextStep, nextPercent: number | undefined): string {
  switch (step) {
    case "promote":
      return `promote to ${formatPercent(nextPercent ?? 100)}`;
    case "complete":
      return "complete";
    case "none":
      return "start";
  }
}

function notBefore({ notBefore: instant }: NextStep, nowMs: number): string {
  if (instant === null) return "";
  return `, not before ${formatInstant(instant)} UTC (in ${formatSpan((Date.parse(instant) - nowMs) / 1000)})`;
}
