import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  admitsProbe,
  type BreakerEvent,
  type BreakerState,
  CANARY,
  CLOSED,
  CONTROL,
  isBurning,
  nextBreaker,
  OutcomeWindows,
  waitOf,
} from "./breaker.ts";
import type { Trials } from "./evidence/likelihood.ts";

const trials = (trialCount: number, failureCount: number): Trials => ({ trialCount, failureCount });

/** With every canary request failing: the failed unit at which it opens. */
function opensAt(control: Trials): number {
  for (let units = 1; units < 1_000; units += 1) if (isBurning(trials(units, units), control)) return units;
  return Number.POSITIVE_INFINITY;
}

describe("TE-44 when a canary burns", () => {
  it.each([
    ["5 failed units in 990 control trials", trials(990, 5), 7],
    ["99 clean control trials", trials(99, 0), 15],
    ["no local control", trials(0, 0), 6],
    ["too few control trials to compare with", trials(19, 19), 6],
  ])("with %s: at failed unit %#", (_control, control, unit) => {
    expect(opensAt(control)).toBe(unit);
  });

  it("not while the control fails as well: 25 of 30 against 2,400 of 3,000", () => {
    expect(isBurning(trials(30, 25), trials(3_000, 2_400))).toBe(false);
    expect(isBurning(trials(30, 25), trials(3_000, 15))).toBe(true);
  });

  it("not below five units, nor at 5 % of the trials", () => {
    expect(isBurning(trials(4, 4), trials(0, 0))).toBe(false);
    expect(isBurning(trials(100_000, 5_000), trials(0, 0))).toBe(false);
    expect(isBurning(trials(100_000, 6_000), trials(0, 0))).toBe(true);
  });
});

describe("TE-44 within one second", () => {
  const SEED = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9));

  /** A thousand requests a second, one in `every` of them the canary's, which fails from some moment on. */
  function burnedMs(traffic: {
    healthyMs: number;
    every: number;
    offset: number;
    controlFails: (request: number) => boolean;
  }) {
    const { healthyMs, every, offset, controlFails } = traffic;
    const windows = new OutcomeWindows();
    let firstAt = Number.NaN;
    for (let now = 0; now < healthyMs + 60_000; now += 1) {
      if (now % every !== offset) {
        if (controlFails(now)) windows.failed(CONTROL, now, now);
        else windows.succeeded(CONTROL, now);
      } else if (now < healthyMs) windows.succeeded(CANARY, now);
      else {
        if (Number.isNaN(firstAt)) firstAt = now;
        windows.failed(CANARY, now, now);
        if (windows.isBurning(now)) return now - firstAt;
      }
    }
    return Number.POSITIVE_INFINITY;
  }

  it("at 1 % of 1,000 requests a second, whenever it begins and whatever was before", () => {
    for (const secondsBefore of [0, 1, 5, 30]) {
      for (let moment = 0; moment < 1_000; moment += 25) {
        const traffic = { healthyMs: secondsBefore * 1_000 + moment, every: 100, offset: moment % 100 };
        const took = burnedMs({ ...traffic, controlFails: (request) => request % 200 === 7 });
        expect(took, `${secondsBefore} s of success and ${moment} ms`).toBeLessThanOrEqual(1_000);
      }
    }
  });

  it("at any greater share", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 100 }).chain((every) => fc.tuple(fc.constant(every), fc.nat({ max: every - 1 }))),
        fc.nat({ max: 20_000 }),
        ([every, offset], healthyMs) => {
          const took = burnedMs({ healthyMs, every, offset, controlFails: () => false });
          expect(took).toBeLessThanOrEqual(1_000);
        },
      ),
      { seed: SEED, numRuns: 50 },
    );
  });
});

