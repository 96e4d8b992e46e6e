import { rolloutView } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { parseKey } from "../arguments.ts";
import { paths } from "../paths.ts";
import { findRollout } from "../rollout-reference.ts";
import type { Session } from "../session.ts";

export function addRolloutTickCommand(rollout: Command, action: Action): void {
  rollout
    .command("tick")
    .summary("tick an item of the checklist, by name")
    .description("Tick an item of the checklist that stands before the start. Your name stands beside it.")
    .argument("<rollout>", "its id, or the key of its flag", parseKey)
    .argument("<item>", "the item, as `bunting rollout status` shows it")
    .option("--undo", "take the tick back")
    .action(action(tick));
}

async function tick(session: Session, name: string, item: string, options: { readonly undo?: boolean }): Promise<void> {
  const { client, output } = session;
  const { id } = await findRollout(session, name);
  const { value } = await client.write({
    method: "POST",
    path: paths.checklist(id),
    body: { item, ticked: options.undo !== true },
    schema: rolloutView,
  });
  output.show(value, ({ checklist }, theme) =>
    checklist
      .map(({ item, by }) =>
        by === null
          ? `${theme.paint("caution", "○")} ${item}`
          : `${theme.paint("good", "✓")} ${item}  ${theme.paint("faint", by)}`,
      )
      .join("\n"),
  );
}
