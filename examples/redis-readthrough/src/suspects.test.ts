import { describe, expect, it } from "vitest";
import { createSuspects } from "./suspects.ts";

describe("a session that the cache was not told about", () => {
  it("is suspect until its cached copy has expired", () => {
    const suspects = createSuspects({ ttlMs: 100 });
    suspects.add("s-1", 0);
    expect([suspects.has("s-1", 99), suspects.has("s-1", 100), suspects.has("s-2", 0)]).toEqual([true, false, false]);
  });

  it("is suspect from its last change on", () => {
    const suspects = createSuspects({ ttlMs: 100 });
    suspects.add("s-1", 0);
    suspects.add("s-1", 50);
    expect(suspects.has("s-1", 120)).toBe(true);
  });

  it("is trusted again once the cache was told", () => {
    const suspects = createSuspects({ ttlMs: 100 });
    suspects.add("s-1", 0);
    suspects.clear("s-1");
    expect(suspects.has("s-1", 1)).toBe(false);
  });

  it("is not forgotten for want of room: then all are suspect for a while", () => {
    const suspects = createSuspects({ ttlMs: 100, limit: 2 });
    for (const session of ["s-1", "s-2", "s-3"]) suspects.add(session, 0);
    expect(suspects.has("s-3", 99)).toBe(true);
    expect(suspects.has("another", 99)).toBe(true);
    expect(suspects.has("another", 100)).toBe(false);
  });

  it("leaves room for others when it has expired", () => {
    const suspects = createSuspects({ ttlMs: 100, limit: 1 });
    suspects.add("s-1", 0);
    suspects.add("s-2", 100);
    expect([suspects.has("s-2", 150), suspects.has("another", 150)]).toEqual([true, false]);
  });
});
