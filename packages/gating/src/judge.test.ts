import type { RolloutPlanInput } from "@bunting/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type EvidenceInterval, mergeArms } from "./evidence.ts";
import { type ArmOptions, arm, FIRST_INTERVAL, inputsOf, intervalsOf, planOf, START } from "./evidence-fixture.ts";
import { judgeGuardrails, judgeStatistics } from "./judge.ts";
import type { Judgement, JudgementInputs } from "./judgement.ts";
import { AttemptStatistics } from "./statistics.ts";

const SEED = 4711;

/** 5 % of 100 requests/s, .5 % errors in both arms. */
const CANARY: ArmOptions = { exposures: 160, errors: 0 };
const CONTROL: ArmOptions = { exposures: 3040, errors: 15 };
const BAD: ArmOptions = { exposures: 160, errors: 40 };
const ERRORS = { metric: "error_rate", worseThanControl: true } as const;

const judge = (
  plan: Partial<RolloutPlanInput>,
  intervals: readonly EvidenceInterval[],
  changes: Partial<JudgementInputs> = {},
): Judgement => judgeGuardrails(inputsOf(planOf(plan), intervals, changes));

const causeOf = ({ verdict, cause, failure }: Judgement): string => failure?.by ?? cause ?? verdict;

describe("GA-31 the first of these that holds is the verdict", () => {
  const errors: Partial<RolloutPlanInput> = { guardrails: [ERRORS] };
  const limit: Partial<RolloutPlanInput> = { guardrails: [{ metric: "error_rate", max: 0.01 }] };
  const healthy = intervalsOf(60, CANARY, CONTROL);
  const latest = (canary: ArmOptions | null, control: ArmOptions | null, count = 6): readonly EvidenceInterval[] => [
    ...healthy.slice(0, 60 - count),
    ...intervalsOf(count, canary, control, { from: 60 - count }),
  ];
  const now = (seconds: number): Partial<JudgementInputs> => ({ now: START + seconds * 1000 });
  type Row = readonly [
    expected: string,
    plan: Partial<RolloutPlanInput>,
    intervals: readonly EvidenceInterval[],
    changes?: Partial<JudgementInputs>,
  ];
  const rows: readonly Row[] = [
    ["breakers", errors, healthy, { breakers: { openInstanceCount: 2, canaryInstanceCount: 9 } }],
    ["breakers", errors, healthy, { breakers: { openInstanceCount: 1, canaryInstanceCount: 1 } }],
    ["pass", errors, healthy, { breakers: { openInstanceCount: 1, canaryInstanceCount: 9 } }],
    ["gross_failure", errors, latest(BAD, CONTROL)],
    ["merged", errors, intervalsOf(60, { exposures: 160, errors: 4 }, CONTROL)],
    ["absolute", limit, intervalsOf(60, { exposures: 160, errors: 4 }, CONTROL)],
    ["environment", limit, intervalsOf(60, { exposures: 160, errors: 6 }, { exposures: 3040, errors: 118 })],
    ["no_data", errors, healthy.slice(0, 40), now(600)],
    ["no_data", errors, [], now(600)],
    ["no_data", errors, intervalsOf(60, null, null), now(600)],
    ["no_data", errors, [...intervalsOf(197, CANARY, CONTROL), ...intervalsOf(3, CANARY, null, { from: 197 })]],
    ["no_data", { ...errors, onNoData: "rollback" }, intervalsOf(78, null, CONTROL), now(800)],
    ["sample_ratio_mismatch", errors, intervalsOf(60, null, CONTROL)],
    ["sample_ratio_mismatch", errors, intervalsOf(60, { exposures: 120 }, CONTROL)],
    ["sample_ratio_mismatch", errors, intervalsOf(60, { exposures: 220, errors: 1 }, CONTROL)],
    ["measurement_error", { guardrails: [ERRORS, QUERY] }, healthy, sample({ at: START, error: "503" })],
    ["no_data", { guardrails: [ERRORS, QUERY] }, healthy],
    ["guardrail", { guardrails: [ERRORS, QUERY] }, healthy, sample({ at: START + 600_000, value: 3 })],
    [
      "guardrail_hold",
      { guardrails: [ERRORS, { ...QUERY, onFail: "hold" }] },
      healthy,
      sample({ at: START + 600_000, value: 3 }),
    ],
    [
      "suspect",
      errors,
      [...intervalsOf(40, CANARY, CONTROL), ...intervalsOf(7, { exposures: 160, errors: 4 }, CONTROL, { from: 40 })],
    ],
    ["insufficient_data", errors, intervalsOf(1, { exposures: 90 }, { exposures: 1710 })],
    ["insufficient_data", errors, intervalsOf(60, { exposures: 160, groups: 19 }, CONTROL)],
    ["baking", errors, intervalsOf(20, CANARY, CONTROL)],
    ["inconclusive", errors, intervalsOf(31, { exposures: 160, errors: 1 }, CONTROL)],
    ["pass", errors, healthy],
  ];

  it.each(rows.map((row) => ({ expected: row[0], row })))("$expected (row $#)", ({ expected, row }) => {
    const [, plan, intervals, changes] = row;
    const judgement = judge(plan, intervals, changes);
    expect({ cause: causeOf(judgement), because: judgement.because }).toMatchObject({ cause: expected });
    expect(judgement.findings[0]).toMatchObject({ verdict: judgement.verdict, cause: judgement.cause });
    expect(judgement.failure === null).toBe(judgement.verdict !== "fail");
    expect(judgement.promotedBy === null).toBe(judgement.verdict !== "pass");
    expect(judgement.waitsFor.length > 0).toBe(judgement.verdict !== "pass");
  });

  it.each([
    ["gross_failure", latest(BAD, CONTROL), {}],
    ["breakers", healthy, { breakers: { openInstanceCount: 2, canaryInstanceCount: 9 } }],
    ["merged", intervalsOf(60, { exposures: 160, errors: 4 }, CONTROL), {}],
  ] as const)("but a failure that kills comes before others that hold, such as %s", (by, intervals, changes) => {
    const over = sample({ at: START + 600_000, value: 3 });
    const kills: Partial<RolloutPlanInput> = { guardrails: [ERRORS, { ...QUERY, onFail: "kill" }] };
    expect(judge(errors, intervals, changes).failure).toMatchObject({ by, action: "rollback" });
    const judgement = judge(kills, intervals, { ...over, ...changes });
    expect(judgement.failure).toEqual({ by: "guardrail", action: "kill", guardrails: ["prometheus-1"] });
    expect(judgement.because).toMatch(/^prometheus-1: 3 is beyond its limit/);
  });

  it("GA-156 waits for nothing twice, though a guardrail fails by its evidence and by its limit", () => {
    const both = { guardrails: [{ ...ERRORS, max: 0.01 }] };
    const { waitsFor, findings } = judge(both, intervalsOf(60, { exposures: 160, errors: 9 }, CONTROL));
    expect(findings.length).toBeGreaterThan(1);
    expect(waitsFor).toEqual([...new Set(waitsFor)]);
  });

  it("records what held besides", () => {
    const judgement = judge(errors, latest(BAD, CONTROL), {
      breakers: { openInstanceCount: 3, canaryInstanceCount: 3 },
    });
    expect(judgement.findings.map(({ verdict }) => verdict).slice(0, 3)).toEqual(["fail", "fail", "fail"]);
    expect(judgement.grossFailure).toBe(true);
  });
});

