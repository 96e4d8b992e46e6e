import { expect, it } from "vitest";
import { createProgram } from "./program.ts";
import { renderReference } from "./reference.ts";
import { createTestWorld } from "./test-world.ts";

const { world } = createTestWorld();
const page = renderReference(createProgram(world, () => undefined));
const sections = page.split(/^## /m).filter((section) => section.startsWith("bunting "));

it("has a section for every command, each with what it prints as JSON", () => {
  expect(sections.length).toBeGreaterThan(20);
  const silent = sections
    .filter((section) => !section.includes("With `--json`"))
    .map((section) => section.split("\n")[0]);
  expect(silent).toEqual(["bunting serve"]);
});

it("explains every option", () => {
  expect(page.match(/^\| `[^`]+` \| *\|$/gm)).toBeNull();
});
