import { namedGuardrails } from "@bunting/gating";
import { describe, expect, it } from "vitest";
import { courseOf, outsideSamples } from "./course.ts";
import { sampleDecision, sampleRollout, sampleVerdict } from "./test-world.ts";

const START = "2026-01-31T11:00:00.000Z";
const at = (minutes: number, differences: object) =>
  sampleDecision({ at: new Date(Date.parse(START) + minutes * 60_000).toISOString(), ...differences });

describe("the course of an attempt", () => {
  it("has a share for each stage, and an end", () => {
    const decisions = [
      at(0, { action: "start", stage: 0 }),
      at(3, { action: "none", stage: 0 }),
      at(5, { action: "promote", stage: 0 }),
      at(10, { action: "promote", stage: 1 }),
      at(12, { action: "pause", stage: 2 }),
      at(14, { action: "rollback", stage: 2 }),
    ];
    expect(courseOf(decisions, sampleRollout().plan, START)).toEqual([
      { atSeconds: 0, percent: 1 },
      { atSeconds: 300, percent: 5 },
      { atSeconds: 600, percent: 25 },
      { atSeconds: 840, percent: 0, end: "rolled_back" },
    ]);
  });

  it.each([
    ["complete", { percent: 100, end: "completed" }],
    ["kill", { percent: 0, end: "killed" }],
    ["abort", { percent: 0, end: "aborted" }],
  ])("ends with %s", (action, end) => {
    expect(courseOf([at(60, { action, stage: 4 })], sampleRollout().plan, START).at(-1)).toEqual({
      atSeconds: 3600,
      ...end,
    });
  });
});

describe("values from outside", () => {
  const planWith = (guardrails: object[]) =>
    namedGuardrails(sampleRollout({ plan: { ...sampleRollout().plan, guardrails } }).plan);
  const former = planWith([
    { metric: "score", kind: "gauge", min: 90 },
    { source: "prometheus", query: "up", min: 1 },
    { metric: "error_rate", max: 0.01 },
  ]);

  it("come under the names that the other plan has for the same metric or query", () => {
    const other = planWith([
      { id: "lighthouse", metric: "score", kind: "gauge", min: 50 },
      { source: "prometheus", query: "other", min: 1 },
      { source: "prometheus", query: "up", min: 0 },
    ]);
    const guardrails = [
      sampleVerdict({ id: "score", canary: 93 }),
      sampleVerdict({ id: "prometheus-1", canary: 1 }),
      sampleVerdict({ id: "error_rate", canary: 0.5 }),
    ];
    const when = Date.parse(START);
    expect(outsideSamples([at(0, { guardrails })], former, other)).toEqual([
      { id: "lighthouse", sample: { at: when, value: 93 } },
      { id: "prometheus-2", sample: { at: when, value: 1 } },
    ]);
  });

  it("stay a failed measurement where there was none", () => {
    const guardrails = [
      sampleVerdict({
        id: "prometheus-1",
        canary: null,
        verdict: "hold",
        cause: "measurement_error",
        explanation: "timeout",
      }),
    ];
    expect(outsideSamples([at(0, { guardrails })], former, former)).toEqual([
      { id: "prometheus-1", sample: { at: Date.parse(START), error: "timeout" } },
    ]);
  });
});
