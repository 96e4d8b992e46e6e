import type { Argument, Command, Option } from "commander";
import { EXAMPLES } from "./examples.ts";
import { EXIT_CODE_MEANINGS, INTERRUPTED, INTERRUPTED_MEANING } from "./exit-code.ts";
import { summaryOf } from "./summary.ts";

const ROLLOUT_CHANGE = "`RolloutChange`; with `--wait`, its `receipt` is the last one seen";

const REPLAY = "`{ record: Decision, replay: { same, comparison, recordedEngine, differences, decision } }`";

/** What a command prints with `--json`: names are schemas of the admin API, in /openapi.json. */
const JSON_ANSWERS: Readonly<Record<string, string>> = {
  kill: "`FlagChange`; with `--wait`, its `receipt` is the last one seen",
  restore: "`FlagChange`",
  reshuffle: "`FlagChange`",
  "flag list": "`{ environment, items: [{ flag: Flag, configuration: ConfigurationView or null }] }`",
  "flag show":
    "`{ flag: Flag, environments: [{ environment, connectedInstances, configuration: ConfigurationView, exposures: Exposures or null }] }`",
  "flag create": "`Flag`",
  "flag set":
    "`{ environment, flag, before: ConfigurationView, after: ConfigurationView, receipt }`; `receipt` is null without `--wait`",
  "flag archive": "`Flag`",
  "segment list": "`{ items: [Segment] }`",
  "segment show": "`Segment`",
  "segment set": "`Segment`",
  "segment delete": "`{ deleted }`",
  evaluate: "`{ environment, position, flags }`, each flag with its `trace`",
  "rollout create": "`RolloutView`",
  "rollout tick": "`RolloutView`",
  "rollout status": "`{ rollout: RolloutView, decisions: [Decision] }`, newest first",
  "rollout watch":
    "one line per change: `{ rollout: RolloutView, decisions: [Decision] }` with the decisions that are new, none at first",
  "rollout start": ROLLOUT_CHANGE,
  "rollout promote": ROLLOUT_CHANGE,
  "rollout pause": ROLLOUT_CHANGE,
  "rollout resume": ROLLOUT_CHANGE,
  "rollout rollback": ROLLOUT_CHANGE,
  "rollout approve": ROLLOUT_CHANGE,
  "rollout reject": ROLLOUT_CHANGE,
  "rollout abort": ROLLOUT_CHANGE,
  "rollout retry": ROLLOUT_CHANGE,
  "rollout list": "`{ items: [RolloutView] }`",
  "rollout decisions": "`{ items: [Decision] }`, newest first",
  "rollout report": "`RolloutReport`; with `--out`, `{ file }`",
  "rollout replay": REPLAY,
  replay: REPLAY,
  "rollout what-if":
    "`{ rollout, attempt, real: { state, course }, other: { state, course, decisions, lastLook, partedAt, lookCount, unknown } }`",
  "gauge post": "`GaugeValue`",
  "webhook list": "`{ items: [Webhook] }`",
  "webhook create": "`WebhookWithSecret`, whose `secret` is shown this once",
  "webhook set": "`Webhook`",
  "webhook disable": "`Webhook`",
  "webhook enable": "`Webhook`",
  "webhook delete": "`{ deleted }`",
  "webhook test": "`Delivery`",
  "webhook deliveries": "`{ items: [Delivery] }`",
  "webhook redeliver": "`{ items: [Delivery] }`",
  "env list": "`{ items: [Environment] }`",
  "env create": "`Environment`",
  instances: "`{ environment, items: [Instance] }`",
  "token list": "`{ items: [Token] }`",
  "token create": "`CreatedToken`, whose `secret` is shown this once",
  "token revoke": "`Token`",
  "audit list": "`{ items: [AuditEntry] }`",
  "audit verify": "`AuditVerification`",
  status: "`{ url, urlFrom, token, environments: [Environment] }`",
  backup: "`Backup` with the `file` it was written to",
  export: "`Export`; with `--out`, `{ file, flags, environments, segments }`",
};

