import { LIMITS } from "@bunting/contracts/literals";
import { describe, expect, it } from "vitest";
import { jsonPointer } from "./json-pointer.ts";

describe("RFC 6901 a JSON pointer", () => {
  it("is empty for the whole", () => expect(jsonPointer([])).toBe(""));

  it("escapes tilde and slash", () => expect(jsonPointer(["a/b", "m~n", 0])).toBe("/a~1b/m~0n/0"));

  it("cuts names that are too long to be read, and never within a character", () => {
    expect(jsonPointer(["x".repeat(1000)])).toHaveLength(LIMITS.keyCharacters + 2);
    expect(jsonPointer([`${"x".repeat(LIMITS.keyCharacters - 1)}\u{1f600}`]).isWellFormed()).toBe(true);
  });
});