describe("GA-2 an interval counts once everybody has had the time to report it", () => {
  const plan = { guardrails: [ERRORS] };
  const intervals = intervalsOf(60, { exposures: 160, errors: 4 }, CONTROL);

  it("and not while reports are coming in", () => {
    const { now } = inputsOf(planOf(plan), intervals);
    expect(judge(plan, intervals).judgedThrough).toBe(FIRST_INTERVAL + 59);
    expect(judge(plan, intervals, { now: now - 1 }).judgedThrough).toBe(FIRST_INTERVAL + 58);
  });

  it("except for a gross failure, which nobody waits for", () => {
    const running = intervalsOf(1, { exposures: 40, errors: 40 }, CONTROL);
    expect(causeOf(judge(plan, running, { now: START + 3000 }))).toBe("gross_failure");
  });

  it("and nothing that a clock dated ahead before it was set back", () => {
    const ahead = intervalsOf(1, { exposures: 40, errors: 40 }, CONTROL, { from: 30 });
    const now = START + 300_000;
    const breakers = { openInstanceCount: 2, canaryInstanceCount: 2 };
    expect(causeOf(judge(plan, ahead, { now }))).toBe("gross_failure");
    expect(causeOf(judge(plan, ahead, { now: now - 1 }))).toBe("no_data");
    expect(judge(plan, ahead, { now: now - 1, breakers }).counts.canary.outcomeCount).toBe(0);
  });
});

describe("GA-1 evidence merges by addition", () => {
  it("in any order of intervals and of reports", () => {
    const plan = { guardrails: [ERRORS, { metric: "latency_p99", maxIncreasePercent: 25 } as const] };
    const latencies = [
      [80, 150],
      [300, 3],
    ] as const;
    const some = intervalsOf(40, { exposures: 160, errors: 1, latencies }, { exposures: 3040, errors: 15, latencies });
    const others = intervalsOf(
      40,
      { exposures: 170, errors: 0, latencies },
      { exposures: 3030, errors: 17, latencies },
    );
    const merged = (first: readonly EvidenceInterval[], second: readonly EvidenceInterval[]): EvidenceInterval[] =>
      first.map((interval, index) => ({
        ...interval,
        canary: mergeArms([interval.canary, null, second[index]?.canary ?? null]),
        control: mergeArms([interval.control, second[index]?.control ?? null]),
      }));
    const expected = judge(plan, merged(some, others));
    expect(expected.counts.canary).toMatchObject({ outcomeCount: 40 * 330, errorCount: 40 });
    expect(text(judge(plan, merged(others, some)))).toBe(text(expected));
    expect(text(judge(plan, merged(some, others).toReversed()))).toBe(text(expected));
  });
});

describe("GA-3 the same intervals give the same bytes", () => {
  it("whether statistics were kept from look to look or made anew", () => {
    const plan = planOf({
      stages: [{ percent: 5 }, { percent: 50, guardrails: [{ metric: "latency_p50", maxIncreasePercent: 10 }] }],
      guardrails: [
        { metric: "error_rate", worseThanControl: true, max: 0.02 },
        { metric: "latency_p99", maxMs: 500, maxIncreasePercent: 25 },
        { metric: "conversion", kind: "ratio", minPercentOfControl: 50 },
      ],
    });
    const errorCounts = fc.array(fc.tuple(fc.nat(3), fc.nat(30), fc.boolean()), { minLength: 2, maxLength: 70 });
    fc.assert(
      fc.property(errorCounts, fc.nat(69), (history, change) => {
        const intervals = history.map(([canaryErrors, controlErrors, slow], index) => ({
          interval: FIRST_INTERVAL + index,
          stage: index < change ? 0 : 1,
          canary: arm({
            exposures: 160,
            errors: canaryErrors,
            conversions: 8,
            latencies: [
              [80, 158],
              [slow ? 900 : 200, 2],
            ],
          }),
          control: arm({
            exposures: 3040,
            errors: controlErrors,
            conversions: 150,
            latencies: [
              [80, 3000],
              [200, 40],
            ],
          }),
        }));
        const kept = new AttemptStatistics(plan);
        let latest = "";
        for (const [index, interval] of intervals.entries()) {
          const seen = intervals.slice(0, index + 1);
          kept.add(interval);
          latest = text(judgeStatistics(kept, inputsOf(plan, seen, { stage: interval.stage })));
        }
        const anew = judgeGuardrails(inputsOf(plan, intervals, { stage: intervals.at(-1)?.stage ?? 0 }));
        expect(latest).toBe(text(anew));
      }),
      { seed: SEED, numRuns: 30 },
    );
  });

  it("and an interval that came late counts as if it had been on time", () => {
    const plan = { guardrails: [ERRORS] };
    const intervals = intervalsOf(60, { exposures: 160, errors: 2 }, CONTROL);
    const late = [...intervals.filter((_, index) => index !== 20), ...intervals.filter((_, index) => index === 20)];
    expect(text(judge(plan, late))).toBe(text(judge(plan, intervals)));
  });
});

