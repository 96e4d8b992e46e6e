import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { environmentKey, flagKey, instant, json, ruleId, segmentKey, text, variantKey } from "./key.ts";
import { LIMITS, RESERVED_KEYS } from "./literals.ts";

const nouns = { flagKey, variantKey, segmentKey, environmentKey, ruleId };

describe.each(Object.entries(nouns))("a %s", (_, schema) => {
  it.each(["a", "9", "redis-readthrough", "Checkout.v2_1", "x".repeat(LIMITS.keyCharacters)])("may be %j", (key) => {
    expect(schema.parse(key)).toBe(key);
  });

  it.each([
    ["empty", ""],
    ["one character too long", "x".repeat(LIMITS.keyCharacters + 1)],
    ["with a leading hyphen", "-a"],
    ["with a leading dot", ".."],
    ["with a leading underscore", "_a"],
    ["with a slash", "a/b"],
    ["with a space", "a b"],
    ["with a colon", "a:b"],
    ["with a line break at its end", "a\n"],
    ["outside ASCII", "é"],
    ["with NUL", "a\0"],
    ["not a string", 7],
    ["missing", undefined],
  ])("is refused when %s", (_, key) => {
    expect(schema.safeParse(key).success).toBe(false);
  });

  it.each(RESERVED_KEYS)("is never %s, which names part of the prototype machinery", (key) => {
    expect(schema.safeParse(key).success).toBe(false);
  });

  it("may contain a reserved name within a longer one", () => {
    expect(schema.safeParse("constructor-v2").success).toBe(true);
  });
});

it("a refusal of a key says which rule it breaks", () => {
  expect(flagKey.safeParse("a b").error?.issues[0]?.message).toMatch(/^A flag key starts with a letter or digit/);
  expect(flagKey.safeParse("constructor").error?.issues[0]?.message).toBe(
    "This name is reserved. Choose another flag key.",
  );
});

describe("text", () => {
  const eight = text(8);

  it.each([
    ["8 ASCII characters", "12345678", true],
    ["9 ASCII characters", "123456789", false],
    ["4 characters of 2 bytes", "éééé", true],
    ["5 characters of 2 bytes", "ééééé", false],
    ["2 characters of 3 bytes", "漢字", true],
    ["3 characters of 3 bytes", "漢字漢", false],
    ["2 characters of 4 bytes", "😀😀", true],
    ["2 characters of 4 bytes and one more", "😀😀!", false],
    ["nothing", "", true],
  ])("counts bytes of UTF-8, not characters: %s", (_, value, fits) => {
    expect(eight.safeParse(value).success).toBe(fits);
  });

  it.each([
    ["NUL", "a\0b", "NUL characters are not allowed."],
    ["a lone high surrogate", "a\ud800", "Lone surrogates are not allowed."],
    ["a lone low surrogate", "\udc00a", "Lone surrogates are not allowed."],
    ["surrogates in the wrong order", "\udc00\ud800", "Lone surrogates are not allowed."],
    ["too many bytes", "123456789", "At most 8 bytes of UTF-8."],
  ])("refuses %s in words", (_, value, message) => {
    expect(eight.safeParse(value).error?.issues.map((issue) => issue.message)).toContain(message);
  });

  it("leaves control characters and bidirectional marks to whoever shows them", () => {
    expect(eight.parse("a\n\t\u202e")).toBe("a\n\t\u202e");
  });
});

describe("instant", () => {
  it.each(["2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05Z"])("takes %s", (value) => {
    expect(instant.parse(value)).toBe(value);
  });

  it.each(["2026-01-02", "2026-01-02T03:04:05.678+01:00", "2026-02-30T00:00:00Z", 1767322800000, "now"])(
    "refuses %j",
    (value) => {
      expect(instant.safeParse(value).success).toBe(false);
    },
  );
});

describe("json takes", () => {
  it("what JSON.parse makes", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => json.safeParse(JSON.parse(JSON.stringify(value))).success));
  });

  it("what z.json() takes, and nothing else", () => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: true });
    fc.assert(
      fc.property(anything, (value) => {
        expect(json.safeParse(value).success).toBe(z.json().safeParse(value).success);
      }),
      { numRuns: 2_000 },
    );
  });
});
