import { describe, expect, it } from "vitest";
import { PLAIN } from "../test-world.ts";
import { type ExplainedFlag, renderEvaluation } from "./trace.ts";

const result: ExplainedFlag = {
  value: true,
  variant: "on",
  reason: "SPLIT",
  detail: "fallthrough",
  trace: [
    { step: "prerequisite", name: "redis", matched: true },
    {
      step: "rule",
      name: "eu-staff",
      matched: false,
      conditions: [
        { condition: "country in FR, DE", matched: true },
        { condition: "segment staff", matched: false, problem: "unknown segment" },
      ],
    },
    { step: "fallthrough", matched: true, bucketBy: "key", bucket: 18342, variant: "on" },
  ],
};

describe("an evaluation", () => {
  it("is one line without a trace", () => {
    expect(renderEvaluation("redis-readthrough", result, { withTrace: false }, PLAIN)).toBe(
      "redis-readthrough → on  true  SPLIT  fallthrough",
    );
  });

  it("is a tree of steps with one", () => {
    expect(renderEvaluation("redis-readthrough", result, { withTrace: true }, PLAIN).split("\n")).toEqual([
      "redis-readthrough → on  true  SPLIT  fallthrough",
      "├─ ✓ prerequisite redis",
      "├─ ✗ rule eu-staff",
      "│  ├─ ✓ country in FR, DE",
      "│  └─ ✗ segment staff  cannot be judged: unknown segment",
      "└─ ✓ fallthrough (bucket 18,342 of 100,000, by key) → on",
    ]);
  });

  it("without a variant says so, with the error code", () => {
    const unknown: ExplainedFlag = {
      value: null,
      variant: null,
      reason: "ERROR",
      detail: "flag_not_found",
      errorCode: "FLAG_NOT_FOUND",
      trace: [],
    };
    expect(renderEvaluation("nope", unknown, { withTrace: true }, PLAIN)).toBe(
      "nope → no variant  null  ERROR  flag_not_found  FLAG_NOT_FOUND",
    );
  });
});