describe("GA-32 silence is not health", () => {
  const plan = { guardrails: [ERRORS] };
  const silent = [...intervalsOf(40, CANARY, CONTROL), ...intervalsOf(3, null, CONTROL, { from: 40 })];

  it("from the third interval on, and a crash before reporting is named", () => {
    expect(judge(plan, silent.slice(0, 42)).because).not.toContain("crash");
    const crashed = judge(plan, silent);
    expect(crashed.because).toContain("may crash before it can report");
    expect(crashed.findings.map(({ cause }) => cause)).toContain("no_data");
  });

  it("of the control is no reason to roll back, whatever the plan says of the canary's", () => {
    const judgement = judge({ ...plan, onNoData: "rollback" }, intervalsOf(90, null, null), { now: START + 900_000 });
    expect(judgement).toMatchObject({ verdict: "hold", cause: "no_data" });
  });

  it("counts for onNoData while somebody listened, and from then on (GA-205)", () => {
    const stages = [{ percent: 100, bakeSeconds: 60 }];
    const alone: Partial<RolloutPlanInput> = { guardrails: [ERRORS], stages, onNoData: "rollback" };
    const heard = intervalsOf(10, CANARY, null);
    const after = (seconds: number, watchedSeconds: number) =>
      judge(alone, heard, { now: START + seconds * 1000, watchedSince: START + watchedSeconds * 1000 }).verdict;
    expect([after(800, 0), after(3_600, 3_590), after(3_600, 3_100), after(3_600, 2_900)]).toEqual([
      "fail",
      "hold",
      "hold",
      "fail",
    ]);
  });

  it("has not begun when a stage has just begun", () => {
    expect(judge(plan, [], { now: START + 20_000 }).cause).toBe("insufficient_data");
  });
});

describe("GA-23 open breakers", () => {
  it.each([
    { open: 0, instances: 0, verdict: "pass" },
    { open: 1, instances: 2, verdict: "pass" },
    { open: 1, instances: 1, verdict: "fail" },
    { open: 2, instances: 50, verdict: "fail" },
  ])("in $open of $instances instances: $verdict", ({ open, instances, verdict }) => {
    const breakers = { openInstanceCount: open, canaryInstanceCount: instances };
    expect(judge({ guardrails: [ERRORS] }, intervalsOf(60, CANARY, CONTROL), { breakers }).verdict).toBe(verdict);
  });
});

describe("GA-159 counts are the evidence that a verdict rests on", () => {
  const plan = { guardrails: [ERRORS] };
  const now = START + 12 * 10_000 + 3_000;
  const figures = ({ exposureCount, errorCount }: Judgement["counts"]["canary"]) => [exposureCount, errorCount];

  it.each([
    { by: "gross_failure", breakers: { openInstanceCount: 0, canaryInstanceCount: 9 } },
    { by: "breakers", breakers: { openInstanceCount: 2, canaryInstanceCount: 9 } },
  ])("of a failure by $by what has only just come in too, and marked", ({ by, breakers }) => {
    const canary = by === "breakers" ? { exposures: 16, errors: 12 } : { exposures: 400, errors: 400 };
    const fresh = intervalsOf(1, canary, { exposures: 760, errors: 3 }, { from: 12 });
    const judgement = judge(plan, [...intervalsOf(12, CANARY, CONTROL), ...fresh], { now, breakers });
    expect(causeOf(judgement)).toBe(by);
    const { counts } = judgement;
    // The twelfth interval is over, and not everybody has had the time to report it.
    expect(figures(counts.canary)).toEqual([12 * 160 + canary.exposures, canary.errors]);
    expect(figures(counts.control)).toEqual([12 * 3040 + 760, 12 * 15 + 3]);
    expect(counts.fresh && [figures(counts.fresh.canary), figures(counts.fresh.control)]).toEqual([
      [160 + canary.exposures, canary.errors],
      [3040 + 760, 15 + 3],
    ]);
  });

  it("of everything else the judged intervals alone", () => {
    const { counts } = judge(plan, intervalsOf(13, CANARY, CONTROL), { now });
    expect(figures(counts.canary)).toEqual([11 * 160, 0]);
    expect(counts).not.toHaveProperty("fresh");
  });

  it("and never those of another stage", () => {
    const before = intervalsOf(6, BAD, CONTROL);
    const after = intervalsOf(1, { exposures: 40, errors: 40 }, CONTROL, { from: 6, stage: 1 });
    const judgement = judge(plan, [...before, ...after], { stage: 1, now: START + 63_000 });
    expect(figures(judgement.counts.canary)).toEqual([40, 40]);
  });

  it("in words, where breakers brought it about", () => {
    const breakers = { openInstanceCount: 2, canaryInstanceCount: 9 };
    const some = intervalsOf(1, { exposures: 16, errors: 12 }, { exposures: 300, errors: 1 });
    expect(judge(plan, some, { now: START + 3_000, breakers }).because).toBe(
      "breakers are open in 2 of 9 instances; in this stage 12 of the canary's 16 outcomes were errors, and 1 of the control's 300",
    );
    expect(judge(plan, [], { now: START + 3_000, breakers }).because).toBe(
      "breakers are open in 2 of 9 instances; of this stage no outcome of the canary has come in",
    );
  });
});

