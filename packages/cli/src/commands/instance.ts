import { type Instance, instancePage } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { type Column, table } from "../output/table.ts";
import type { Theme } from "../output/theme.ts";
import { counted, formatAge, formatCount } from "../output/words.ts";
import { paths } from "../paths.ts";
import type { Session } from "../session.ts";

export function addInstanceCommands(program: Command, action: Action): void {
  program
    .command("instances")
    .summary("list the SDKs of an environment, and how current each is")
    .description(
      "List the SDKs of an environment, and how current each is: the revision it has applied, and how many it is behind.",
    )
    .option("--behind", "only those that are behind or not connected")
    .action(action(listInstances));
}

async function listInstances(session: Session, options: { readonly behind?: boolean }): Promise<void> {
  const { client, output, world } = session;
  const environment = session.environment();
  const all = await client.list(paths.instances(environment), instancePage);
  const items = options.behind ? all.filter(({ backlog, connected }) => backlog > 0 || !connected) : all;
  output.show({ environment, items }, ({ items }, theme) => {
    const whenEmpty = options.behind ? "Every instance is connected and current." : "No instance is known.";
    const drawn = table(items, instanceColumns(world.now(), theme), theme, whenEmpty);
    return items.length === 0 ? drawn : `${drawn}\n${theme.paint("faint", summary(items))}`;
  });
}

function instanceColumns(nowMs: number, theme: Theme): Column<Instance>[] {
  return [
    { title: "instance", cell: ({ instance }) => theme.paint("strong", instance) },
    { title: "boot", cell: ({ boot }) => boot },
    { title: "sdk", cell: ({ sdk }) => sdk },
    { title: "by", cell: ({ transport }) => transport },
    {
      title: "state",
      cell: ({ connected }) => (connected ? theme.paint("good", "connected") : theme.paint("caution", "gone")),
    },
    { title: "revision", align: "right", cell: ({ acknowledged }) => String(acknowledged) },
    {
      title: "behind",
      align: "right",
      cell: ({ backlog }) => (backlog === 0 ? "" : theme.paint("caution", formatCount(backlog))),
    },
    { title: "last seen", cell: ({ lastSeenAt }) => formatAge(lastSeenAt, nowMs) },
  ];
}

function summary(items: readonly Instance[]): string {
  const behind = items.filter(({ backlog }) => backlog > 0).length;
  return `${counted(items.length, "instance")}${behind > 0 ? `, ${formatCount(behind)} behind` : ", all current"}`;
}
