import { describe, expect, it } from "vitest";
import { checksum, operation, position, ruleset, rulesetFlag, rulesetSegment } from "./ruleset.ts";

const flag = {
  key: "redis",
  type: "boolean",
  bucketing: 1,
  variants: { on: { value: true }, off: { value: false } },
  enabled: true,
  killed: false,
  offVariant: "off",
  salt: 2 ** 32 - 1,
  bucketBy: ["key"],
  pins: { on: ["qa-17"] },
  prerequisites: [{ flag: "base", variants: ["on"] }],
  rules: [{ id: "staff", when: [{ segment: "staff" }], serve: { variant: "on" } }],
  fallthrough: { allocation: [["off", 0, 100_000]] },
  metadata: { team: "sessions" },
  checksum: "0123456789ab",
};
const segment = {
  key: "staff",
  when: [{ attribute: "email", op: "ends_with", values: ["@example.com"] }],
  checksum: "0123456789ab",
};

describe("a ruleset entry", () => {
  it("crosses the wire unchanged", () => {
    expect(rulesetFlag.parse(flag)).toEqual(flag);
    expect(rulesetSegment.parse(segment)).toEqual(segment);
  });

  it("loses what is newer than this release, at every depth", () => {
    const newer = {
      ...flag,
      shape: "round",
      variants: { on: { value: true, colour: "green" }, off: { value: false } },
      rules: [{ ...flag.rules[0], when: [{ segment: "staff", negate: false }], since: 1 }],
    };
    expect(rulesetFlag.parse(newer)).toEqual(flag);
  });

  it("takes a bucketing algorithm it does not know: its evaluation answers an error", () => {
    expect(rulesetFlag.parse({ ...flag, bucketing: 2 }).bucketing).toBe(2);
  });

  it.each<[string, Record<string, unknown>]>([
    ["a salt beyond 32 bits", { salt: 2 ** 32 }],
    ["nothing to bucket by", { bucketBy: [] }],
    ["an empty allocation", { fallthrough: { allocation: [] } }],
    ["a range that is no triple", { fallthrough: { allocation: [["on", 0]] } }],
    ["half a bucket", { fallthrough: { allocation: [["on", 0, 0.5]] } }],
    ["a percentage, which is the server's matter", { fallthrough: { split: { on: 100 } } }],
    ["a reserved key", { key: "__proto__" }],
    ["no checksum", { checksum: undefined }],
  ])("is refused with %s", (_, change) => {
    expect(rulesetFlag.safeParse({ ...flag, ...change }).success).toBe(false);
  });
});

it.each([
  ["0123456789ab", true],
  ["0123456789aB", false],
  ["0123456789a", false],
  ["0123456789abc", false],
])("a checksum is 48 bits in lower-case hex: %s", (text, good) => {
  expect(checksum.safeParse(text).success).toBe(good);
});

it("a position is an epoch and a revision from 0", () => {
  expect(position.safeParse({ epoch: "e", revision: 0 }).success).toBe(true);
  expect(position.safeParse({ epoch: "", revision: 0 }).success).toBe(false);
  expect(position.safeParse({ epoch: "e", revision: -1 }).success).toBe(false);
});

it("a ruleset of nothing is whole", () => {
  const empty = { epoch: "e", revision: 0, checksum: "000000000000", flags: {}, segments: {} };
  expect(ruleset.parse(empty)).toEqual(empty);
});

it("an operation puts or removes a flag or a segment, and puts only what it says it is", () => {
  const accepts = (value: unknown): boolean => operation.safeParse(value).success;
  expect(accepts({ op: "put", kind: "flag", key: "redis", value: flag })).toBe(true);
  expect(accepts({ op: "put", kind: "segment", key: "staff", value: segment })).toBe(true);
  expect(accepts({ op: "remove", kind: "flag", key: "redis" })).toBe(true);
  expect(accepts({ op: "remove", kind: "segment", key: "staff" })).toBe(true);
  expect(accepts({ op: "put", kind: "flag", key: "staff", value: segment })).toBe(false);
  expect(accepts({ op: "put", kind: "flag", key: "redis" })).toBe(false);
  expect(accepts({ op: "remove", kind: "rule", key: "staff" })).toBe(false);
});
