import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EvidenceInterval } from "./evidence.ts";
import { arm, FIRST_INTERVAL, inputsOf, planOf } from "./evidence-fixture.ts";
import { judgeGuardrails, judgeStatistics } from "./judge.ts";
import { isAfter, StatisticsTrail } from "./statistics-trail.ts";

/** Every kind of statistic there is. */
const plan = planOf({
  stages: [{ percent: 5 }, { percent: 25 }, { percent: 50 }],
  guardrails: [
    { metric: "error_rate", max: 0.02, worseThanControl: true },
    { metric: "latency_p99", maxMs: 500, maxIncreasePercent: 25 },
    { metric: "conversion", kind: "ratio", minPercentOfControl: 50, min: 0.01, max: 0.9 },
  ],
});

/** Places in order, the canary's share and both arms' luck at random, gaps and stragglers of the stage before included. */
const history = fc
  .array(
    fc.record({
      gap: fc.constantFrom(1, 1, 1, 1, 2, 40),
      moves: fc.constantFrom(false, false, false, false, false, false, false, true),
      straggles: fc.constantFrom(false, false, false, true),
      canary: fc.option(fc.nat({ max: 12 }), { freq: 12 }),
      control: fc.option(fc.nat({ max: 9 }), { freq: 12 }),
    }),
    { minLength: 1, maxLength: 90 },
  )
  .map((steps) => {
    const intervals: EvidenceInterval[] = [];
    let interval = FIRST_INTERVAL;
    let stage = 0;
    for (const [turn, { gap, moves, straggles, canary, control }] of steps.entries()) {
      interval += gap;
      const canaryArm = canary === null ? null : armWith(300, canary, turn);
      const controlArm = control === null ? null : armWith(900, control, turn);
      if (moves && stage < 2) {
        if (straggles) intervals.push({ interval, stage, canary: canaryArm, control: null });
        stage += 1;
      }
      intervals.push({ interval, stage, canary: canaryArm, control: controlArm });
    }
    return intervals;
  });

function armWith(outcomes: number, errors: number, turn: number) {
  const latencies = [
    [20 + errors, outcomes - errors - 5],
    [400 + 30 * errors, errors + 5],
  ] as const;
  return arm({ outcomes, errors, turn, conversions: 30 + errors, latencies });
}

describe("GA-174 statistics that take what comes late are those that are made of all of it at once", () => {
  it("property: whatever comes late, and however often somebody looks meanwhile", () => {
    const arrivals = fc.array(fc.nat({ max: 30 }), { minLength: 90, maxLength: 90 });
    fc.assert(
      fc.property(history, arrivals, fc.integer({ min: 1, max: 9 }), (intervals, lateness, lookEvery) => {
        const trail = new StatisticsTrail(plan);
        const arriving = intervals
          .map((interval, index) => ({ interval, at: index + (lateness[index] ?? 0) ** 2 / 30 }))
          .sort((a, b) => a.at - b.at);
        const known: EvidenceInterval[] = [];
        for (const [index, { interval }] of arriving.entries()) {
          known.push(interval);
          known.sort((a, b) => a.interval - b.interval || a.stage - b.stage);
          if (trail.last !== null && !isAfter(interval, trail.last)) trail.rewindBefore(interval);
          for (const each of known) if (trail.last === null || isAfter(each, trail.last)) trail.add(each);
          if (index % lookEvery !== 0) continue;
          const stage = Math.max(...known.map((each) => each.stage));
          const inputs = inputsOf(plan, known, { stage });
          expect(judgeStatistics(trail.statistics, inputs)).toEqual(judgeGuardrails(inputs));
          // Somebody looks at a stage of which nothing has come yet.
          if (stage < 2) judgeStatistics(trail.statistics, { ...inputs, stage: stage + 1 });
        }
      }),
      { numRuns: 40 },
    );
  });

  it("and go back by little for what is a little late", () => {
    const trail = new StatisticsTrail(plan);
    const intervals = Array.from({ length: 2_000 }, (_, index) => ({
      interval: FIRST_INTERVAL + index,
      stage: 0,
      canary: arm({ outcomes: 10 }),
      control: arm({ outcomes: 90 }),
    }));
    for (const interval of intervals) trail.add(interval);
    for (const late of [1, 5, 10, 30, 100, 300, 900]) {
      const place = { interval: FIRST_INTERVAL + 1_999 - late, stage: 0 };
      trail.rewindBefore(place);
      const back = FIRST_INTERVAL + 1_999 - (trail.last?.interval ?? 0);
      expect(back).toBeGreaterThan(late);
      expect(back).toBeLessThanOrEqual(2 * late + 12);
      for (const interval of intervals) {
        if (trail.last !== null && isAfter(interval, trail.last)) trail.add(interval);
      }
    }
  });
});
