import type { EnvironmentKey, TelemetryBatch } from "@bunting/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { judgeBatch, type Known, MINUTE_MS, mergeBatches, OLDEST_BATCH_MS, OTHER, type Submission } from "./merge.ts";

const environment = "production" as EnvironmentKey;
const NOON = Date.UTC(2026, 0, 1, 12);

const batch = (sequence: number, more: Partial<TelemetryBatch> = {}): TelemetryBatch => ({
  instance: "i",
  boot: "b",
  sequence,
  from: 0,
  to: 0,
  ageMs: 0,
  cells: [{ flag: "a", variant: "on", exposures: 10 }],
  ...more,
});

const submitted = (...batches: TelemetryBatch[]): Submission[] =>
  batches.map((each) => ({ environment, batch: each, receivedAt: NOON }));

const knowing = (stored: number | null = null): Known => ({
  lastSequence: () => stored,
  hasFlag: (flag) => flag === "a",
  hasVariant: (_flag, variant) => variant === "on" || variant === "off",
  rollout: () => undefined,
  index: 0,
});

describe("TE-2 a batch is merged if it is the next", () => {
  it.each([
    { sequence: 4, stored: 5, outcome: "repeated" },
    { sequence: 5, stored: 5, outcome: "repeated" },
    { sequence: 6, stored: 5, outcome: "merged" },
    { sequence: 7, stored: 5, outcome: "out_of_order" },
    { sequence: 1, stored: 0, outcome: "merged" },
  ])("$sequence after $stored is $outcome", ({ sequence, stored, outcome }) => {
    expect(judgeBatch({ sequence, ageMs: 0 }, stored)).toBe(outcome);
  });

  it("answers with what is stored, whatever came", () => {
    const { answers, exposures } = mergeBatches(
      submitted(batch(7), batch(5), batch(6), batch(6), batch(8)),
      knowing(5),
    );
    expect(answers).toEqual([5, 5, 6, 6, 6].map((sequence) => ({ type: "stored", sequence })));
    expect(exposures).toMatchObject([{ flag: "a", variant: "on", count: 10 }]);
  });

  it("counts each batch once under any duplication and order, as long as each comes in its turn in the end", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 80 }), (order) => {
        let expected = 0;
        for (const sequence of order) if (sequence === expected + 1) expected = sequence;
        const { answers, exposures, boots } = mergeBatches(
          submitted(...order.map((sequence) => batch(sequence))),
          knowing(0),
        );
        expect(exposures[0]?.count ?? 0).toBe(10 * expected);
        expect(boots[0]?.sequence ?? 0).toBe(expected);
        expect(answers).toHaveLength(order.length);
      }),
    );
  });
});

describe("TE-5 a boot that is not known", () => {
  it.each([
    { sequence: 1, ageMs: 0, outcome: "merged" },
    { sequence: 9, ageMs: OLDEST_BATCH_MS, outcome: "merged" },
    { sequence: 9, ageMs: OLDEST_BATCH_MS + 1, outcome: "too_old" },
    { sequence: 1, ageMs: OLDEST_BATCH_MS + 1, outcome: "too_old" },
  ])("takes $sequence at $ageMs ms as $outcome", ({ sequence, ageMs, outcome }) => {
    expect(judgeBatch({ sequence, ageMs }, null)).toBe(outcome);
  });

  it("goes on from the base it took", () => {
    const { answers } = mergeBatches(submitted(batch(9), batch(10), batch(9)), knowing(null));
    expect(answers).toEqual([9, 10, 10].map((sequence) => ({ type: "stored", sequence })));
  });
});

describe("TE-1 batches belong to (environment, instance, boot)", () => {
  it("and sequences of one say nothing about another", () => {
    const staging = "staging" as EnvironmentKey;
    const { answers } = mergeBatches(
      [
        { environment, batch: batch(1), receivedAt: NOON },
        { environment, batch: batch(1, { boot: "c" }), receivedAt: NOON },
        { environment, batch: batch(1, { instance: "j" }), receivedAt: NOON },
        { environment: staging, batch: batch(1), receivedAt: NOON },
        { environment, batch: batch(2), receivedAt: NOON },
      ],
      knowing(null),
    );
    expect(answers.map((answer) => answer.type === "stored" && answer.sequence)).toEqual([1, 1, 1, 1, 2]);
  });
});

describe("TE-7 a window is where the batch was closed, as far as the server can tell", () => {
  it.each([
    { ageMs: 0, back: 0 },
    { ageMs: 10 * MINUTE_MS, back: 10 * MINUTE_MS },
    { ageMs: 30 * 60 * MINUTE_MS, back: OLDEST_BATCH_MS },
  ])("$ageMs ms ago", ({ ageMs, back }) => {
    const lies = { from: 1, to: 2 ** 45 };
    const { exposures } = mergeBatches(submitted(batch(1, { ageMs, ...lies })), knowing(0));
    expect(exposures[0]?.at).toBe(NOON - back);
  });
});

describe("TE-9 names from outside", () => {
  it("are counted apart where nothing has them", () => {
    const cells = [
      { flag: "a", variant: "on", exposures: 1 },
      { flag: "a", variant: "surprise", exposures: 2 },
      { flag: "b", variant: "on", exposures: 4 },
      { flag: "__proto__", variant: "on", exposures: 8 },
    ];
    const { exposures, unknown } = mergeBatches(
      submitted(batch(1, { cells, unknown: [{ flag: "b", evaluations: 16 }] })),
      knowing(0),
    );
    expect(exposures.map(({ variant, count }) => [variant, count])).toEqual([
      ["on", 1],
      [OTHER, 2],
    ]);
    expect(unknown.map(({ flag, count }) => [flag, count])).toEqual([
      ["b", 20],
      ["__proto__", 8],
    ]);
  });

  it("and numbers from outside do not overflow", () => {
    const cells = Array.from({ length: 3 }, () => ({ flag: "a", variant: "on", exposures: Number.MAX_SAFE_INTEGER }));
    const { exposures } = mergeBatches(submitted(batch(1, { cells })), knowing(0));
    expect(exposures[0]?.count).toBe(Number.MAX_SAFE_INTEGER);
  });
});
