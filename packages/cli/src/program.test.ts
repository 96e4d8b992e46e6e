import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { createProgram } from "./program.ts";
import { run } from "./run.ts";
import { summaryOf } from "./summary.ts";
import { createTestWorld } from "./test-world.ts";

function allCommands(parent: Command): Command[] {
  return parent.commands.flatMap((command) => [command, ...allCommands(command)]);
}

const { world } = createTestWorld();

describe("a list of commands", () => {
  it.each(allCommands(createProgram(world, () => undefined)).map((command) => [summaryOf(command), command] as const))(
    "says in one line of one kind what each does: %s",
    (summary) => {
      expect(summary).toMatch(/^[a-z].*[^.]$/);
    },
  );
});

describe("the help", () => {
  it.each([80, 100, 200])("fits into a window of %i columns and never grows wider than 110", async (columns) => {
    const { world, out } = createTestWorld();
    expect(await run(["--help"], { ...world, stdout: { ...world.stdout, columns } })).toBe(0);
    for (const line of out().split("\n")) expect(line.length).toBeLessThanOrEqual(Math.min(columns, 110));
    expect(out()).toMatch(/^ {2}130 {2}interrupted by Ctrl-C/m);
  });
});
