import { exportResponse } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { counted } from "../output/words.ts";
import { paths } from "../paths.ts";
import type { Session } from "../session.ts";

export function addExportCommand(program: Command, action: Action): void {
  program
    .command("export")
    .summary("write everything that people configured as JSON")
    .description(
      "Write everything that people configured as JSON: flags, configurations, segments, environments. No secrets; the order is stable, so two exports can be compared.",
    )
    .option("-o, --out <path>", "a file instead of standard output")
    .action(action(exportAll));
}

async function exportAll({ client, output, world }: Session, options: { readonly out?: string }): Promise<void> {
  const { value } = await client.get(paths.export, exportResponse);
  if (options.out === undefined) return output.showJson(value);
  world.writeFile(options.out, `${JSON.stringify(value, null, 2)}\n`);
  const written = {
    file: options.out,
    flags: value.flags.length,
    environments: value.environments.length,
    segments: value.segments.length,
  };
  output.show(written, ({ file, flags, environments, segments }, theme) => {
    const contents = [counted(flags, "flag"), counted(environments, "environment"), counted(segments, "segment")].join(
      ", ",
    );
    return `${theme.paint("good", "✓")} Wrote ${contents} to ${file}.`;
  });
}
