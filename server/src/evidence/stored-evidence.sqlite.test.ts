import type { Rollout } from "@bunting/contracts";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { STEPS } from "../telemetry/schema.ts";
import { armsOf } from "./evidence.ts";
import {
  aCell,
  aRollout,
  createEvidenceRig,
  type EvidenceRig,
  NOON,
  NOON_INTERVAL,
  OFF,
  PRODUCTION,
  STAGING,
} from "./evidence-rig.ts";

const SECOND_MS = 1_000;
const INTERVAL_MS = 10 * SECOND_MS;
const DAY_MS = 24 * 60 * 60 * SECOND_MS;
const arms = armsOf(aRollout());

let rig: EvidenceRig;
beforeEach(() => {
  rig = createEvidenceRig(createFakeTime(NOON));
});
afterEach(() => rig.dispose());

const through = (index: number) => rig.evidence.intervals(arms, { through: index }) ?? [];
const usable = () => through(rig.evidence.through());
const errors = () => usable().reduce((sum, { canary }) => sum + (canary?.errorCount ?? 0), 0);

describe("TE-101 evidence becomes usable behind the watermark and never changes from then on", () => {
  it("is not there before two flushes after the interval's end, and is there then", async () => {
    await rig.report({ evidence: [aCell(), aCell({ variant: OFF })] });
    expect(usable()).toEqual([]);
    await rig.time.advanceAsync(2 * INTERVAL_MS - 100);
    expect(usable()).toEqual([]);
    await rig.time.advanceAsync(100);
    expect(usable()).toMatchObject([
      { interval: NOON_INTERVAL, stage: 0, canary: { exposureCount: 10 }, control: { exposureCount: 10 } },
    ]);
  });

  it("adds up what instances and batches report of one interval", async () => {
    await rig.report({ evidence: [aCell()] });
    await rig.report({ instance: "j", evidence: [aCell({ sketch: [[200, 1]], groups: [[3, 1, 1, 1, 1]] })] });
    await rig.time.advanceAsync(2 * INTERVAL_MS);
    const [interval] = usable();
    expect(interval?.canary).toMatchObject({ exposureCount: 20, unitCount: 16, outcomeCount: 18, errorCount: 2 });
    expect([...(interval?.canary?.sketch ?? [])]).toEqual([
      [200, 6],
      [230, 4],
    ]);
    expect(interval?.canary?.groups.unitCount[3]).toBe(6);
    expect(interval?.canary?.ladder[3 * 14]).toBe(12);
    expect(interval?.control).toBeNull();
  });

  it("puts what comes late into rows of its own, usable from the next index on", async () => {
    await rig.report({ evidence: [aCell()] });
    await rig.time.advanceAsync(3 * INTERVAL_MS);
    const decidedAt = rig.evidence.through();
    const decidedBy = usable();
    await rig.report({ evidence: [aCell({ errorCount: 7 })] });
    expect(usable()).toEqual(decidedBy);
    await rig.time.advanceAsync(INTERVAL_MS);
    expect(errors()).toBe(8);
    expect(through(decidedAt)).toEqual(decidedBy);
    const late = rig.evidence.intervals(arms, { after: decidedAt, through: rig.evidence.through() });
    expect(late).toMatchObject([{ interval: NOON_INTERVAL, canary: { errorCount: 7 } }]);
  });

  it("answers every earlier question as before, whatever arrives, restarts and clocks that are set back", async () => {
    const seed = Math.floor(Math.random() * 1e9);
    const random = createSeededRandom(seed);
    const asked: { index: number; answer: unknown }[] = [];
    for (let step = 0; step < 80; step += 1) {
      const interval = Math.floor(rig.time.clock.now() / INTERVAL_MS) - random.below(8);
      const variant = random.next() < 0.5 ? OFF : aCell().variant;
      if (random.next() < 0.8) await rig.report({ evidence: [aCell({ interval, variant, stage: random.below(2) })] });
      if (random.next() < 0.5) asked.push({ index: rig.evidence.through(), answer: usable() });
      if (random.next() < 0.1) rig.time.jumpWallClock(random.below(120 * SECOND_MS) - 60 * SECOND_MS);
      if (random.next() < 0.1) rig.restart();
      await rig.time.advanceAsync(random.below(2 * INTERVAL_MS));
    }
    for (const { index, answer } of asked) expect(through(index), `seed ${seed}`).toEqual(answer);
    expect(usable().length).toBeGreaterThan(10);
  });

  it("answers an index that was told as before, although nothing was stored at it before a restart with a clock set back", async () => {
    await rig.report({ evidence: [aCell()] });
    await rig.time.advanceAsync(3 * INTERVAL_MS);
    const index = rig.evidence.through();
    const answer = usable();
    rig.time.jumpWallClock(-3 * INTERVAL_MS);
    rig.restart();
    await rig.report({ evidence: [aCell({ errorCount: 5 })] });
    expect(through(index)).toEqual(answer);
    expect(rig.evidence.through()).toBeGreaterThanOrEqual(index);
  });

  it("goes on while a clock that ran a day ahead is back", async () => {
    rig.time.jumpWallClock(DAY_MS);
    await rig.report({ evidence: [aCell({ interval: (NOON + DAY_MS) / INTERVAL_MS })] });
    rig.time.jumpWallClock(-DAY_MS);
    rig.restart();
    await rig.report({ evidence: [aCell({ errorCount: 5 })] });
    await rig.time.advanceAsync(4 * INTERVAL_MS);
    expect(errors()).toBe(6);
  });
});

