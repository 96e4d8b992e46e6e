import type { Command } from "commander";

/** One line of a list of commands: what the command says of itself in short, else the first sentence of its description. */
export function summaryOf(command: Command): string {
  const [first = ""] = command.description().split(/\.(?:\s|$)/);
  return command.summary() || `${first.charAt(0).toLowerCase()}${first.slice(1)}`;
}
