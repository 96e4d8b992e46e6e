import { type Decision, decisionPage, type RolloutPlan, rolloutPlan } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import type { History, HistoryCell, Unknown, WhatIf } from "@bunting/gating";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { parseKey } from "../arguments.ts";
import { courseOf } from "../course.ts";
import { evidencePages, NOTHING_CHANGED } from "../evidence-pages.ts";
import { EXIT_CODES } from "../exit-code.ts";
import { Failure, usageFailure } from "../failure.ts";
import { decisionLine } from "../output/rollout.ts";
import type { Theme } from "../output/theme.ts";
import { changeInWords, type ShareChange, timelineBar } from "../output/timeline.ts";
import { formatPercent, formatSpan } from "../output/words.ts";
import { paths } from "../paths.ts";
import { openBar } from "../progress-bar.ts";
import { findRollout } from "../rollout-reference.ts";
import { readJsonFile, type Session } from "../session.ts";

export function addRolloutWhatIfCommand(rollout: Command, action: Action): void {
  rollout
    .command("what-if")
    .summary("what another plan would have made of the same evidence")
    .description(
      "Run the history of the rollout's latest attempt through another plan, here, and draw both courses: evidence, values from outside, breakers and what people did, as they were stored. From where the courses part some things cannot be known, and each look says which: evidence is what it was at the share that was real, and people are taken to promote and to sign at once.",
    )
    .argument("<rollout>", "its id, or the key of its flag", parseKey)
    .requiredOption("--plan <path>", "the other plan as JSON, - for standard input")
    .action(action(showWhatIf));
}

/** One decision that changed something, as it would have been. */
type Deed = Pick<Decision, "at" | "action" | "verdict" | "cause" | "by" | "because" | "stage"> & {
  /** What it takes for granted. */
  readonly unknown: readonly Unknown[];
};

interface Compared {
  readonly rollout: string;
  readonly attempt: number;
  readonly real: { readonly state: string; readonly course: readonly ShareChange[] };
  readonly other: {
    readonly state: string;
    readonly course: readonly ShareChange[];
    readonly decisions: readonly Deed[];
    /** Why it stands where it stands at the end. Null if it never looked. */
    readonly lastLook: Deed | null;
    /** From when on the course is no longer the real one. */
    readonly partedAt: string | null;
    /** Looks that take something for granted, by what that is. */
    readonly lookCount: number;
    readonly unknown: readonly { readonly of: Unknown["of"]; readonly lookCount: number; readonly because: string }[];
  };
}

async function showWhatIf(session: Session, name: string, options: { readonly plan: string }): Promise<void> {
  const { client, output, world } = session;
  const rollout = await findRollout(session, name);
  const { id, attempt, startedAt } = rollout;
  if (startedAt === null) throw usageFailure(`${id} was never started, so there is no evidence.`);
  const { isEvidenceWhole, planProblems, toHistoryCell } = await import("@bunting/gating");
  const plan = otherPlan(readJsonFile(options.plan, session), rollout.plan);
  const [problem] = planProblems(plan, Date.parse(startedAt));
  if (problem) throw usageFailure(`This plan can never be carried out: ${problem.detail}`);
  const newestFirst = await client.list(paths.decisions(id), decisionPage, { attempt, only: "all", expand: "inputs" });
  const decisions = newestFirst.toReversed();
  const records = decisions.flatMap(({ id: decision, inputs }) => (inputs ? [{ id: decision, inputs }] : []));
  const until = rollout.endedAt === null ? world.now() : Date.parse(rollout.endedAt);
  // A row of each arm and interval: with what came late there are more, of a flag that is seldom asked for there are fewer.
  const expectedCount = 2 * Math.ceil((until - Date.parse(startedAt)) / EVIDENCE_INTERVAL_MS);
  const cells: HistoryCell[] = [];
  for await (const rows of evidencePages(session, id, { attempt, expectedCount })) {
    for (const row of rows) cells.push(toHistoryCell(row));
  }
  const history = { rollout, cells, records, until };
  if (!isEvidenceWhole(history)) throw evidenceGone(`attempt ${attempt} of ${id}`);
  const {
    timeline,
    rollout: outcome,
    partedAt,
  } = await runThrough(session, { history, plan, startedAt: Date.parse(startedAt) });
  const looks = timeline.map(({ decision, unknown }): Deed => ({ ...decision, unknown }));
  const made = looks.filter(({ action }) => action !== "none" && action !== "notify");
  const compared: Compared = {
    rollout: id,
    attempt,
    real: { state: rollout.state, course: courseOf(decisions, rollout.plan, startedAt) },
    other: {
      state: outcome.state,
      course: courseOf(made, plan, startedAt),
      decisions: made,
      lastLook: looks.at(-1) ?? null,
      partedAt: partedAt === null ? null : new Date(partedAt).toISOString(),
      lookCount: timeline.length,
      unknown: countUnknown(timeline),
    },
  };
  const lengthSeconds = (until - Date.parse(startedAt)) / 1000;
  output.show(compared, (shown, theme) => renderWhatIf(shown, lengthSeconds, theme));
}

const REDRAW_MS = 100;