describe("GA-14 one broken user is no regression", () => {
  const plan = { guardrails: [{ metric: "error_rate", worseThanControl: true, max: 0.01 } as const] };
  const errorsIn = (errorGroups: number): readonly EvidenceInterval[] =>
    intervalsOf(50, { exposures: 160, errors: 1 }, CONTROL).map((interval, index) => ({
      ...interval,
      canary: arm({ exposures: 160, errors: index % 2 === 0 ? 3 : 2, errorGroups: 1 }),
      ...(errorGroups === 1 ? {} : { canary: rotated(index % errorGroups, index % 2 === 0 ? 3 : 2) }),
    }));
  const rotated = (group: number, errors: number): EvidenceInterval["canary"] => {
    const evidence = arm({ exposures: 160, errors });
    const counts = new Float64Array(32);
    counts[group] = errors;
    return { ...evidence, groups: { ...evidence.groups, errorCount: counts, unitErrorCount: counts } };
  };

  it("however many errors one group of users has", () => {
    expect(judge(plan, errorsIn(1)).verdict).not.toBe("fail");
  });

  it("and the same errors spread over 25 groups roll back", () => {
    expect(judge(plan, errorsIn(25)).verdict).toBe("fail");
  });
});

describe("GA-16 a limit that both arms exceed is the environment's fault", () => {
  const plan = { guardrails: [{ metric: "error_rate", max: 0.01 } as const] };

  it("holds while it lasts, and not for ever after", () => {
    const both = intervalsOf(30, { exposures: 160, errors: 6 }, { exposures: 3040, errors: 118 });
    expect(causeOf(judge(plan, both))).toBe("environment");
    const over = [...both, ...intervalsOf(60, CANARY, CONTROL, { from: 30 })];
    expect(causeOf(judge(plan, over))).not.toBe("environment");
    expect(judge(plan, over).verdict).not.toBe("fail");
  });
});

describe("GA-33 a pass needs everything at once", () => {
  const plan = { guardrails: [ERRORS] };
  const healthy = intervalsOf(60, CANARY, CONTROL);

  it("says by what it was reached, and waits for nothing", () => {
    expect(judge(plan, healthy)).toMatchObject({ verdict: "pass", promotedBy: "evidence", waitsFor: [], cause: null });
  });

  it("counts the bake in evidence received, not in time passed", () => {
    const gap = [...intervalsOf(10, CANARY, CONTROL), ...intervalsOf(10, CANARY, CONTROL, { from: 60 })];
    expect(judge(plan, gap)).toMatchObject({ bakedSeconds: (10 + 3 + 9) * 10, cause: "baking" });
  });

  it("takes a gap of two intervals for low traffic", () => {
    const sparse = healthy.filter((_, index) => index % 3 === 0);
    expect(judge(plan, sparse).bakedSeconds).toBe((1 + 19 * 3) * 10);
  });

  it("asks for samples in each arm", () => {
    const rare = { ...plan, minSamples: 20_000, stages: [{ percent: 50 }, { percent: 100 }] };
    const idleControl = intervalsOf(60, { exposures: 1000, errors: 5 }, { exposures: 300, errors: 1 });
    expect(judge(rare, idleControl).waitsFor.join()).toContain("control has 18000 of 20000 outcomes");
  });

  it("does not take what an earlier stage proved", () => {
    const earlier = intervalsOf(60, CANARY, CONTROL);
    const fresh = intervalsOf(
      40,
      { exposures: 1600, errors: 8 },
      { exposures: 1600, errors: 8 },
      { stage: 1, from: 60 },
    );
    const stages = [{ percent: 5 }, { percent: 50 }, { percent: 100 }];
    const entered = { stage: 1, stageStartedAt: START + 600_000 };
    const few = judge({ ...plan, stages }, [...earlier, ...fresh.slice(0, 2)], entered);
    expect(few).toMatchObject({ cause: "baking", bakedSeconds: 20, counts: { canary: { exposureCount: 3200 } } });
    expect(few.guardrails[0]?.logNonInferiority).toBeLessThan(3);
  });

  it("is not given for a metric that nobody ever reported", () => {
    const conversion = {
      guardrails: [ERRORS, { metric: "conversion", kind: "ratio", minPercentOfControl: 50 } as const],
    };
    const judgement = judge(conversion, healthy, { now: START + 3_600_000, stageStartedAt: START - 3_000_000 });
    expect(judgement.verdict).toBe("hold");
    expect(judge(conversion, healthy).cause).toBe("no_data");
  });

  it("needs exposures where no guardrail counts anything", () => {
    expect(judge({ minSamples: 1 }, intervalsOf(60, null, CONTROL)).verdict).toBe("hold");
    expect(judge({}, healthy)).toMatchObject({ verdict: "pass", promotedBy: "evidence" });
    expect(causeOf(judge({ minSamples: 100_000 }, healthy))).toBe("insufficient_data");
  });

  it.each([
    ["a value from outside", QUERY],
    ["a limit", { metric: "error_rate", max: 0.01 } as const],
  ])("needs data of both arms, though a plan asks for no samples and no bake: by %s (GA-153)", (_, guardrail) => {
    const plan: Partial<RolloutPlanInput> = {
      guardrails: [guardrail],
      minSamples: 0,
      stages: [{ percent: 5, bakeSeconds: 0 }, { percent: 50 }],
      decideBy: "threshold",
    };
    const value = sample({ at: START, value: 0 });
    expect(judge(plan, [], { now: START + 5000, ...value }).verdict).toBe("hold");
    expect(judge(plan, intervalsOf(1, { exposures: 1 }, null), value).verdict).toBe("hold");
    expect(judge(plan, intervalsOf(1, CANARY, CONTROL), value).verdict).toBe("pass");
  });
});

describe("GA-34 the margin follows from the harm that the next stage may do", () => {
  it.each([
    { percent: 1, next: 5, margin: 6 },
    { percent: 5, next: 25, margin: 2 },
    { percent: 25, next: 50, margin: 1.5 },
    { percent: 50, next: 100, margin: 1.25 },
  ])("$percent % to $next %: an equal canary passes, one at $margin times does not", ({ percent, next, margin }) => {
    const plan = { guardrails: [ERRORS], stages: [{ percent }, { percent: next }] };
    const arms = (rateRatio: number): readonly EvidenceInterval[] =>
      intervalsOf(
        150,
        { exposures: 100 * percent, errors: (percent * rateRatio) / 2 },
        { exposures: 100 * (100 - percent), errors: (100 - percent) / 2 },
      ).map(({ canary, control, ...interval }) => ({ ...interval, canary: canary && { ...canary }, control }));
    expect(judge(plan, arms(1)).verdict).toBe("pass");
    expect(judge(plan, arms(margin)).verdict).not.toBe("pass");
  });

  it("takes either proof, of no more errors than the margin or of fewer than the limit", () => {
    const none = intervalsOf(60, { exposures: 320 }, { exposures: 6080 });
    expect(judge({ guardrails: [ERRORS] }, none).cause).toBe("inconclusive");
    expect(judge({ guardrails: [{ ...ERRORS, max: 0.01 }] }, none).verdict).toBe("pass");
  });
});