describe("TE-100 evidence is merged in the transaction of its batch", () => {
  it("once, however often the batch comes", async () => {
    for (let time = 0; time < 3; time += 1) await rig.report({ sequence: 1, evidence: [aCell()] });
    await rig.report({ sequence: 7, evidence: [aCell()] });
    await rig.time.advanceAsync(2 * INTERVAL_MS);
    expect(errors()).toBe(1);
  });

  it("not at all with a batch that fails", async () => {
    const poisoned = rig.report({ sequence: Number.NaN, evidence: [aCell()] });
    expect(await poisoned).toEqual({ type: "unavailable" });
    await rig.time.advanceAsync(2 * INTERVAL_MS);
    expect(usable()).toEqual([]);
    expect(await rig.registry.metrics()).not.toContain('bunting_evidence_cells_total{outcome="stored"}');
  });

  it("and told after the commit, once for each rollout", async () => {
    const told: string[] = [];
    const stop = rig.evidence.onArrival((rollout) => told.push(rollout));
    await rig.report({ evidence: [aCell(), aCell({ variant: OFF }), aCell({ rollout: "nobody" })] });
    expect(told).toEqual(["r1"]);
    stop();
    await rig.report({ evidence: [aCell()] });
    expect(told).toEqual(["r1"]);
  });
});

describe("TE-115 what comes again begins with no evidence", () => {
  const place = async (rollout: Rollout): Promise<void> => {
    rig.rollouts.set("r1", rollout);
    rig.restart();
    rig.telemetry.forgetUnserved();
    await rig.time.advanceAsync(3 * INTERVAL_MS);
  };
  const stagesOf = (attempt: number) =>
    rig.evidence.intervals({ ...arms, attempt }, { through: rig.evidence.through() })?.map(({ stage }) => stage);

  it("after a backup of the time before was put back", async () => {
    rig.rollouts.set("r1", aRollout({}, { attempt: 2, stage: 1 }));
    const breaker = { rollout: "r1", attempt: 2, interval: NOON_INTERVAL, unitFailureCount: 6, trialCount: 40 };
    const second = [aCell({ attempt: 2 }), aCell({ attempt: 2, stage: 1 })];
    await rig.report({
      evidence: [aCell(), aCell({ stage: 1 }), ...second],
      breakers: [{ ...breaker, state: "open" }],
    });

    await place(aRollout({}, { attempt: 2, stage: 1 }));
    expect([stagesOf(1), stagesOf(2)]).toEqual([
      [0, 1],
      [0, 1],
    ]);

    await place(aRollout());
    expect([stagesOf(1), stagesOf(2)]).toEqual([[0], []]);
    expect(rig.evidence.breakers({ ...arms, attempt: 2 }, 0).openInstanceCount).toBe(0);
    expect(rig.evidence.lastReceived({ ...arms, attempt: 2 })).toEqual({ canary: null, control: null });

    await place(aRollout({}, { state: "pending", stage: null }));
    expect(stagesOf(1)).toEqual([]);
  });
});