describe("TE-44 the windows", () => {
  it("hold 1, 3 and 10 seconds", () => {
    const windows = new OutcomeWindows();
    for (let second = 0; second < 10; second += 1) windows.succeeded(CANARY, second * 1_000 + 500);
    expect([1, 3, 10].map((seconds) => windows.trials(CANARY, seconds).trialCount)).toEqual([1, 3, 10]);
    windows.succeeded(CONTROL, 12_000);
    expect([1, 3, 10].map((seconds) => windows.trials(CANARY, seconds).trialCount)).toEqual([0, 1, 8]);
    windows.succeeded(CONTROL, 1_000_000);
    expect(windows.trials(CONTROL, 10).trialCount).toBe(1);
  });

  it("count a unit once, however often and in however many seconds it fails", () => {
    const windows = new OutcomeWindows();
    for (let time = 0; time < 9_900; time += 100) windows.failed(CANARY, 42, time);
    expect([1, 3, 10].map((seconds) => windows.trials(CANARY, seconds))).toEqual([
      trials(1, 1),
      trials(1, 1),
      trials(1, 1),
    ]);
    expect(windows.isBurning(9_900)).toBe(false);
    windows.failed(CANARY, 42, 60_000);
    expect(windows.trials(CANARY, 10)).toEqual(trials(1, 1));
  });

  it("find a burning canary behind many good seconds, and on a clock that starts below zero", () => {
    for (const start of [0, -7_000]) {
      const windows = new OutcomeWindows();
      for (let time = 0; time < 9_000; time += 10) windows.succeeded(CANARY, start + time);
      for (let unit = 1; unit < 6; unit += 1) windows.failed(CANARY, unit, start + 10_000);
      expect(windows.isBurning(start + 10_000)).toBe(false);
      windows.failed(CANARY, 6, start + 10_000);
      expect(windows.isBurning(start + 10_000)).toBe(true);
      expect(windows.burningTrials()).toEqual(trials(6, 6));
    }
  });

  it("remember no more than 4,096 failed units, and go on counting", () => {
    const windows = new OutcomeWindows();
    for (let unit = 0; unit < 10_000; unit += 1) windows.failed(CANARY, unit, 0);
    expect(windows.trials(CANARY, 1)).toEqual(trials(10_000, 10_000));
    for (let unit = 20_000; unit < 24_000; unit += 1) windows.failed(CANARY, unit, 11_000);
    for (let unit = 20_000; unit < 24_000; unit += 1) windows.failed(CANARY, unit, 12_000);
    expect(windows.trials(CANARY, 10)).toEqual(trials(4_000, 4_000));
  });
});

describe("TE-46 the life of a breaker", () => {
  const open: BreakerState = { name: "open", waitMs: 30_000 };
  const trial: BreakerState = {
    name: "half_open",
    waitMs: 30_000,
    since: 30_000,
    lastProbeAt: Number.NEGATIVE_INFINITY,
    hasSucceeded: false,
  };
  const events: readonly BreakerEvent[] = [
    { type: "burned" },
    { type: "waited", now: 30_000 },
    { type: "probed", now: 30_000 },
    { type: "probe_failed" },
    { type: "probe_succeeded", now: 31_000 },
  ];
  const table: readonly (readonly [BreakerState, readonly BreakerState["name"][]])[] = [
    [CLOSED, ["open", "closed", "closed", "closed", "closed"]],
    [open, ["open", "half_open", "open", "open", "open"]],
    [trial, ["half_open", "half_open", "half_open", "open", "half_open"]],
  ];

  it.each(table)("from $name by every event", (state, names) => {
    expect(events.map((event) => nextBreaker(state, event).name)).toEqual(names);
  });

  it("waits 30 s, twice as long after each failed trial, and never more than 10 minutes", () => {
    const waits: (number | null)[] = [];
    let state = nextBreaker(CLOSED, { type: "burned" });
    for (let failed = 0; failed < 7; failed += 1) {
      waits.push(waitOf(state));
      state = nextBreaker(nextBreaker(state, { type: "waited", now: 0 }), { type: "probe_failed" });
    }
    expect(waits).toEqual([30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
  });

  it("lets one decision a second through while half open", () => {
    expect(admitsProbe(CLOSED, 0)).toBe(false);
    expect(admitsProbe(open, 0)).toBe(false);
    expect(admitsProbe(trial, 30_000)).toBe(true);
    const probed = nextBreaker(trial, { type: "probed", now: 30_400 });
    expect([30_400, 31_399, 31_400].map((now) => admitsProbe(probed, now))).toEqual([false, false, true]);
  });

  it("closes after ten seconds in which a decision succeeded", () => {
    const succeeded = nextBreaker(trial, { type: "probe_succeeded", now: 31_000 });
    expect(succeeded.name).toBe("half_open");
    expect(waitOf(succeeded)).toBe(10_000);
    expect(nextBreaker(succeeded, { type: "waited", now: 39_999 }).name).toBe("half_open");
    expect(nextBreaker(succeeded, { type: "waited", now: 40_000 })).toBe(CLOSED);
  });

  it("stays half open without a success, until one comes", () => {
    const waited = nextBreaker(trial, { type: "waited", now: 40_000 });
    expect(waited.name).toBe("half_open");
    expect(nextBreaker(waited, { type: "probe_succeeded", now: 95_000 })).toBe(CLOSED);
  });
});
