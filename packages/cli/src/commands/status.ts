import { environmentPage, selfResponse } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { facts, table } from "../output/table.ts";
import { paths } from "../paths.ts";
import type { Session } from "../session.ts";
import { environmentColumns } from "./environment.ts";

export function addStatusCommand(program: Command, action: Action): void {
  program
    .command("status")
    .summary("the server, your token, and every environment at a glance")
    .description(
      "The server, your token, and every environment at a glance. Good as a first check: it fails where any other command would.",
    )
    .action(action(showStatus));
}

async function showStatus({ client, output, settings }: Session): Promise<void> {
  const [{ value: self }, environments] = await Promise.all([
    client.get(paths.self, selfResponse),
    client.list(paths.environments, environmentPage),
  ]);
  const { url, urlFrom, tokenFrom } = settings;
  output.show(
    { url, urlFrom, token: { ...self, from: tokenFrom }, environments },
    ({ url, token, environments }, theme) =>
      [
        facts(
          [
            ["server", `${theme.paint("good", "✓")} ${url} ${theme.paint("faint", `(${urlFrom})`)}`],
            [
              "token",
              `${token.name}, ${token.kind} of ${token.environments?.join(", ") ?? "all environments"}${token.roles.length > 0 ? `, signs as ${token.roles.join(", ")}` : ""} ${theme.paint("faint", `(${token.from})`)}`,
            ],
          ],
          theme,
        ),
        table(environments, environmentColumns(theme), theme, "No environments."),
      ].join("\n\n"),
  );
}