describe("TE-102 only evidence of what exists is stored", () => {
  it.each([
    ["unknown_rollout", { rollout: "nobody" }],
    ["unknown_attempt", { attempt: 2 }],
    ["unknown_stage", { stage: 2 }],
    ["unknown_variant", { variant: "blue" as typeof OFF }],
    ["misdated", { interval: NOON_INTERVAL - 721 }],
  ])("counts what it does not take as %s", async (reason, names) => {
    await rig.report({ evidence: [aCell(names), aCell()] });
    await rig.time.advanceAsync(3 * INTERVAL_MS);
    expect(errors()).toBe(1);
    expect(rig.telemetry.unknown(PRODUCTION).refused).toEqual({ [reason]: 1 });
    expect(await rig.registry.metrics()).toContain(`bunting_evidence_cells_total{outcome="${reason}"} 1`);
  });

  it("takes nothing of a stage that the rollout has not come to, nor of a rollout that has not begun", async () => {
    await rig.report({ evidence: [aCell({ stage: 1 })] });
    rig.rollouts.set("r1", aRollout({}, { state: "pending", stage: null }));
    const breaker = { rollout: "r1", attempt: 1, interval: NOON_INTERVAL, unitFailureCount: 6, trialCount: 40 };
    await rig.report({ evidence: [aCell()], breakers: [{ ...breaker, state: "open" }] });
    await rig.time.advanceAsync(3 * INTERVAL_MS);
    expect(usable()).toEqual([]);
    expect(rig.evidence.breakers(arms, 0).openInstanceCount).toBe(0);
    expect(rig.telemetry.unknown(PRODUCTION).refused).toEqual({ unknown_stage: 1, unknown_attempt: 2 });
  });

  it("takes a rollout's evidence only from its own environment", async () => {
    await rig.report({ evidence: [aCell()] }, STAGING);
    await rig.time.advanceAsync(3 * INTERVAL_MS);
    expect(usable()).toEqual([]);
    expect(rig.telemetry.unknown(STAGING).refused).toEqual({ unknown_rollout: 1 });
  });

  it("charges to the present what a fast clock dates into the future", async () => {
    await rig.report({ evidence: [aCell({ interval: NOON_INTERVAL + 40 })] });
    await rig.time.advanceAsync(2 * INTERVAL_MS);
    expect(usable()).toMatchObject([{ interval: NOON_INTERVAL }]);
  });

  it("keeps the arms of different attempts and stages apart", async () => {
    rig.rollouts.set("r1", aRollout({}, { attempt: 2, stage: 1 }));
    await rig.report({ evidence: [aCell(), aCell({ attempt: 2 }), aCell({ attempt: 2, stage: 1 })] });
    await rig.time.advanceAsync(2 * INTERVAL_MS);
    const second = rig.evidence.intervals({ ...arms, attempt: 2 }, { through: rig.evidence.through() });
    expect(usable()).toHaveLength(1);
    expect(second?.map(({ stage }) => stage)).toEqual([0, 1]);
  });

  it("admits sixteen metrics for each attempt, those of the plan whatever comes first", async () => {
    const guardrail = { metric: "conversion", kind: "ratio", min: 0.1 } as const;
    rig.rollouts.set("r1", aRollout({ guardrails: [guardrail] }));
    const metric = {
      eventCount: 1,
      unitEventCount: 1,
      sum: 2.5,
      sumOfSquares: 6.25,
      groups: [[3, 1] as [number, number]],
    };
    const named = (...names: string[]) => ({ metrics: Object.fromEntries(names.map((name) => [name, metric])) });
    await rig.report({ evidence: [aCell(named(...Array.from({ length: 20 }, (_, index) => `junk_${index}`)))] });
    rig.restart();
    await rig.report({ evidence: [aCell(named("conversion", "junk_9", "junk_0"))] });
    await rig.time.advanceAsync(2 * INTERVAL_MS);
    const metrics = usable()[0]?.canary?.metrics;
    expect(metrics?.size).toBe(16);
    expect(metrics?.get("conversion")).toMatchObject({ eventCount: 1, sum: 2.5 });
    expect(metrics?.get("junk_0")).toMatchObject({ eventCount: 2, sum: 5, sumOfSquares: 12.5 });
    expect(rig.telemetry.unknown(PRODUCTION).refused).toEqual({ metric_limit: 6 });
  });

  it("moves bins to the nearest there are, and leaves out rungs that there are not", async () => {
    await rig.report({
      evidence: [
        aCell({
          sketch: [
            [-9_999, 1],
            [9_999, 2],
          ],
          ladder: [
            [1, 14, 5],
            [1, 13, 4],
          ],
        }),
      ],
    });
    await rig.time.advanceAsync(2 * INTERVAL_MS);
    const canary = usable()[0]?.canary;
    expect([...(canary?.sketch ?? [])]).toEqual([
      [-230, 1],
      [640, 2],
    ]);
    expect(canary?.ladder.reduce((sum, count) => sum + count, 0)).toBe(4);
  });
});

