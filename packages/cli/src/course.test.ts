import { describe, expect, it } from "vitest";
import { courseOf } from "./course.ts";
import { sampleDecision, sampleRollout } from "./test-world.ts";

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
