import { describe, expect, it } from "vitest";
import { decideReadiness, LAG_LIMIT_MS } from "./readiness.ts";

const fine = { isDraining: false, readOnly: null, lagMs: 0, isLowOnSpace: false } as const;

describe("readiness", () => {
  it.each([
    [fine, { status: "ready" }],
    [
      { ...fine, isLowOnSpace: true },
      { status: "ready", warning: "disk_low" },
    ],
    [{ ...fine, lagMs: LAG_LIMIT_MS }, { status: "ready" }],
    [
      { ...fine, lagMs: LAG_LIMIT_MS + 1 },
      { status: "not_ready", reason: "overloaded" },
    ],
    [
      { ...fine, readOnly: "storage_read_only" },
      { status: "not_ready", reason: "storage_read_only" },
    ],
    [
      { ...fine, readOnly: "storage_full" },
      { status: "not_ready", reason: "storage_full" },
    ],
    [
      { ...fine, isDraining: true },
      { status: "not_ready", reason: "draining" },
    ],
    [
      { isDraining: true, readOnly: "storage_full", lagMs: 9_999, isLowOnSpace: true },
      { status: "not_ready", reason: "draining" },
    ],
  ] as const)("of %o", (condition, expected) => {
    expect(decideReadiness(condition)).toEqual(expected);
  });
});