describe("TE-103 what a judgement asks beside counts", () => {
  const depthOf = (instance: string, last: number, interval: number) => ({
    instance,
    gauges: [{ metric: "depth", last, interval }],
  });
  /** What a guardrail on the gauge of these reports is judged by. */
  const depth = (more: Partial<Rollout> = {}) =>
    rig.evidence.samples(aRollout({ guardrails: [{ metric: "depth", kind: "gauge", max: 5 }] }, more)).get("depth");

  it("is the last minute as far as received, the interval under way included", async () => {
    await rig.report({
      evidence: [aCell({ interval: NOON_INTERVAL - 7 }), aCell({ interval: NOON_INTERVAL - 6 }), aCell()],
    });
    expect(rig.evidence.recent(arms, rig.time.clock.now()).map(({ interval }) => interval)).toEqual([
      NOON_INTERVAL - 6,
      NOON_INTERVAL,
    ]);
    await rig.time.advanceAsync(7 * INTERVAL_MS);
    expect(rig.evidence.recent(arms, rig.time.clock.now())).toEqual([]);
  });

  it("is when evidence of each arm was received, not when it happened", async () => {
    await rig.report({ evidence: [aCell({ interval: NOON_INTERVAL - 100 })] });
    expect(rig.evidence.lastReceived(arms)).toEqual({ canary: NOON, control: null });
    rig.restart();
    await rig.report({ evidence: [aCell({ variant: OFF })] });
    expect(rig.evidence.lastReceived(arms)).toEqual({ canary: NOON, control: NOON + 50 });
    await rig.report({ evidence: [aCell({ interval: NOON_INTERVAL - 100 })] });
    expect(rig.evidence.lastReceived(arms)).toEqual({ canary: NOON + 100, control: NOON + 50 });
  });

  it("is how many instances have the canary, and how many breakers are open, by their latest word", async () => {
    const breaker = { rollout: "r1", attempt: 1, interval: NOON_INTERVAL, unitFailureCount: 6, trialCount: 40 };
    rig.rollouts.set("r1", aRollout({}, { stage: 1 }));
    await rig.report({ instance: "a", evidence: [aCell()], breakers: [{ ...breaker, state: "open" }] });
    await rig.report({ instance: "b", evidence: [aCell({ stage: 1 }), aCell()] });
    await rig.report({ instance: "c", evidence: [aCell({ variant: OFF })] });
    await rig.report({ instance: "d", breakers: [{ ...breaker, state: "half_open" }] });
    expect(rig.evidence.breakers(arms, 0)).toEqual({ openInstanceCount: 2, canaryInstanceCount: 2 });
    expect(rig.evidence.breakers(arms, 1)).toEqual({ openInstanceCount: 2, canaryInstanceCount: 3 });
    // Silence about a breaker is no word of it.
    await rig.report({ instance: "a", evidence: [aCell({ variant: OFF })] });
    expect(rig.evidence.breakers(arms, 0)).toEqual({ openInstanceCount: 2, canaryInstanceCount: 2 });
    await rig.report({ instance: "a", breakers: [{ ...breaker, state: "closed" }] });
    expect(rig.evidence.breakers(arms, 1)).toEqual({ openInstanceCount: 1, canaryInstanceCount: 3 });
    await rig.time.advanceAsync(11 * 60 * SECOND_MS);
    expect(rig.evidence.breakers(arms, 1)).toEqual({ openInstanceCount: 0, canaryInstanceCount: 0 });
  });

  it("is nothing of the breakers of another stage: each begins closed (TE-48)", async () => {
    const word = { rollout: "r1", attempt: 1, interval: NOON_INTERVAL, unitFailureCount: 6, trialCount: 40 };
    await rig.report({ instance: "a", evidence: [aCell()], breakers: [{ ...word, stage: 0, state: "open" }] });
    await rig.report({ instance: "b", evidence: [aCell()] });
    expect(rig.evidence.breakers(arms, 0)).toEqual({ openInstanceCount: 1, canaryInstanceCount: 2 });
    rig.rollouts.set("r1", aRollout({}, { stage: 1 }));
    await rig.report({ instance: "a", evidence: [aCell({ stage: 1, variant: OFF })] });
    expect(rig.evidence.breakers(arms, 1)).toEqual({ openInstanceCount: 0, canaryInstanceCount: 2 });
    await rig.report({ instance: "a", breakers: [{ ...word, stage: 1, state: "half_open" }] });
    expect(rig.evidence.breakers(arms, 1)).toEqual({ openInstanceCount: 1, canaryInstanceCount: 2 });
    expect(rig.evidence.breakers(arms, 0)).toEqual({ openInstanceCount: 0, canaryInstanceCount: 2 });
  });

  it("is what was said and received after a clock was set back, and not what it dated later", async () => {
    const open = {
      rollout: "r1",
      attempt: 1,
      interval: 0,
      unitFailureCount: 6,
      trialCount: 40,
      state: "open" as const,
    };
    rig.time.jumpWallClock(60 * 60 * SECOND_MS);
    await rig.report({ instance: "gone", breakers: [open] });
    await rig.report({ instance: "well", evidence: [aCell(), aCell({ variant: OFF })], breakers: [open] });
    rig.time.jumpWallClock(-60 * 60 * SECOND_MS);
    expect(rig.evidence.breakers(arms, 0)).toEqual({ openInstanceCount: 0, canaryInstanceCount: 0 });
    await rig.report({ instance: "well", evidence: [aCell()], breakers: [{ ...open, state: "closed" }] });
    expect(rig.evidence.breakers(arms, 0)).toEqual({ openInstanceCount: 0, canaryInstanceCount: 1 });
    expect(rig.evidence.lastReceived(arms).canary).toBe(NOON + 100);
  });

  it("is of everybody with the canary also when a stage has just begun, and nobody has reported it yet", async () => {
    const breaker = { rollout: "r1", attempt: 1, interval: NOON_INTERVAL, unitFailureCount: 6, trialCount: 40 };
    await rig.report({ instance: "a", evidence: [aCell()], breakers: [{ ...breaker, state: "open" }] });
    for (const instance of ["b", "c"]) await rig.report({ instance, evidence: [aCell()] });
    expect(rig.evidence.breakers(arms, 0)).toEqual({ openInstanceCount: 1, canaryInstanceCount: 3 });
    rig.rollouts.set("r1", aRollout({}, { stage: 1 }));
    expect(rig.evidence.breakers(arms, 1)).toEqual({ openInstanceCount: 1, canaryInstanceCount: 3 });
  });

  it("is the latest value of each gauge and query, by guardrail", async () => {
    const rollout = aRollout({
      guardrails: [
        { metric: "lighthouse", kind: "gauge", min: 90 },
        { source: "prometheus", query: "up", min: 1 },
        { source: "prometheus", query: "down", max: 1, id: "mine" },
      ],
    });
    await rig.report({ gauges: [{ metric: "lighthouse", last: 91, interval: NOON_INTERVAL }] });
    const sample = { rollout: "r1", attempt: 1, guardrail: "prometheus-1", value: 3, error: null };
    rig.telemetry.withEvidence((store) => {
      store.addGauge({ environment: PRODUCTION, metric: "lighthouse", source: "posted", at: NOON + 20_000, value: 92 });
      store.addSample({ ...sample, at: NOON });
      store.addSample({ ...sample, at: NOON + 5_000, value: null });
      store.addSample({ ...sample, guardrail: "mine", at: NOON, value: null, error: "it took more than 5 s" });
    });
    await rig.time.advanceAsync(20 * SECOND_MS);
    expect(rig.evidence.samples(rollout)).toEqual(
      new Map<string, unknown>([
        ["lighthouse", { at: NOON + 20_000, value: 92 }],
        ["prometheus-1", { at: NOON + 5_000, value: null }],
        ["mine", { at: NOON, error: "it took more than 5 s" }],
      ]),
    );
    expect(rig.evidence.samples({ ...rollout, attempt: 2 }).size).toBe(1);
    expect(rig.evidence.gauges(PRODUCTION, "lighthouse", NOON).map(({ value }) => value)).toEqual([91, 92]);
    expect(rig.evidence.gauges(PRODUCTION, "lighthouse", NOON + 1)).toHaveLength(1);
  });

  it.each([
    ["in one commit, the broken process last", [7, 0], "together"],
    ["in one commit, the healthy process last", [0, 7], "together"],
    ["in two commits, the broken process last", [7, 0], "apart"],
    ["in two commits, the healthy process last", [0, 7], "apart"],
  ] as const)("is the lowest and the highest of what processes report %s", async (_, values, how) => {
    const said = values.map((last, index) => () => rig.report(depthOf(`p${index}`, last, NOON_INTERVAL)));
    if (how === "together") await Promise.all(said.map((say) => say()));
    else for (const say of said) await say();
    expect(depth()).toEqual({ at: NOON, value: values[1], lowest: 0, highest: 7 });
  });

  it("is the interval before as well, in which processes spoke that are yet to speak in the latest", async () => {
    await rig.report(depthOf("broken", 7, NOON_INTERVAL));
    await rig.time.advanceAsync(INTERVAL_MS);
    await rig.report(depthOf("healthy", 0, NOON_INTERVAL + 1));
    expect(depth()).toEqual({ at: NOON + INTERVAL_MS, value: 0, lowest: 0, highest: 7 });
    await rig.time.advanceAsync(INTERVAL_MS);
    await rig.report(depthOf("healthy", 1, NOON_INTERVAL + 2));
    expect(depth()).toEqual({ at: NOON + 2 * INTERVAL_MS, value: 1, lowest: 0, highest: 1 });
    // Of a process that was heard before a pause nobody knows how it is now.
    await rig.time.advanceAsync(2 * INTERVAL_MS);
    await rig.report(depthOf("healthy", 2, NOON_INTERVAL + 4));
    expect(depth()).toEqual({ at: NOON + 4 * INTERVAL_MS, value: 2, lowest: 2, highest: 2 });
  });

  it("is no report of before the attempt, were it of the interval before the latest", async () => {
    await rig.report(depthOf("broken", 7, NOON_INTERVAL));
    await rig.time.advanceAsync(INTERVAL_MS);
    await rig.report(depthOf("healthy", 0, NOON_INTERVAL + 1));
    const retriedAt = (ms: number) => depth({ startedAt: new Date(NOON + ms).toISOString() });
    expect(retriedAt(0)).toMatchObject({ highest: 7 });
    expect(retriedAt(1)).toMatchObject({ highest: 0 });
    expect(retriedAt(INTERVAL_MS + 1)).toBeUndefined();
  });

  it("is what was posted last, in place of all that was posted or reported until then", async () => {
    const post = (value: number) => {
      const at = rig.time.clock.now();
      const gauge = { environment: PRODUCTION, metric: "depth", source: "posted", at, value } as const;
      rig.telemetry.withEvidence((store) => store.addGauge(gauge));
      return { at, value };
    };
    expect(depth()).toBeUndefined();
    const mistaken = post(7);
    expect(depth()).toEqual(mistaken);
    await rig.time.advanceAsync(1_000);
    const corrected = post(0);
    expect(depth()).toEqual(corrected);
    await rig.report(depthOf("broken", 7, NOON_INTERVAL));
    expect(depth()).toEqual(corrected);
    // What processes report in later intervals is news, and what was said before the correction is not.
    await rig.time.advanceAsync(INTERVAL_MS);
    await rig.report(depthOf("healthy", 1, NOON_INTERVAL + 1));
    expect(depth()).toEqual({ at: NOON + INTERVAL_MS, value: 1, lowest: 1, highest: 1 });
    expect(depth()).not.toEqual(post(3));
    expect(depth()).toMatchObject({ value: 3 });
  });

  it("is what was posted while earlier reports waited for their commit, across the end of an interval", async () => {
    await rig.time.advanceAsync(INTERVAL_MS - 5);
    const posted = { at: rig.time.clock.now() + 10, value: 3 };
    rig.time.scheduler.after(10, () => {
      const gauge = { environment: PRODUCTION, metric: "depth", source: "posted", ...posted } as const;
      rig.telemetry.withEvidence((store) => store.addGauge(gauge));
    });
    await rig.report(depthOf("broken", 7, NOON_INTERVAL));
    expect(depth()).toEqual(posted);
  });

  it("is of a gauge, whoever says what when, what these rules make of all that was said", async () => {
    const seed = Math.floor(Math.random() * 1e9);
    const random = createSeededRandom(seed);
    const said: { readonly isPosted: boolean; readonly interval: number; readonly value: number }[] = [];
    for (let step = 0; step < 150; step += 1) {
      const at = rig.time.clock.now();
      const value = random.below(9);
      const isPosted = random.next() < 0.2;
      const interval = Math.floor(at / INTERVAL_MS) - (isPosted ? 0 : random.below(3));
      said.push({ isPosted, interval, value });
      if (isPosted) {
        const gauge = { environment: PRODUCTION, metric: "depth", source: "posted", at, value } as const;
        rig.telemetry.withEvidence((store) => store.addGauge(gauge));
      } else await rig.report(depthOf(`p${random.below(3)}`, value, interval));
      if (random.next() < 0.05) rig.restart();
      await rig.time.advanceAsync(random.below(INTERVAL_MS));

      const ofSource = (posted: boolean) => said.filter((each) => each.isPosted === posted);
      const postedIn = Math.max(-1, ...ofSource(true).map((each) => each.interval));
      const reports = ofSource(false).filter((each) => each.interval > postedIn);
      const latest = Math.max(...reports.map((each) => each.interval));
      const counted = reports.filter((each) => each.interval >= latest - 1).map((each) => each.value);
      const reading = depth({ startedAt: new Date(0).toISOString() });
      if (counted.length > 0) {
        expect(reading, `seed ${seed}`).toMatchObject({
          at: latest * INTERVAL_MS,
          lowest: Math.min(...counted),
          highest: Math.max(...counted),
        });
      } else expect(reading, `seed ${seed}`).toEqual({ at: expect.any(Number), value: ofSource(true).at(-1)?.value });
    }
  });

  it("is no gauge of before the attempt: it says nothing of what is served now (GA-109)", () => {
    const rollout = aRollout({ guardrails: [{ metric: "lighthouse", kind: "gauge", min: 90 }] });
    const post = (at: number, value: number) =>
      rig.telemetry.withEvidence((store) =>
        store.addGauge({ environment: PRODUCTION, metric: "lighthouse", source: "posted", at, value }),
      );
    post(NOON, 50);
    rig.time.jumpWallClock(30 * SECOND_MS);
    const retried = { ...rollout, attempt: 2, startedAt: new Date(NOON + 20 * SECOND_MS).toISOString() };
    expect(rig.evidence.samples(rollout).get("lighthouse")).toEqual({ at: NOON, value: 50 });
    expect(rig.evidence.samples(retried).size).toBe(0);
    post(NOON + 30 * SECOND_MS, 95);
    expect(rig.evidence.samples(retried).get("lighthouse")).toMatchObject({ value: 95 });
  });

  it("is what was measured after a clock that ran ahead was set back, and not what it dated later", () => {
    const rollout = aRollout({
      guardrails: [
        { metric: "lighthouse", kind: "gauge", min: 90 },
        { source: "prometheus", query: "up", min: 1 },
      ],
    });
    const measure = (value: number) => {
      const at = rig.time.clock.now();
      rig.telemetry.withEvidence((store) => {
        store.addGauge({ environment: PRODUCTION, metric: "lighthouse", source: "posted", at, value });
        store.addSample({ rollout: "r1", attempt: 1, guardrail: "prometheus-1", at, value, error: null });
      });
    };
    const values = () => [...rig.evidence.samples(rollout).values()];
    for (const aheadMs of [DAY_MS, INTERVAL_MS / 2]) {
      rig.time.jumpWallClock(aheadMs);
      measure(99);
      expect(values()).toMatchObject([{ value: 99 }, { value: 99 }]);
      rig.time.jumpWallClock(-aheadMs);
      expect(values()).toEqual([]);
    }
    measure(0);
    expect(values()).toMatchObject([{ value: 0 }, { value: 0 }]);
  });

  it("nor once the clock is there again: by then it is old", async () => {
    const rollout = aRollout({
      guardrails: [
        { metric: "lighthouse", kind: "gauge", min: 90 },
        { metric: "depth", kind: "gauge", max: 5 },
        { source: "prometheus", query: "up", min: 1 },
      ],
    });
    const measure = async (value: number) => {
      const at = rig.time.clock.now();
      rig.telemetry.withEvidence((store) => {
        store.addGauge({ environment: PRODUCTION, metric: "lighthouse", source: "posted", at, value });
        store.addSample({ rollout: "r1", attempt: 1, guardrail: "prometheus-1", at, value, error: null });
      });
      await rig.report(depthOf("i", value, Math.floor(at / INTERVAL_MS)));
    };
    rig.time.jumpWallClock(60 * 60 * SECOND_MS);
    await measure(99);
    rig.time.jumpWallClock(-60 * 60 * SECOND_MS);
    await measure(1);
    await rig.time.advanceAsync(60 * 60 * SECOND_MS);
    expect([...rig.evidence.samples(rollout).values()]).toMatchObject([{ value: 1 }, { value: 1 }, { value: 1 }]);
    // What comes in the same interval is no range with what was dated so an hour ago.
    await rig.report(depthOf("i", 2, Math.floor(rig.time.clock.now() / INTERVAL_MS)));
    expect(depth()).toMatchObject({ lowest: 2, highest: 2 });
  });

  it("takes a hundred gauges from an environment, and counts the rest", async () => {
    const gauges = Array.from({ length: 101 }, (_, index) => ({
      metric: `g_${index}`,
      last: 1,
      interval: NOON_INTERVAL,
    }));
    await rig.report({ gauges });
    await rig.report({ gauges: gauges.slice(0, 2) });
    expect(rig.telemetry.unknown(PRODUCTION).refused).toEqual({ gauge_limit: 1 });
  });
});

