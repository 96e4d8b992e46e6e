import { describe, expect, it } from "vitest";
import { PLAIN, sampleConfiguration } from "../test-world.ts";
import { differences, renderDifferences } from "./difference.ts";

const before = sampleConfiguration();
const changed = (after: object, from: object = {}) =>
  differences(sampleConfiguration(from), sampleConfiguration(after));
const eu = { id: "eu", when: [{ attribute: "country", op: "in", values: ["FR"] }], serve: { variant: "on" } };
const staff = { id: "staff", when: [], serve: { variant: "on" } };

describe("what changed between two states of a configuration", () => {
  it("is nothing if only the version did", () => {
    expect(changed({ version: 13, updatedAt: "2027-01-01T00:00:00.000Z" })).toEqual([]);
    expect(renderDifferences([], { variants: [], offVariant: "off" }, PLAIN)).toBe("Nothing changed.");
  });

  it.each([
    [{ enabled: false }, "enabled", "yes", "no"],
    [{ offVariant: "on" }, "off variant", "off", "on"],
    [{ bucketBy: ["account", "key"] }, "bucket by", "key", "account, key"],
    [{ pins: { on: ["qa-17"] } }, "pinned to on", "none", "qa-17"],
    [{ prerequisites: [{ flag: "redis", variants: ["on"] }] }, "prerequisites", "none", "redis serves on"],
    [{ rules: [eu] }, "rule eu", "none", "country is one of FR → on"],
    [{ killed: { by: "ada", at: "2026-01-01T00:00:00.000Z", reason: "p99" } }, "killed", "no", "by ada: p99"],
  ])("%j", (after, what, was, is) => {
    expect(changed(after)).toEqual([{ kind: "text", what, before: was, after: is }]);
  });

  it("tells a rule's conditions from what it serves, and their order from both", () => {
    expect(changed({ rules: [{ ...eu, serve: { variant: "off" } }] }, { rules: [eu] })).toEqual([
      { kind: "serve", what: "rule eu", before: { variant: "on" }, after: { variant: "off" } },
    ]);
    expect(changed({ rules: [{ ...eu, when: [] }] }, { rules: [eu] })).toEqual([
      { kind: "text", what: "rule eu", before: "country is one of FR", after: "everyone" },
    ]);
    expect(changed({ rules: [staff, eu] }, { rules: [eu, staff] })).toEqual([
      { kind: "text", what: "order of rules", before: "eu, staff", after: "staff, eu" },
    ]);
    expect(changed({ rules: [staff] }, { rules: [eu, staff] })).toMatchObject([{ what: "rule eu", after: "none" }]);
  });

  it("of a split is two bars under one another", () => {
    const after = sampleConfiguration({ fallthrough: { split: { on: 50, off: 50 } } });
    const view = { variants: ["on", "off"], offVariant: "off" };
    expect(renderDifferences(differences(before, after), view, PLAIN).split("\n")).toEqual([
      `fallthrough  - ${"█".repeat(8)}${"░".repeat(22)}  on 25 %  off 75 %`,
      `             + ${"█".repeat(15)}${"░".repeat(15)}  on 50 %  off 50 %`,
    ]);
  });
});