async function runThrough(
  session: Session,
  { history, plan, startedAt }: { readonly history: History; readonly plan: RolloutPlan; readonly startedAt: number },
): Promise<WhatIf> {
  const { world } = session;
  const { whatIfInSteps } = await import("@bunting/gating");
  const whole = formatSpan((history.until - startedAt) / 1000);
  const bar = openBar(session, history.until - startedAt, NOTHING_CHANGED);
  const steps = whatIfInSteps(history, plan);
  try {
    for (let shownAt = world.monotonic(); ; ) {
      const step = steps.next();
      if (step.done) return step.value;
      if (world.monotonic() - shownAt < REDRAW_MS) continue;
      bar.update(step.value - startedAt, `${formatSpan((step.value - startedAt) / 1000)} of ${whole}`);
      // A bar is drawn, and Ctrl-C heard, only while nothing is computed.
      await world.sleep(0);
      shownAt = world.monotonic();
    }
  } finally {
    bar.end();
  }
}

/**
 * What was taken for granted, one after the other, each in its own words: counted together, looks at evidence of one share
 * would be told as of another.
 */
function countUnknown(timeline: WhatIf["timeline"]): Compared["other"]["unknown"] {
  const counts = new Map<string, Compared["other"]["unknown"][number]>();
  for (const { of, because } of timeline.flatMap(({ unknown }) => unknown)) {
    counts.set(because, { of, lookCount: (counts.get(because)?.lookCount ?? 0) + 1, because });
  }
  const kinds = [...new Set([...counts.values()].map(({ of }) => of))];
  return kinds.flatMap((kind) => [...counts.values()].filter(({ of }) => of === kind));
}

/** Of what a decision or an attempt rested on. */
export function evidenceGone(what: string): Failure {
  return new Failure(EXIT_CODES.refused, {
    code: "evidence_gone",
    detail: `The evidence of ${what} is no longer kept, so nothing can be decided from it again.`,
    remedy:
      "It is kept for 30 days after an attempt has ended. The record itself says what the figures were: `bunting rollout decisions --json`.",
  });
}

/** Canary, control and scope are the rollout's where the file does not say: evidence is of those alone. */
function otherPlan(document: Record<string, unknown>, { canary, control, scope }: RolloutPlan): RolloutPlan {
  const parsed = rolloutPlan.safeParse({ canary, control, scope, ...document });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw usageFailure(`This is no plan: /${issue?.path.join("/") ?? ""}: ${issue?.message ?? "unknown shape"}`);
  }
  if (parsed.data.canary !== canary || parsed.data.control !== control) {
    throw usageFailure(
      `The evidence is of ${canary} against ${control}, not of ${parsed.data.canary} against ${parsed.data.control}.`,
    );
  }
  if (scopeInWords(parsed.data.scope) !== scopeInWords(scope)) {
    throw usageFailure(`The evidence is of ${scopeInWords(scope)}, not of ${scopeInWords(parsed.data.scope)}.`);
  }
  return parsed.data;
}

const scopeInWords = (scope: RolloutPlan["scope"]): string =>
  "rule" in scope ? `the users of rule ${scope.rule}` : "everybody whom no rule matches";

const TITLE_WIDTH = 12;
const WIDEST = 72;

function renderWhatIf({ real, other }: Compared, lengthSeconds: number, theme: Theme): string {
  const width = Math.max(20, Math.min(WIDEST, theme.columns - TITLE_WIDTH - 4));
  const line = (title: string, course: readonly ShareChange[]): string[] => [
    `${theme.paint("strong", title.padEnd(TITLE_WIDTH))}${timelineBar(course, { lengthSeconds, width }, theme)}`,
    theme.paint("faint", `${" ".repeat(TITLE_WIDTH)}${course.map(changeInWords).join(", ")}`),
  ];
  const scale = `${" ".repeat(TITLE_WIDTH)}0${formatSpan(lengthSeconds).padStart(width - 1)}`;
  return [
    ...line("as it was", real.course),
    ...line("other plan", other.course),
    theme.paint("faint", scale),
    "",
    ...other.decisions.flatMap((decision) => [
      decisionLine(decision, theme),
      ...decision.unknown.map(({ because }) => theme.paint("caution", `  ? ${because}`)),
    ]),
    ...stayed(other, theme),
    ...(other.unknown.length === 0 ? [] : ["", theme.paint("strong", "What nobody can know")]),
    ...other.unknown.map(({ of, lookCount, because }, index) => {
      const title = of === other.unknown[index - 1]?.of ? "" : of;
      return `${title.padEnd(TITLE_WIDTH)}${theme.paint("caution", `at ${lookCount} of ${other.lookCount} looks`)}: ${because}`;
    }),
  ].join("\n");
}

/** A course without an end waits for something, and which limit that is, is what another plan is tried for. */
function stayed({ course, lastLook }: Compared["other"], theme: Theme): string[] {
  const last = course.at(-1);
  if (last === undefined || last.end !== undefined) return [];
  const where = `The other plan would have stayed at ${formatPercent(last.percent)}.`;
  return lastLook === null ? [`${where} It never looked.`] : [`${where} Its last look:`, decisionLine(lastLook, theme)];
}
