import {
  type ConfigurationView,
  configurationPage,
  type Flag,
  flagPage,
  flag as flagSchema,
  type Json,
  LIFECYCLES,
} from "@bunting/contracts";
import { type Command, Option } from "commander";
import type { Action } from "../action.ts";
import { type Assignment, collectAssignments, collectList, parseKey, parseValue, uniqueEntries } from "../arguments.ts";
import { usageFailure } from "../failure.ts";
import { bar, legend, sharesOf } from "../output/bar.ts";
import { stateOf } from "../output/configuration.ts";
import { table } from "../output/table.ts";
import type { Theme } from "../output/theme.ts";
import { counted, formatInstant, formatValue } from "../output/words.ts";
import { paths } from "../paths.ts";
import { confirmed, parseJson, readJsonFile, type Session } from "../session.ts";
import { addFlagSetCommand } from "./flag-set.ts";
import { addFlagShowCommand } from "./flag-show.ts";

export function addFlagCommands(program: Command, action: Action): void {
  const flag = program
    .command("flag")
    .summary("list, create, show, set and archive flags")
    .description("Definitions of flags, and their configuration in one environment.");

  flag
    .command("list")
    .description("List flags with their state and allocation in one environment.")
    .option("--tag <tag>", "only flags with this tag")
    .option("--search <text>", "only keys and descriptions that contain this")
    .option("--archived", "the archived ones instead")
    .action(action(listFlags));

  addFlagShowCommand(flag, action);

  flag
    .command("create")
    .summary("create a flag in every environment")
    .description(
      "Create a flag in every environment, with everyone on its off variant. Boolean flags get the variants on and off.",
    )
    .argument("<flag>", "its key, never to be used again", parseKey)
    .addOption(
      new Option("--type <type>", "what its values are")
        .choices(["boolean", "string", "number", "json"])
        .default("boolean"),
    )
    .option(
      "--variant <name=value>",
      "a variant; repeatable; the off variant is the one named off, else the first",
      collectAssignments,
    )
    .option("--description <text>", "what it decides")
    .option("--owner <name>", "who to ask")
    .option("--tag <tags>", "tags, separated by commas; repeatable", collectList)
    .addOption(new Option("--lifecycle <lifecycle>", "why it exists").choices(LIFECYCLES))
    .option("--file <path>", "the whole definition as JSON instead, - for standard input")
    .action(action(createFlag));

  addFlagSetCommand(flag, action);

  flag
    .command("archive")
    .summary("take a flag out of every environment, for good")
    .description(
      "Take a flag out of every environment, for good. SDKs then answer with the caller's default; the key stays taken.",
    )
    .argument("<flag>", "key of the flag", parseKey)
    .option("-y, --yes", "do not ask for confirmation")
    .action(action(archiveFlag));
}

interface FlagListOptions {
  readonly tag?: string;
  readonly search?: string;
  readonly archived?: boolean;
}

interface ListedFlag {
  readonly flag: Flag;
  /** Null where the environment has none: the flag is archived. */
  readonly configuration: ConfigurationView | null;
}

async function listFlags(session: Session, options: FlagListOptions): Promise<void> {
  const { client, output } = session;
  const environment = session.environment();
  const query = { tag: options.tag, search: options.search, archived: options.archived ? "true" : "false" };
  const [flags, configurations] = await Promise.all([
    client.list(paths.flags, flagPage, query),
    options.archived ? [] : client.list(paths.configurations(environment), configurationPage),
  ]);
  const byFlag = new Map(configurations.map((configuration) => [configuration.flag, configuration]));
  const items = flags.map((flag): ListedFlag => ({ flag, configuration: byFlag.get(flag.key) ?? null }));
  const selected = options.tag !== undefined || options.search !== undefined || options.archived;
  output.show({ environment, items }, ({ items }, theme) =>
    renderFlagList(items, selected ? "No flag fits." : "No flags yet: `bunting flag create <key>` makes one.", theme),
  );
}

const LIST_BAR_WIDTH = 20;