describe("TE-106 names that nobody knows are reported", () => {
  it("as variants of their flag, at most a thousand", async () => {
    const cells = Array.from({ length: 1_000 }, (_, index) => ({ flag: "redis", variant: `v${index}`, exposures: 2 }));
    await rig.report({ cells });
    await rig.report({ cells: [{ flag: "redis", variant: "one-more", exposures: 5 }, ...cells.slice(0, 1)] });
    const { variants } = rig.telemetry.unknown(PRODUCTION);
    expect(variants).toHaveLength(1_001);
    expect(variants.find(({ variant }) => variant === "v0")).toMatchObject({ flag: "redis", count: 4 });
    expect(variants.find(({ variant }) => variant === "__other__")).toMatchObject({ flag: "__other__", count: 5 });
  });

  it("as flags that an instance forces, by its latest batch", async () => {
    await rig.report({ overridden: ["redis"] });
    await rig.report({ instance: "j" });
    expect(rig.telemetry.overridden(PRODUCTION)).toEqual([{ instance: "i", boot: "b", flags: ["redis"] }]);
    await rig.report({});
    expect(rig.telemetry.overridden(PRODUCTION)).toEqual([]);
  });
});

describe("TE-104 evidence is kept until thirty days after its attempt ended", () => {
  const later = async (days: number) => {
    rig.time.jumpWallClock(days * DAY_MS);
    for (let turn = 0; turn < 3; turn += 1) await rig.time.advanceAsync(60 * SECOND_MS);
  };
  const rows = () => through(Infinity).length;

  it("as long as it lives, and a month more", async () => {
    await rig.report({ evidence: [aCell()] });
    await later(40);
    expect(rows()).toBe(1);
    rig.rollouts.set("r1", aRollout({}, { endedAt: new Date(rig.time.clock.now()).toISOString() }));
    await later(29);
    expect(rows()).toBe(1);
    await later(2);
    expect(rows()).toBe(0);
    expect(rig.evidence.lastReceived(arms)).toEqual({ canary: null, control: null });
  });

  it("a former attempt from its last evidence on", async () => {
    await rig.report({ evidence: [aCell()] });
    rig.rollouts.set("r1", aRollout({}, { attempt: 2 }));
    await later(31);
    expect(rows()).toBe(0);
  });
});