describe("GA-35 a stage that takes too long passes without proof, if nothing speaks against it", () => {
  const few = intervalsOf(200, { exposures: 20 }, { exposures: 380, errors: 0 });
  const tiny = few.map((interval, index) => ({
    ...interval,
    control: arm({ exposures: 380, errors: index % 40 === 0 ? 1 : 0 }),
  }));
  const plan = { guardrails: [ERRORS] };

  it("after maxStageSeconds and not before, and says so", () => {
    expect(judge(plan, tiny, { stageStartedAt: START })).toMatchObject({ verdict: "pass", promotedBy: "elapsed" });
    expect(judge(plan, tiny.slice(0, 150)).cause).toBe("inconclusive");
  });

  it("however many guardrails have nothing to say: merged evidence of none is 0", () => {
    const silent = [30, 40, 50].map((minPercentOfControl) => {
      return { id: `least-${minPercentOfControl}`, metric: "conversion", kind: "ratio", minPercentOfControl } as const;
    });
    const rare = tiny.map((interval, index) => ({
      ...interval,
      canary: arm({ exposures: 20, conversions: index % 20 === 0 ? 1 : 0 }),
    }));
    const judgement = judge({ guardrails: [ERRORS, ...silent] }, rare);
    expect(judgement).toMatchObject({ verdict: "pass", promotedBy: "elapsed", mergedLogEvidence: 0 });
  });

  it("not if the plan switches it off", () => {
    expect(judge({ ...plan, maxStageSeconds: null }, tiny).cause).toBe("inconclusive");
  });

  it("not without data, nor with a rate beyond the margin as measured", () => {
    expect(judge(plan, [], { now: START + 3_600_000 }).verdict).toBe("hold");
    const worse = tiny.map((interval, index) => ({
      ...interval,
      canary: arm({ exposures: 20, errors: index % 100 === 0 ? 1 : 0 }),
    }));
    expect(judge(plan, worse).verdict).toBe("hold");
  });
});

describe("GA-36 decideBy threshold: limits by the values as measured", () => {
  const threshold = (guardrails: NonNullable<RolloutPlanInput["guardrails"]>): Partial<RolloutPlanInput> => ({
    decideBy: "threshold",
    guardrails,
    stages: [{ percent: 5, bakeSeconds: 0 }, { percent: 100 }],
  });
  const errorLimit = threshold([{ metric: "error_rate", max: 0.01 }]);
  const latencyLimit = threshold([{ metric: "latency_p99", maxMs: 500, maxIncreasePercent: 25 }]);
  const one = (canary: ArmOptions, control: ArmOptions): readonly EvidenceInterval[] => intervalsOf(1, canary, control);
  const latency = (canaryMs: number, controlMs: number): readonly EvidenceInterval[] =>
    one({ exposures: 1000, latencies: [[canaryMs, 1000]] }, { exposures: 19_000, latencies: [[controlMs, 19_000]] });

  it.each<[string, Partial<RolloutPlanInput>, readonly EvidenceInterval[], "pass" | "fail" | "hold"]>([
    ["rate exactly .01", errorLimit, one({ exposures: 1000, errors: 10 }, { exposures: 19_000, errors: 19 }), "pass"],
    [
      "rate just above .01",
      errorLimit,
      one({ exposures: 1000, errors: 11 }, { exposures: 19_000, errors: 19 }),
      "fail",
    ],
    ["15 errors of 10,000", errorLimit, one({ exposures: 10_000, errors: 15 }, { exposures: 190_000 }), "pass"],
    ["5 errors of 100", errorLimit, one({ exposures: 100, errors: 5 }, { exposures: 1900 }), "fail"],
    ["p99 exactly 500 ms", latencyLimit, latency(500, 480), "pass"],
    ["p99 of 520 ms", latencyLimit, latency(520, 480), "fail"],
    ["increase exactly 25 %, from 180 ms", latencyLimit, latency(225, 180), "pass"],
    ["increase exactly 25 %, from 200 ms", latencyLimit, latency(250, 200), "pass"],
    ["increase of 30 %", latencyLimit, latency(260, 200), "fail"],
    ["the fixture: 200 ms against 180 ms", latencyLimit, latency(200, 180), "pass"],
    [
      "a control without latency",
      latencyLimit,
      one({ exposures: 1000, latencies: [[200, 1000]] }, { exposures: 19_000, latencies: [[0, 19_000]] }),
      "pass",
    ],
    ["99 requests", errorLimit, one({ exposures: 99, errors: 9 }, { exposures: 1900 }), "hold"],
    ["100 requests", errorLimit, one({ exposures: 100, errors: 1 }, { exposures: 1900 }), "pass"],
    [
      "99 requests in the control",
      { ...errorLimit, stages: [{ percent: 50, bakeSeconds: 0 }] },
      one({ exposures: 100, errors: 9 }, { exposures: 99 }),
      "hold",
    ],
  ])("%s", (_, plan, intervals, expected) => {
    const judgement = judge(plan, intervals);
    expect(judgement).toMatchObject({ verdict: expected, because: expect.any(String) });
    if (expected === "hold") expect(judgement.cause).toBe("insufficient_data");
  });

  it("holds instead of failing where the guardrail says so, and alerts where it says that", () => {
    const bad = one({ exposures: 1000, errors: 50 }, { exposures: 19_000 });
    expect(judge(threshold([{ metric: "error_rate", max: 0.01, onFail: "hold" }]), bad).cause).toBe("guardrail_hold");
    const alert = judge(threshold([{ metric: "error_rate", max: 0.01, onFail: "alert" }]), bad);
    expect(alert).toMatchObject({ verdict: "pass", alerts: ["error_rate"], promotedBy: "threshold" });
    const kill = judge(threshold([{ metric: "error_rate", max: 0.01, onFail: "kill" }]), bad);
    expect(kill.failure).toEqual({ by: "guardrail", action: "kill", guardrails: ["error_rate"] });
  });

  it("fails at a limit that is exclusive", () => {
    const exclusive = threshold([{ metric: "error_rate", max: 0.01, exclusive: true }]);
    expect(judge(exclusive, one({ exposures: 1000, errors: 10 }, { exposures: 19_000 })).verdict).toBe("fail");
    const slow = threshold([{ metric: "latency_p99", maxMs: 500, exclusive: true }]);
    expect(judge(slow, latency(500, 480)).verdict).toBe("fail");
  });

  it("does not hold on evidence that is within the threshold", () => {
    const latencies = (ms: number, count: number): ArmOptions => ({ exposures: count, latencies: [[ms, count]] });
    expect(judge(latencyLimit, intervalsOf(60, latencies(250, 160), latencies(200, 3040))).verdict).toBe("pass");
  });

  describe("goes back by at most an hour, where traffic is sparse", () => {
    /** One interval in ten minutes, hours after the first. */
    const sparse = (canary: ArmOptions): readonly EvidenceInterval[] =>
      Array.from({ length: 10 }, (_, turn) =>
        intervalsOf(1, canary, { exposures: 190 }, { from: 1000 + turn * 60 }),
      ).flat();

    it("and not to errors of long ago", () => {
      const intervals = [...intervalsOf(10, { exposures: 160, errors: 90 }, CONTROL), ...sparse({ exposures: 20 })];
      expect(judge(errorLimit, intervals)).toMatchObject({ verdict: "pass", guardrails: [{ canary: 0 }] });
    });

    it("and holds if that is too few", () => {
      const intervals = [...intervalsOf(10, CANARY, CONTROL), ...sparse({ exposures: 10, errors: 1 })];
      const judgement = judge(errorLimit, intervals);
      expect(judgement).toMatchObject({ verdict: "hold", cause: "insufficient_data" });
      expect(judgement.because).toContain("canary has 60 of 100 outcomes within an hour");
    });
  });

  it("looks at the latest analysis interval once that has enough samples", () => {
    const recovered = [
      ...intervalsOf(12, { exposures: 160, errors: 10 }, CONTROL),
      ...intervalsOf(6, CANARY, CONTROL, { from: 12 }),
    ];
    expect(judge(errorLimit, recovered).verdict).toBe("pass");
  });
});

