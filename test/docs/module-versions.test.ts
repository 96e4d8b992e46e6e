import { FAILURE_CODES } from "@bunting/versions";
import { describe, expect, it } from "vitest";
import { resolveOptions } from "../../packages/versions/src/options.ts";
import { read } from "../architecture/repository.ts";
import { blocksOf } from "./blocks.ts";

const guide = read("docs/guides/module-versions.md");

/** The cells of each row of the tables below a heading. */
function rowsBelow(heading: string): readonly (readonly string[])[] {
  const section = guide.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  return [...section.matchAll(/^\| (.+) \|$/gm)].map(([, row]) => (row ?? "").split(" | "));
}

function namesIn(cell: string | undefined): readonly string[] {
  return [...(cell ?? "").matchAll(/`(\w+)`/g)].map(([, name]) => name ?? "");
}

describe("the guide to versions of a module", () => {
  it("shows the plan that its commands use", () => {
    const [plan = ""] = blocksOf(guide).flatMap(({ language, text }) => (language === "json" ? [text] : []));
    expect(plan).toBe(read("examples/rollout-plans/game-logic.json"));
  });

  it("says of every failure what happens", () => {
    const told = rowsBelow("When a version breaks").flatMap(([code]) => namesIn(code));
    expect(told.toSorted()).toEqual([...FAILURE_CODES].sort());
  });

  it("lists every limit with its default, and every option", () => {
    const resolved = resolveOptions({ versions: { v1: "file:///v1.js" } });
    const rows = rowsBelow("Options");
    const defaults = new Map(rows.flatMap(([names, value]) => namesIn(names).map((name) => [name, value])));
    for (const [name, value] of Object.entries(resolved.limits))
      expect([name, defaults.get(name)]).toEqual([name, String(value)]);
    expect(defaults.get("checkpointEveryMs")).toBe(String(resolved.checkpointEveryMs));
    expect(resolved).toMatchObject({
      config: null,
      control: null,
      flag: null,
      promotion: null,
      unusedThresholdMs: null,
    });
    const known = /known are (.+)$/.exec(refusalOf({ versions: {}, unheardOf: 1 }))?.[1]?.split(", ") ?? [];
    const options = [...defaults.keys()].filter((name) => !(name in resolved.limits));
    expect(options.toSorted()).toEqual(known.filter((name) => name !== "limits").sort());
  });
});

function refusalOf(options: object): string {
  try {
    resolveOptions(options as Parameters<typeof resolveOptions>[0]);
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
