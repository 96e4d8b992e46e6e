import { type Environment, environmentPage, environment as environmentSchema } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { parseKey } from "../arguments.ts";
import { type Column, table } from "../output/table.ts";
import type { Theme } from "../output/theme.ts";
import { formatCount } from "../output/words.ts";
import { paths } from "../paths.ts";
import type { Session } from "../session.ts";

export function addEnvironmentCommands(program: Command, action: Action): void {
  const environment = program
    .command("env")
    .summary("list and create environments")
    .description("Environments: each with its own configurations, tokens and revision.");

  environment
    .command("list")
    .description("List environments with their revision and connected instances.")
    .action(action(listEnvironments));

  environment
    .command("create")
    .summary("create an environment")
    .description("Create an environment. Every flag starts in it enabled, with everyone on the off variant.")
    .argument("<environment>", "its key", parseKey)
    .option("--name <text>", "a name for people")
    .action(action(createEnvironment));
}

async function listEnvironments({ client, output }: Session): Promise<void> {
  const items = await client.list(paths.environments, environmentPage);
  output.show({ items }, ({ items }, theme) => table(items, environmentColumns(theme), theme, "No environments."));
}

async function createEnvironment(
  { client, output }: Session,
  key: string,
  { name }: { readonly name?: string },
): Promise<void> {
  const { value } = await client.write({
    method: "POST",
    path: paths.environments,
    body: { key, ...(name !== undefined && { name }) },
    schema: environmentSchema,
  });
  output.show(value, (created, theme) =>
    [
      `${theme.paint("good", "✓")} Created environment ${theme.paint("strong", created.key)}.`,
      theme.paint(
        "faint",
        `Applications need a token: bunting token create <name> --kind server --scope ${created.key}`,
      ),
    ].join("\n"),
  );
}

/** Also what `status` shows. */
export function environmentColumns(theme: Theme): Column<Environment>[] {
  return [
    { title: "environment", cell: ({ key }) => theme.paint("strong", key) },
    { title: "name", cell: ({ name }) => name },
    { title: "flags", align: "right", cell: ({ flagCount }) => formatCount(flagCount) },
    { title: "instances", align: "right", cell: ({ connectedInstances }) => formatCount(connectedInstances) },
    { title: "revision", align: "right", cell: ({ position }) => String(position.revision) },
    { title: "checksum", cell: ({ checksum }) => theme.paint("faint", checksum) },
    { title: "state", cell: ({ archivedAt }) => (archivedAt === null ? "" : theme.paint("caution", "archived")) },
  ];
}