describe("GA-37 forSeconds: a failure counts once it has lasted", () => {
  const plan = { guardrails: [{ metric: "latency_p95", maxMs: 2000, forSeconds: 300 } as const] };
  const slow = (count: number): readonly EvidenceInterval[] =>
    intervalsOf(count, { exposures: 160, latencies: [[3000, 160]] }, { exposures: 3040, latencies: [[80, 3040]] });
  const look = (intervals: readonly EvidenceInterval[], since: ReadonlyMap<string, number>): Judgement =>
    judge(plan, intervals, { failingSince: since });

  it("from the first look that failed, without a break", () => {
    let since: ReadonlyMap<string, number> = new Map();
    const verdicts: string[] = [];
    for (let count = 1; count <= 40; count += 1) {
      const judgement = look(slow(count), since);
      since = judgement.failingSince;
      verdicts.push(judgement.verdict);
    }
    const first = verdicts.indexOf("fail");
    expect(first).toBeGreaterThanOrEqual(30);
    expect(first).toBeLessThanOrEqual(33);
    expect(verdicts.slice(0, first)).not.toContain("pass");
    expect(verdicts.slice(first)).not.toContain("hold");
  });

  it("and begins anew after a minute within the limit", () => {
    const spike = [
      ...slow(6),
      ...intervalsOf(
        7,
        { exposures: 160, latencies: [[80, 160]] },
        { exposures: 3040, latencies: [[80, 3040]] },
        { from: 6 },
      ),
    ];
    expect(look(slow(6), new Map()).failingSince.has("latency_p95")).toBe(true);
    expect(look(spike, new Map([["latency_p95", START]])).failingSince.size).toBe(0);
  });
});

const QUERY = { source: "prometheus", query: "up", max: 0.02 } as const;

function sample(one: { at: number; value: number | null } | { at: number; error: string }): Partial<JudgementInputs> {
  return { samples: new Map([["prometheus-1", one]]) };
}

