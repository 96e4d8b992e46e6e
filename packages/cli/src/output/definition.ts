import type { Flag } from "@bunting/contracts";
import { facts } from "./table.ts";
import type { Theme } from "./theme.ts";
import { formatInstant, formatValue } from "./words.ts";

/** The facts of a definition. */
export function renderDefinition(flag: Flag, theme: Theme): string {
  return facts(
    [
      ["type", `${flag.type}, ${flag.lifecycle}`],
      ["description", flag.description],
      ["owner", flag.owner],
      ["tags", flag.tags.join(", ")],
      [
        "variants",
        Object.entries(flag.variants)
          .map(([name, { value }]) => `${name} = ${formatValue(value)}`)
          .join(", "),
      ],
      ["created", `${formatInstant(flag.createdAt)} UTC, version ${flag.version}`],
      [
        "archived",
        flag.archivedAt === null ? undefined : theme.paint("caution", `${formatInstant(flag.archivedAt)} UTC`),
      ],
    ],
    theme,
  );
}
