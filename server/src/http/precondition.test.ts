import { describe, expect, it } from "vitest";
import { etag, expectedVersion, parseIfMatch } from "./precondition.ts";

describe("If-Match", () => {
  it.each([
    [undefined, "absent"],
    ["*", "any"],
    [" * ", "any"],
    ['"12"', "version"],
    ['"0"', "never"],
    ['"012"', "never"],
    ['W/"12"', "never"],
    ['"abc"', "never"],
    ['""', "never"],
    ['"1","2"', "malformed"],
    ["12", "malformed"],
    ["", "malformed"],
    ['"12', "malformed"],
  ])("%s is read as %s", (header, kind) => {
    expect(parseIfMatch(header).kind).toBe(kind);
  });

  it("reads back the tag of every version", () => {
    for (const version of [1, 12, 999_999_999]) {
      expect(parseIfMatch(etag(version))).toEqual({ kind: "version", version });
    }
  });

  it("compares with nothing, one version, or one that never is", () => {
    expect(expectedVersion({ kind: "absent" })).toBeNull();
    expect(expectedVersion({ kind: "any" })).toBeNull();
    expect(expectedVersion({ kind: "version", version: 3 })).toBe(3);
    expect(expectedVersion({ kind: "never" })).toBe(Number.MAX_SAFE_INTEGER);
  });
});