describe("GA-38 values from outside", () => {
  const healthy = intervalsOf(60, CANARY, CONTROL);
  const at = START + 610_000;
  const plan = { guardrails: [ERRORS, QUERY] };

  it.each([
    ["a value at its limit passes", sample({ at, value: 0.02 }), "pass", null],
    ["a value beyond it fails", sample({ at, value: 0.021 }), "fail", null],
    ["a query that fails holds", sample({ at, error: "timeout" }), "hold", "measurement_error"],
    ["a query that gives no number holds", sample({ at, value: Number.NaN }), "hold", "measurement_error"],
    ["an empty answer holds", sample({ at, value: null }), "hold", "no_data"],
    ["an old answer holds, even a bad one", sample({ at: at - 200_000, value: 7 }), "hold", "no_data"],
    ["an answer from the future is one of now", sample({ at: at + 3_600_000, value: 0 }), "pass", null],
  ] as const)("%s", (_, changes, verdict, cause) => {
    expect(judge(plan, healthy, { ...changes, now: at })).toMatchObject({ verdict, cause });
  });

  it("begin their grace anew after a look without a value", () => {
    const patient = { guardrails: [ERRORS, { ...QUERY, forSeconds: 300 }] };
    const failing = judge(patient, healthy, { ...sample({ at, value: 1 }), now: at });
    expect(failing).toMatchObject({ verdict: "hold", cause: "suspect" });
    expect([...failing.failingSince]).toEqual([["prometheus-1", at]]);
    const lost = judge(patient, healthy, {
      ...sample({ at, error: "503" }),
      now: at,
      failingSince: failing.failingSince,
    });
    expect(lost).toMatchObject({ verdict: "hold", cause: "measurement_error" });
    expect(lost.failingSince.size).toBe(0);
    const long = judge(patient, healthy, {
      ...sample({ at, value: 1 }),
      now: at,
      failingSince: new Map([["prometheus-1", at - 300_000]]),
    });
    expect(long.failure).toEqual({ by: "guardrail", action: "rollback", guardrails: ["prometheus-1"] });
  });

  it("are gauges too, with an age and a least value", () => {
    const gauge = {
      guardrails: [ERRORS, { metric: "lighthouse", kind: "gauge", min: 90, maxAgeSeconds: 60 } as const],
    };
    const posted = (value: number, age: number): Partial<JudgementInputs> => ({
      now: at,
      samples: new Map([["lighthouse", { at: at - age * 1000, value }]]),
    });
    expect(judge(gauge, healthy, posted(90, 60)).verdict).toBe("pass");
    expect(judge(gauge, healthy, posted(89, 0)).verdict).toBe("fail");
    expect(judge(gauge, healthy, posted(89, 61)).cause).toBe("no_data");
    expect(judge(gauge, healthy, posted(89, 0)).because).toContain("lighthouse: 89 is beyond its limit");
  });

  const reported = (limits: Limits, lowest: number, highest: number, value = lowest): Judgement =>
    judge({ guardrails: [ERRORS, { metric: "depth", kind: "gauge", ...limits }] }, healthy, {
      now: at,
      samples: new Map([["depth", { at, value, lowest, highest }]]),
    });

  it.each([
    ["the highest at a ceiling passes", { max: 5 }, 0, 5, "pass", 5],
    ["the highest above a ceiling fails", { max: 5 }, 0, 6, "fail", 6],
    ["the highest at an exclusive ceiling fails", { max: 5, exclusive: true }, 0, 5, "fail", 5],
    ["the lowest at a floor passes", { min: 5 }, 5, 9, "pass", 5],
    ["the lowest below a floor fails", { min: 5 }, 4, 9, "fail", 4],
    ["between two limits all pass", { min: 5, max: 9 }, 5, 9, "pass", 5],
    ["one above two limits fails", { min: 5, max: 9 }, 5, 10, "fail", 10],
    ["one at an exclusive ceiling of two fails", { min: 4, max: 9, exclusive: true }, 5, 9, "fail", 9],
    ["one below two limits fails", { min: 5, max: 9 }, 4, 9, "fail", 4],
  ] as const)("of what processes report %s, whichever was last", (_, limits, lowest, highest, verdict, shown) => {
    for (const last of [lowest, highest]) {
      const judgement = reported(limits, lowest, highest, last);
      expect(judgement.verdict).toBe(verdict);
      expect(judgement.guardrails[1]?.canary).toBe(shown);
    }
  });

  it("of what processes report fail exactly if one of the reports would alone", () => {
    const value = fc.integer({ min: -3, max: 3 });
    const limits = fc
      .record({ min: value, max: value, exclusive: fc.boolean() }, { requiredKeys: ["exclusive"] })
      .filter(({ min, max, exclusive }) => isSatisfiable(min, max, exclusive));
    fc.assert(
      fc.property(limits, fc.array(value, { minLength: 1, maxLength: 4 }), (chosen, reports) => {
        const together = reported(chosen, Math.min(...reports), Math.max(...reports), reports.at(-1));
        const alone = reports.map((report) => reported(chosen, report, report).verdict);
        expect(together.verdict).toBe(alone.includes("fail") ? "fail" : "pass");
      }),
      { seed: SEED, numRuns: 200 },
    );
  });
});

type Limits = { readonly min?: number; readonly max?: number; readonly exclusive?: boolean };

/** As a plan asks it of limits, and that there is one. */
function isSatisfiable(min: number | undefined, max: number | undefined, exclusive: boolean): boolean {
  if (min === undefined || max === undefined) return min !== max;
  return exclusive ? min < max : min <= max;
}

describe("GA-39 informational guardrails and alerts tell, and do nothing else", () => {
  const bad = intervalsOf(60, { exposures: 160, errors: 4 }, CONTROL);

  it.each([{ required: false }, { onFail: "alert" as const }])("%o", (changes) => {
    const judgement = judge({ guardrails: [{ ...ERRORS, ...changes }] }, bad);
    expect(judgement).toMatchObject({ verdict: "pass", alerts: ["error_rate"], mergedLogEvidence: 0 });
    expect(judgement.guardrails[0]).toMatchObject({ verdict: "fail" });
    const silent = judge({ guardrails: [{ ...QUERY, ...changes }] }, intervalsOf(60, CANARY, CONTROL));
    expect(silent.verdict).toBe("pass");
  });
});

