import { type Decision, decisionPage, evidencePage, type RolloutPlan, rolloutPlan } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { parseKey } from "../arguments.ts";
import { courseOf, outsideSamples } from "../course.ts";
import { usageFailure } from "../failure.ts";
import { decisionLine } from "../output/rollout.ts";
import type { Theme } from "../output/theme.ts";
import { changeInWords, type ShareChange, timelineBar } from "../output/timeline.ts";
import { formatSpan } from "../output/words.ts";
import { paths } from "../paths.ts";
import { findRollout } from "../rollout-reference.ts";
import { readJsonFile, type Session } from "../session.ts";

export function addRolloutWhatIfCommand(rollout: Command, action: Action): void {
  rollout
    .command("what-if")
    .summary("what another plan would have made of the same evidence")
    .description(
      "Run the evidence of the rollout's latest attempt through another plan, here, and draw both courses. Evidence is what it was, at the shares that were real; people are taken to promote and to sign at once, and breakers to have stayed closed.",
    )
    .argument("<rollout>", "its id, or the key of its flag", parseKey)
    .requiredOption("--plan <path>", "the other plan as JSON, - for standard input")
    .action(action(showWhatIf));
}

/** One decision that changed something, as it would have been. */
type Deed = Pick<Decision, "at" | "action" | "verdict" | "cause" | "by" | "because" | "stage">;

interface Compared {
  readonly rollout: string;
  readonly attempt: number;
  readonly real: { readonly state: string; readonly course: readonly ShareChange[] };
  readonly other: {
    readonly state: string;
    readonly course: readonly ShareChange[];
    readonly decisions: readonly Deed[];
  };
}

async function showWhatIf(session: Session, name: string, options: { readonly plan: string }): Promise<void> {
  const { client, output, world } = session;
  const rollout = await findRollout(session, name);
  const { id, attempt, startedAt } = rollout;
  if (startedAt === null) throw usageFailure(`${id} was never started, so there is no evidence.`);
  const plan = otherPlan(readJsonFile(options.plan, session), rollout.plan);
  const [cells, newestFirst, { namedGuardrails, whatIf }] = await Promise.all([
    client.list(paths.evidence(id), evidencePage, { attempt }),
    client.list(paths.decisions(id), decisionPage, { attempt, only: "all" }),
    import("@bunting/gating"),
  ]);
  const decisions = newestFirst.toReversed();
  const until = rollout.endedAt === null ? world.now() : Date.parse(rollout.endedAt);
  const { timeline, rollout: outcome } = whatIf(
    {
      rollout,
      cells,
      samples: outsideSamples(decisions, namedGuardrails(rollout.plan), namedGuardrails(plan)),
      breakers: [],
      until,
    },
    plan,
  );
  const made = timeline
    .map(({ decision }) => decision)
    .filter(({ action }) => action !== "none" && action !== "notify");
  const compared: Compared = {
    rollout: id,
    attempt,
    real: { state: rollout.state, course: courseOf(decisions, rollout.plan, startedAt) },
    other: { state: outcome.state, course: courseOf(made, plan, startedAt), decisions: made },
  };
  const lengthSeconds = (until - Date.parse(startedAt)) / 1000;
  output.show(compared, (shown, theme) => renderWhatIf(shown, lengthSeconds, theme));
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
  return parsed.data;
}

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
    ...(other.decisions.length === 0
      ? [theme.paint("faint", "Under the other plan nothing would have happened.")]
      : other.decisions.map((decision) => decisionLine(decision, theme))),
  ].join("\n");
}
