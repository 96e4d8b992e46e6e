import { describe, expect, it } from "vitest";
import { createFlagRequest } from "./admin.ts";
import { flag, flagDraft, flagPatch } from "./flag.ts";
import { FLAG_TYPES, LIFECYCLES, LIMITS } from "./literals.ts";

const accepts = (schema: { safeParse(value: unknown): { success: boolean } }, value: unknown): boolean =>
  schema.safeParse(value).success;
const many = <Value>(count: number, value: Value): Record<string, Value> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`v${index}`, value]));

describe("a new flag", () => {
  it("needs nothing but a key", () => {
    expect(flagDraft.parse({ key: "redis-readthrough" })).toEqual({
      key: "redis-readthrough",
      type: "boolean",
      description: "",
      owner: "",
      tags: [],
      lifecycle: "release",
      metadata: {},
    });
  });

  it.each(FLAG_TYPES)("may be a %s", (type) => expect(flagDraft.parse({ key: "a", type }).type).toBe(type));
  it.each(LIFECYCLES)("may live as %s", (lifecycle) => expect(accepts(flagDraft, { key: "a", lifecycle })).toBe(true));

  it.each<[string, string, unknown]>([
    ["an unknown type", "type", "integer"],
    ["an unknown lifecycle", "lifecycle", "forever"],
    ["a reserved key", "key", "constructor"],
    ["too long a description", "description", "x".repeat(LIMITS.descriptionBytes + 1)],
    ["too long an owner", "owner", "x".repeat(LIMITS.nameBytes + 1)],
    ["an empty tag", "tags", [""]],
    ["too long a tag", "tags", ["x".repeat(LIMITS.tagBytes + 1)]],
    ["too many tags", "tags", Array(LIMITS.tagsPerFlag + 1).fill("x")],
    ["metadata that nests", "metadata", { team: { name: "x" } }],
    ["too much metadata", "metadata", many(LIMITS.metadataEntries + 1, 1)],
    ["no variant", "variants", {}],
    ["a bare value for a variant", "variants", { on: true }],
    ["a variant with a weight", "variants", { on: { value: true, weight: 50 } }],
    ["a reserved variant key", "variants", { constructor: { value: true } }],
    ["too many variants", "variants", many(LIMITS.variantsPerFlag + 1, { value: 1 })],
    ["a salt", "salt", 7],
    ["an archival", "archivedAt", null],
  ])("is refused with %s", (_, field, value) => {
    expect(accepts(flagDraft, { key: "a", [field]: value })).toBe(false);
  });

  it.each([[true], ["text"], [1.5], [null], [{ nested: [1] }], [[1, 2]]])("may have a variant worth %j", (value) => {
    expect(accepts(flagDraft, { key: "a", type: "json", variants: { only: { value } } })).toBe(true);
  });

  it("takes settings per environment, by environment key", () => {
    const request = { key: "a", environments: { staging: { fallthrough: { variant: "on" } } } };
    expect(createFlagRequest.parse(request).environments).toEqual(request.environments);
    expect(createFlagRequest.parse({ key: "a" }).environments).toEqual({});
    expect(accepts(createFlagRequest, { key: "a", environments: { "no key": {} } })).toBe(false);
    expect(accepts(createFlagRequest, { key: "a", environments: { staging: { percent: 5 } } })).toBe(false);
  });
});

describe("a change of a flag", () => {
  it("may touch one field and leaves the others out, without defaults", () => {
    expect(flagPatch.parse({ owner: "sessions-team" })).toEqual({ owner: "sessions-team" });
    expect(flagPatch.parse({})).toEqual({});
  });

  it("retires a variant by null", () => {
    expect(accepts(flagPatch, { variants: { old: null, on: { description: "x" } } })).toBe(true);
  });

  it.each(["key", "type", "version", "archivedAt", "createdAt", "retiredVariants", "salt"])(
    "does not take %s, which is not editable",
    (field) => {
      expect(accepts(flagPatch, { [field]: "x" })).toBe(false);
    },
  );
});

describe("a flag as the server shows it", () => {
  it("has its dates as instants and its version from 1", () => {
    const shown = {
      ...flagDraft.parse({ key: "a" }),
      variants: { on: { value: true }, off: { value: false } },
      retiredVariants: {},
      archivedAt: null,
      createdAt: "2026-01-02T03:04:05.678Z",
      version: 1,
    };
    expect(flag.parse(shown)).toEqual(shown);
    expect(accepts(flag, { ...shown, version: 0 })).toBe(false);
    expect(accepts(flag, { ...shown, createdAt: "yesterday" })).toBe(false);
    expect(accepts(flag, { ...shown, archivedAt: undefined })).toBe(false);
  });
});
