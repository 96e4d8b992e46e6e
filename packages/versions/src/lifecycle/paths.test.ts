import { describe, expect, it } from "vitest";
import { fallbacks } from "./fallback.ts";
import { migrationPath } from "./migration-path.ts";
import { mayRestart } from "./restart.ts";

describe("the way of a state from version to version", () => {
  const chain = new Map([
    ["v1", []],
    ["v2", ["v1"]],
    ["v3", ["v2"]],
    ["v4", ["v2", "v3", "v1"]],
  ]);
  it.each([
    ["v1", "v1", []],
    ["v1", "v2", ["v2"]],
    ["v1", "v3", ["v2", "v3"]],
    ["v1", "v4", ["v4"]],
    ["v3", "v1", null],
    ["v9", "v2", null],
  ])("from %s to %s is %j", (from, to, path) => {
    expect(migrationPath(from, to, chain)).toEqual(path);
  });

  it("is asked for where a version does not say what it takes", () => {
    expect(migrationPath("v1", "v2", new Map([["v2", null]]))).toEqual(["v2"]);
    expect(migrationPath("v1", "v2", new Map())).toBeNull();
  });
});

describe("where entities go whose version is out", () => {
  const of = (version: string, entityCount: number, isGood = true) => ({ version, entityCount, isGood });
  it("to where they were, then to the largest, then in order, and never to one that is out", () => {
    const candidates = [of("v1", 0), of("v2", 90), of("v3", 50, false), of("v4", 0)];
    expect(fallbacks(candidates, "v4")).toEqual(["v4", "v2", "v1"]);
    expect(fallbacks(candidates, "v3")).toEqual(["v2", "v1", "v4"]);
    expect(fallbacks(candidates, null)).toEqual(["v2", "v1", "v4"]);
  });

  it("a version that was started again three times in a minute is left alone", () => {
    expect(mayRestart([0, 1_000], 2_000)).toBe(true);
    expect(mayRestart([0, 1_000, 2_000], 59_999)).toBe(false);
    expect(mayRestart([0, 1_000, 2_000], 60_000)).toBe(true);
  });
});
