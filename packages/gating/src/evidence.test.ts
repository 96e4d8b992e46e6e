import type { EvidenceCell, VariantKey } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { armFromCells, GROUP_COUNT, LADDER_RUNG_COUNT, mergeArms } from "./evidence.ts";

const cell: EvidenceCell = {
  rollout: "r-1",
  attempt: 1,
  stage: 0,
  variant: "on" as VariantKey,
  interval: 7,
  exposureCount: 12,
  unitCount: 9,
  outcomeCount: 11,
  errorCount: 3,
  unitErrorCount: 2,
  uncheckedCount: 0,
  groups: [
    [0, 4, 5, 1, 1],
    [31, 5, 6, 2, 1],
  ],
  sketch: [
    [219, 10],
    [310, 1],
  ],
  ladder: [
    [0, 2, 5],
    [31, 13, 1],
  ],
  metrics: { conversion: { eventCount: 3, unitEventCount: 2, sum: 30, sumOfSquares: 500, groups: [[31, 2]] } },
};

describe("GA-1 evidence merges by addition", () => {
  it("reads a cell as it was shipped", () => {
    const evidence = armFromCells([cell]);
    expect(evidence).toMatchObject({
      exposureCount: 12,
      unitCount: 9,
      outcomeCount: 11,
      errorCount: 3,
      unitErrorCount: 2,
    });
    expect([...(evidence?.groups.outcomeCount ?? [])]).toEqual([5, ...Array<number>(GROUP_COUNT - 2).fill(0), 6]);
    expect(evidence?.groups.unitErrorCount[31]).toBe(1);
    expect(evidence?.ladder[31 * LADDER_RUNG_COUNT + 13]).toBe(1);
    expect(evidence?.sketch.get(310)).toBe(1);
    expect(evidence?.metrics.get("conversion")?.groupUnitEventCount[31]).toBe(2);
  });

  it("is nothing of no cells, and the whole of its parts in any order", () => {
    expect(armFromCells([])).toBeNull();
    expect(mergeArms([null, null])).toBeNull();
    const other = { ...cell, groups: [[3, 1, 1, 0, 0]] satisfies EvidenceCell["groups"], ladder: [], metrics: {} };
    const one = armFromCells([cell]);
    const two = armFromCells([other]);
    expect(mergeArms([one, two])).toEqual(armFromCells([cell, other]));
    expect(mergeArms([two, null, one])).toEqual(mergeArms([one, two]));
    expect(mergeArms([one, two])?.outcomeCount).toBe(22);
    expect(mergeArms([one, two])?.metrics.get("conversion")?.sum).toBe(30);
    expect(one?.groups.outcomeCount[0]).toBe(5);
  });
});