describe("TE-107 a database of an earlier release", () => {
  let old: EvidenceRig;
  afterEach(() => old.dispose());

  /** As release number `version` left it. */
  function startOn(version: number, fill: (database: Database.Database) => void): void {
    old = createEvidenceRig(createFakeTime(NOON));
    old.telemetry.close();
    const database = new Database(old.file);
    for (const table of database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all()) {
      database.exec(`DROP TABLE ${String(table)}`);
    }
    for (const step of STEPS.slice(0, version)) database.exec(step);
    fill(database);
    database.pragma(`user_version = ${version}`);
    database.close();
    old.restart();
  }

  it("keeps what it holds", async () => {
    startOn(1, (database) => {
      database.exec("INSERT INTO boot VALUES ('production', 'i', 'b', 7, 0)");
      database.exec(`INSERT INTO exposure VALUES ('production', 'redis', 'on', 3600000, ${NOON}, 41)`);
    });
    expect(old.telemetry.lastSequence(PRODUCTION, "i", "b")).toBe(7);
    expect(old.telemetry.exposures(PRODUCTION, aRollout().flag, 0)).toEqual({ on: 41 });
    await old.report({ sequence: 8, evidence: [aCell()] });
    await old.time.advanceAsync(2 * INTERVAL_MS);
    expect(old.evidence.intervals(arms, { through: old.evidence.through() })).toHaveLength(1);
  });

  it("takes a word about a breaker whose stage it does not know for one of any", async () => {
    startOn(3, (database) => {
      const put = database.prepare("INSERT INTO reporter VALUES ('r1', 1, ?, 'b', ?, ?, ?)");
      put.run("i", 0, "open", NOON);
      put.run("j", 1, null, NOON);
    });
    expect(old.evidence.breakers(arms, 1)).toEqual({ openInstanceCount: 1, canaryInstanceCount: 2 });
  });

  it("takes the one value that it knows of a gauge for all reports, and a posted one for the last word", async () => {
    startOn(2, (database) => {
      const put = database.prepare("INSERT INTO gauge VALUES ('production', ?, ?, ?, ?, ?)");
      put.run("depth", "sdk", NOON_INTERVAL, NOON, 7);
      put.run("score", "posted", NOON_INTERVAL, NOON + 5, 93);
    });
    const guardrails = ["depth", "score"].map((metric) => ({ metric, kind: "gauge", max: 5 }) as const);
    const samples = () => Object.fromEntries(old.evidence.samples(aRollout({ guardrails })));
    old.time.jumpWallClock(5);
    expect(samples()).toEqual({
      depth: { at: NOON, value: 7, lowest: 7, highest: 7 },
      score: { at: NOON + 5, value: 93 },
    });
    await old.report({ gauges: [{ metric: "depth", last: 3, interval: NOON_INTERVAL }] });
    expect(samples()["depth"]).toEqual({ at: NOON, value: 3, lowest: 3, highest: 7 });
  });
});
