import {
  type Decision,
  decisionPage,
  ROLLOUT_STATES,
  type RolloutState,
  type RolloutView,
  rolloutPage,
  rolloutReport,
} from "@bunting/contracts";
import { type Command, Option } from "commander";
import type { Action } from "../action.ts";
import { parseCount, parseKey } from "../arguments.ts";
import { decisionLine, shareInWords, stateInWords } from "../output/rollout.ts";
import { type Column, table } from "../output/table.ts";
import type { Theme } from "../output/theme.ts";
import { formatAge } from "../output/words.ts";
import { paths } from "../paths.ts";
import { findRollout } from "../rollout-reference.ts";
import type { Session } from "../session.ts";

const DEFAULT_LIMIT = 50;

/** What there is and what has happened: `list`, `decisions`, `report`. */
export function addRolloutLogCommands(rollout: Command, action: Action): void {
  rollout
    .command("list")
    .summary("list rollouts, newest first")
    .description("List rollouts, newest first: of every environment, or of the one of --env.")
    .argument("[flag]", "only of this flag", parseKey)
    .addOption(new Option("--state <state>", "only in this state").choices(ROLLOUT_STATES))
    .option("-n, --limit <count>", `how many; default ${DEFAULT_LIMIT}`, parseCount)
    .action(action(listRollouts));

  rollout
    .command("decisions")
    .summary("what was decided, when, by whom and why")
    .description(
      "What was decided, when, by whom and why, newest first. What only repeated the look before is left out. `bunting rollout replay` takes the ids.",
    )
    .argument("<rollout>", "its id, or the key of its flag", parseKey)
    .option("--all", "also the looks that said nothing new")
    .option("--attempt <number>", "only of this attempt", parseCount)
    .option("-n, --limit <count>", `how many; default ${DEFAULT_LIMIT}`, parseCount)
    .action(action(listDecisions));

  rollout
    .command("report")
    .summary("the deployment report: plan, timeline, incidents, who approved")
    .description(
      "The deployment report: what was planned, what happened stage by stage, incidents, decisions, and who approved.",
    )
    .argument("<rollout>", "its id, or the key of its flag", parseKey)
    .addOption(new Option("--format <format>", "how it is written").choices(["md", "json"]).default("md"))
    .option("-o, --out <path>", "a file instead of standard output")
    .action(action(report));
}

interface ListOptions {
  readonly state?: RolloutState;
  readonly limit?: number;
}

async function listRollouts(session: Session, flag: string | undefined, options: ListOptions): Promise<void> {
  const { client, output, settings, world } = session;
  // The default environment would hide the rollouts of the others.
  const environment = settings.environmentFrom === "default" ? undefined : settings.environment;
  const all =
    flag === undefined
      ? await client.list(paths.rollouts, rolloutPage, { environment })
      : await client.list(paths.rolloutsOfFlag(session.environment(), flag), rolloutPage);
  const items = all
    .filter(({ state }) => options.state === undefined || state === options.state)
    .sort((a, b) => b.createdAt.localeCompare(a.createdAt))
    .slice(0, options.limit ?? DEFAULT_LIMIT);
  output.show({ items }, ({ items }, theme) =>
    table(
      items,
      rolloutColumns(world.now(), theme),
      theme,
      "No rollout fits: `bunting rollout create <flag>` plans one.",
    ),
  );
}

function rolloutColumns(nowMs: number, theme: Theme): Column<RolloutView>[] {
  return [
    { title: "id", cell: ({ id }) => id },
    { title: "flag", cell: ({ flag }) => theme.paint("strong", flag) },
    { title: "environment", cell: ({ environment }) => environment },
    { title: "state", cell: (rollout) => stateInWords(rollout, theme) },
    { title: "share", cell: shareInWords },
    { title: "attempt", align: "right", cell: ({ attempt }) => String(attempt) },
    {
      title: "since",
      cell: ({ endedAt, stageStartedAt, createdAt }) => formatAge(endedAt ?? stageStartedAt ?? createdAt, nowMs),
    },
  ];
}

interface DecisionsOptions {
  readonly all?: boolean;
  readonly attempt?: number;
  readonly limit?: number;
}

async function listDecisions(session: Session, name: string, options: DecisionsOptions): Promise<void> {
  const { client, output } = session;
  const { id } = await findRollout(session, name);
  const query = { only: options.all ? "all" : "changes", attempt: options.attempt };
  const items = await client.list(paths.decisions(id), decisionPage, query, options.limit ?? DEFAULT_LIMIT);
  output.show({ items }, ({ items }, theme) =>
    items.length === 0
      ? theme.paint("faint", "Nothing has been decided yet.")
      : items
          .map((decision) => `${theme.paint("faint", idCell(decision, items))}  ${decisionLine(decision, theme)}`)
          .join("\n"),
  );
}

function idCell({ id }: Decision, all: readonly Decision[]): string {
  return id.padEnd(Math.max(...all.map((each) => each.id.length)));
}

interface ReportOptions {
  readonly format: "md" | "json";
  readonly out?: string;
}

async function report(session: Session, name: string, options: ReportOptions): Promise<void> {
  const { client, output, world } = session;
  const { id } = await findRollout(session, name);
  if (options.format === "json" || (output.isJson && options.out === undefined)) {
    const { value } = await client.get(paths.report(id), rolloutReport, { format: "json" });
    if (options.out === undefined) return output.showJson(value);
    world.writeFile(options.out, `${JSON.stringify(value, null, 2)}\n`);
  } else {
    const text = await client.text(paths.report(id), { format: "md" });
    if (options.out === undefined) return output.show(text.trimEnd(), (markdown) => markdown);
    world.writeFile(options.out, text);
  }
  output.show({ file: options.out }, ({ file }, theme) => `${theme.paint("good", "✓")} Wrote the report to ${file}.`);
}