function renderFlagList(items: readonly ListedFlag[], whenEmpty: string, theme: Theme): string {
  const columns = [
    { title: "flag", cell: ({ flag }: ListedFlag) => theme.paint("strong", flag.key) },
    { title: "type", cell: ({ flag }: ListedFlag) => flag.type },
    {
      title: "state",
      cell: ({ configuration }: ListedFlag) => (configuration ? stateOf(configuration, theme) : "archived"),
    },
    { title: "everyone else gets", cell: (listed: ListedFlag) => allocationCell(listed, theme) },
    {
      title: "rules",
      align: "right" as const,
      cell: ({ configuration }: ListedFlag) => String(configuration?.rules.length || ""),
    },
    { title: "tags", cell: ({ flag }: ListedFlag) => flag.tags.join(", ") },
  ];
  const drawn = table(items, columns, theme, whenEmpty);
  return items.length === 0 ? drawn : `${drawn}\n${theme.paint("faint", counted(items.length, "flag"))}`;
}

function allocationCell({ flag, configuration }: ListedFlag, theme: Theme): string {
  if (!configuration) return "";
  const shares = sharesOf(configuration.fallthrough, Object.keys(flag.variants), configuration.offVariant);
  return `${bar(shares, LIST_BAR_WIDTH, theme)}  ${legend(shares, theme)}`;
}

interface FlagCreateOptions {
  readonly type: Flag["type"];
  readonly variant?: readonly Assignment[];
  readonly description?: string;
  readonly owner?: string;
  readonly tag?: readonly string[];
  readonly lifecycle?: string;
  readonly file?: string;
}

async function createFlag(session: Session, key: string, options: FlagCreateOptions): Promise<void> {
  const { client, output } = session;
  const body = options.file === undefined ? draftOf(key, options) : { ...readJsonFile(options.file, session), key };
  const { value } = await client.write({ method: "POST", path: paths.flags, body, schema: flagSchema });
  output.show(value, (flag, theme) => {
    const variants = Object.entries(flag.variants).map(([name, { value }]) => `${name} = ${formatValue(value)}`);
    return [
      `${theme.paint("good", "✓")} Created ${theme.paint("strong", flag.key)} (${flag.type}: ${variants.join(", ")}) in every environment.`,
      theme.paint(
        "faint",
        `Everyone is on the off variant. Next: bunting flag set ${flag.key} ${flag.type === "boolean" ? "--on 1" : "--split …"}`,
      ),
    ].join("\n");
  });
}

function draftOf(key: string, { type, variant, description, owner, tag, lifecycle }: FlagCreateOptions): object {
  return {
    key,
    type,
    ...(description !== undefined && { description }),
    ...(owner !== undefined && { owner }),
    ...(tag !== undefined && { tags: tag }),
    ...(lifecycle !== undefined && { lifecycle }),
    ...(variant !== undefined && {
      variants: uniqueEntries(variant.map(({ name, value }) => [name, { value: valueOfType(type, name, value) }])),
    }),
  };
}

/**
 * The text itself for a string flag; whatever JSON says for the others, and the server checks that it is of the type. For a JSON
 * flag text would pass, and a value can never be changed: so it must be meant.
 */
function valueOfType(type: Flag["type"], variant: string, text: string): Json {
  if (type === "json") return parseJson(text, `The value of ${variant}`);
  return type === "string" ? text : parseValue(text);
}

async function archiveFlag(session: Session, key: string, options: { readonly yes?: boolean }): Promise<void> {
  const { client, output } = session;
  const { value: flag, etag } = await client.get(paths.flag(key), flagSchema);
  if (flag.archivedAt !== null) throw usageFailure(`${key} is archived since ${formatInstant(flag.archivedAt)}.`);
  await confirmed(options.yes, `Take ${key} out of every environment, for good?`, session);
  const { value } = await client.write({ method: "DELETE", path: paths.flag(key), schema: flagSchema, ifMatch: etag });
  output.show(
    value,
    ({ key: archived }, theme) => `${theme.paint("good", "✓")} Archived ${archived}. Its key stays taken.`,
  );
}