describe("GA-40 at 100 % absolute limits act alone", () => {
  const stages = [{ percent: 100 }];
  const plan = { stages, guardrails: [{ metric: "error_rate", max: 0.01, worseThanControl: true } as const] };

  it("pass without a control once the bake is over", () => {
    const judgement = judge(plan, intervalsOf(60, { exposures: 3200, errors: 16 }, null));
    expect(judgement).toMatchObject({ verdict: "pass", sampleRatio: { logEvidence: null, mismatch: false } });
  });

  it("fail without one, for there is nobody to blame instead", () => {
    const judgement = judge(plan, intervalsOf(20, { exposures: 3200, errors: 64 }, null));
    expect(judgement.failure).toMatchObject({ by: "absolute", guardrails: ["error_rate"] });
  });

  it.each([
    { decideBy: "threshold", forSeconds: 0 },
    { decideBy: "evidence", forSeconds: 0 },
    { decideBy: "evidence", forSeconds: 60 },
  ] as const)(
    "fail where nobody converts any more, by $decideBy and after $forSeconds s",
    ({ decideBy, forSeconds }) => {
      const least = { metric: "conversion", kind: "ratio", min: 0.02, forSeconds } as const;
      const none = intervalsOf(60, { exposures: 3200 }, null, { from: 1 });
      const intervals = [...intervalsOf(1, { exposures: 3200, conversions: 160 }, null), ...none];
      const failingSince = new Map([["conversion", START]]);
      expect(judge({ stages, decideBy, guardrails: [least] }, intervals, { failingSince }).verdict).toBe("fail");
      // A comparison says nothing there, and who measures nothing proves nothing.
      const relative = { metric: "conversion", kind: "ratio", minPercentOfControl: 50 } as const;
      expect(judge({ stages, decideBy, guardrails: [relative] }, none).cause).toBe("no_data");
    },
  );

  it("hold where nobody has ever reported a ratio, for its name may be misspelled", () => {
    const least = { metric: "conversoin", kind: "ratio", min: 0.02 } as const;
    const intervals = intervalsOf(60, { exposures: 3200 }, null);
    const judgement = judge({ stages, decideBy: "threshold", guardrails: [least] }, intervals);
    expect(judgement).toMatchObject({ verdict: "hold", cause: "no_data" });
  });

  it("hold in silence, and roll back only if the plan says so", () => {
    const look = { now: START + 700_000 };
    expect(judge(plan, [], look).cause).toBe("no_data");
    expect(judge({ ...plan, onNoData: "rollback" }, [], look).failure?.by).toBe("no_data");
  });
});

describe("GA-30 several guardrails share one budget", () => {
  it("name whose evidence it was, largest first", () => {
    const plan = {
      guardrails: [
        ERRORS,
        { metric: "latency_p99", maxIncreasePercent: 25, onFail: "kill" } as const,
        { metric: "conversion", kind: "ratio", minPercentOfControl: 90 } as const,
      ],
    };
    const slow = intervalsOf(
      60,
      { exposures: 160, conversions: 8, latencies: [[200, 160]] },
      {
        exposures: 3040,
        errors: 15,
        conversions: 152,
        latencies: [
          [80, 3000],
          [160, 40],
        ],
      },
    );
    const judgement = judge(plan, slow);
    expect(judgement.failure).toEqual({ by: "merged", action: "kill", guardrails: ["latency_p99"] });
    expect(judgement.contributions.map(({ id }) => id)[0]).toBe("latency_p99");
    expect(judgement.guardrails.map(({ verdict }) => verdict)).toEqual(["pass", "fail", "hold"]);
  });

  it("half of it for errors, and all of it together", () => {
    const shares = (guardrails: NonNullable<RolloutPlanInput["guardrails"]>): number[] =>
      judge({ guardrails }, []).contributions.map(({ logEvidence }) => Math.exp(logEvidence));
    const slow = { metric: "latency_p99", maxIncreasePercent: 25 } as const;
    const fewer = { metric: "conversion", kind: "ratio", minPercentOfControl: 90 } as const;
    expect(shares([ERRORS])).toEqual([1]);
    expect(shares([slow, fewer]).map(Math.log)).toEqual(
      [Math.log(0.5), Math.log(0.5)].map((log) => expect.closeTo(log, 6)),
    );
    expect(shares([ERRORS, slow, fewer])).toEqual([0.5, 0.25, 0.25].map((share) => expect.closeTo(share, 6)));
    expect(judge({ guardrails: [ERRORS, slow, fewer] }, []).mergedLogEvidence).toBeCloseTo(0, 9);
  });

  it("name a guardrail that exceeds its limit as well", () => {
    const bad = intervalsOf(60, { exposures: 160, errors: 8 }, CONTROL);
    const judgement = judge({ guardrails: [{ ...ERRORS, max: 0.01 }] }, bad);
    expect(judgement.failure).toEqual({ by: "merged", action: "rollback", guardrails: ["error_rate"] });
    expect(judgement.findings.map(({ verdict }) => verdict).slice(0, 2)).toEqual(["fail", "fail"]);
  });

  it("and lead back though each of many carries little of it", () => {
    const guardrails = Array.from({ length: 11 }, (_, index) => ({ ...ERRORS, id: `errors-${index}` }));
    const judgement = judge({ guardrails }, intervalsOf(60, { exposures: 160, errors: 4 }, CONTROL));
    expect(judgement.failure).toMatchObject({ by: "merged", action: "rollback" });
    expect(judgement.failure?.guardrails).toHaveLength(11);
  });

  it("and lead back on evidence of an earlier stage that came after its end", () => {
    const stages = [5, 50].map((percent, index) => ({
      percent,
      guardrails: [{ ...ERRORS, id: `stage-${index + 1}` }],
    }));
    const late = intervalsOf(60, { exposures: 160, errors: 4 }, CONTROL);
    const judgement = judge({ stages }, late, { stage: 1, stageStartedAt: START + 600_000 });
    expect(judgement.failure).toEqual({ by: "merged", action: "rollback", guardrails: ["stage-1"] });
    expect(judgement.because).toMatch(/^stage-1: worse than the control, .* to 1, in stage 1$/);
  });

  it("find fewer conversions", () => {
    const plan = { guardrails: [{ metric: "conversion", kind: "ratio", minPercentOfControl: 50 } as const] };
    const fewer = intervalsOf(100, { exposures: 160, conversions: 1 }, { exposures: 3040, conversions: 152 });
    expect(judge(plan, fewer).failure?.by).toBe("merged");
  });

  it("and a hold guardrail spends nothing of it", () => {
    const bad = intervalsOf(60, { exposures: 160, errors: 4 }, CONTROL);
    const judgement = judge({ guardrails: [{ ...ERRORS, onFail: "hold" }] }, bad);
    expect(judgement).toMatchObject({ verdict: "hold", cause: "guardrail_hold", mergedLogEvidence: 0 });
  });
});

/** Maps are written as their entries. */
function text(judgement: Judgement): string {
  return JSON.stringify({ ...judgement, failingSince: [...judgement.failingSince] });
}