/** `docs/reference/cli.md`, from the same declarations that parse the command line and print its help. */
export function renderReference(program: Command): string {
  const commands = leavesOf(program, []);
  return [
    "# Command line",
    "",
    "Made from `packages/cli/src` by `npm run reference`: change it there. `bunting <command> --help` says the same.",
    "",
    program.description(),
    "",
    "| command | does |",
    "|---|---|",
    ...commands.map(
      ({ name, command }) =>
        `| [\`bunting ${name}\`](#bunting-${name.replaceAll(" ", "-")}) | ${escapeCell(summaryOf(command))} |`,
    ),
    "",
    "## Options of every command",
    "",
    ...optionTable(program.options),
    "",
    "The nearest source wins: an option, then an environment variable, then what a server left on this machine. A token is never an",
    "argument, because arguments can be read by other users and stay in histories. The token of the first-run file",
    "(`<BUNTING_DATA_DIR>/first-run.json`) is sent to this machine alone. Without `--env` and `BUNTING_ENVIRONMENT` the environment is",
    "`production`, and the command says so.",
    "",
    "Answers go to stdout, everything else to stderr. With `--json` stdout holds one JSON document and nothing else (`rollout watch` prints",
    'one a line), and an error is one line on stderr: `{"error":{"code","detail","errors","remedy","requestId","exitCode"}}`. The codes are those of the',
    "[error catalogue](errors.md), and beside them `usage`, `no_token`, `unreachable`, `unexpected_answer`, `not_all_applied`,",
    "`audit_broken`, `not_completed`, `replay_differs`, `not_replayable`, `evidence_gone`, `evidence_unreadable`, `backup_damaged` and `file_not_written`.",
    "",
    "## Exit codes",
    "",
    "| code | means |",
    "|---|---|",
    ...Object.entries(EXIT_CODE_MEANINGS).map(([code, meaning]) => `| ${code} | ${escapeCell(meaning)} |`),
    `| ${INTERRUPTED} | ${INTERRUPTED_MEANING} |`,
    "",
    ...commands.flatMap(renderCommand),
  ].join("\n");
}

interface Leaf {
  /** Without `bunting`: `flag set`. */
  readonly name: string;
  readonly command: Command;
}

function leavesOf(parent: Command, names: readonly string[]): Leaf[] {
  return parent.commands.flatMap((command) => {
    const path = [...names, command.name()];
    return command.commands.length > 0 ? leavesOf(command, path) : [{ name: path.join(" "), command }];
  });
}

function renderCommand({ name, command }: Leaf): string[] {
  const words = command.registeredArguments.map(argumentWord);
  const answer = JSON_ANSWERS[name];
  const examples = EXAMPLES[name] ?? [];
  return [
    `## bunting ${name}`,
    "",
    command.description(),
    "",
    "```text",
    ["bunting", name, ...words, ...(command.options.length > 0 ? ["[options]"] : [])].join(" "),
    "```",
    ...(examples.length === 0 ? [] : ["", "```sh", ...examples, "```"]),
    "",
    ...(command.registeredArguments.length + command.options.length > 0
      ? [...optionTable(command.options, command.registeredArguments), ""]
      : []),
    ...(answer === undefined ? [] : [`With \`--json\`: ${answer}.`, ""]),
  ];
}

function optionTable(options: readonly Option[], words: readonly Argument[] = []): string[] {
  return [
    "| option | means |",
    "|---|---|",
    ...words.map((word) => `| \`${argumentWord(word)}\` | ${escapeCell(word.description)} |`),
    ...options.map((option) => `| \`${escapeCell(option.flags)}\` | ${escapeCell(meaningOf(option))} |`),
  ];
}

function meaningOf({ description, argChoices, defaultValue, mandatory }: Option): string {
  const notes = [
    ...(argChoices ? [`one of ${argChoices.join(", ")}`] : []),
    ...(typeof defaultValue === "string" ? [`default ${defaultValue}`] : []),
    ...(mandatory ? ["required"] : []),
  ];
  return notes.length === 0 ? description : `${description} (${notes.join("; ")})`;
}

function argumentWord(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
