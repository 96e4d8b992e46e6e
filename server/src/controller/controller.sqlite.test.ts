import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decide, restoreInputs } from "@bunting/gating";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { actor, createFlag, flagKeyOf, killOf, PRODUCTION, restoreOf, TestFolder } from "../ledger/ledger-fixture.ts";
import { viewOf } from "../rollouts/rollout.ts";
import { AttemptMemory } from "./attempt-memory.ts";
import { ControllerWorld, FLAG, TUESDAY } from "./controller-fixture.ts";
import { look, watch } from "./look.ts";

let world: ControllerWorld;
beforeEach(() => {
  world = new ControllerWorld({ time: createFakeTime(TUESDAY), random: createSeededRandom(7) });
});
afterEach(() => world.remove());

const FOREVER = 900;

describe("GA-200 a healthy rollout", () => {
  it("goes from stage to stage to its end, and its log tells how", () => {
    const id = world.start();
    world.run();
    world.traffic(id, 300);
    expect(world.rollout(id).rollout).toMatchObject({ state: "completed", stage: 2, percent: 100 });
    expect(world.story(id)).toEqual([
      "start",
      "insufficient_data",
      "baking",
      "promote",
      "insufficient_data",
      "baking",
      "promote",
      "insufficient_data",
      "baking",
      "complete",
    ]);
    expect(world.configuration().configuration.fallthrough).toEqual({ split: { on: 100, off: 0 } });
    expect(world.entry()?.rollout).toBeUndefined();
  });

  it("is shown with the counts of the latest look, also where that said nothing new, and with none of a stage before", () => {
    const id = world.start({ minSamples: 1_000_000 });
    world.run();
    world.traffic(id, 60);
    const first = viewOf(world.rollout(id)).counts?.canary.exposureCount ?? 0;
    world.traffic(id, 60);
    expect(world.story(id)).toEqual(["start", "insufficient_data"]);
    expect(viewOf(world.rollout(id)).counts?.canary.exposureCount).toBeGreaterThan(Math.max(first, 1));
    world.command(id, "promote", "a share that says more");
    expect(viewOf(world.rollout(id)).counts).toBeNull();
  });

  it("asks SDKs for evidence of its stage while it is under way", () => {
    const id = world.start();
    const { groupSalt } = world.rollout(id);
    expect(world.entry()?.rollout).toEqual({
      id,
      attempt: 1,
      stage: 0,
      canary: "on",
      control: "off",
      rule: null,
      groupSalt,
      metrics: [],
    });
    world.run();
    world.traffic(id, 100);
    expect(world.entry()?.rollout).toMatchObject({ stage: 1, groupSalt });
  });
});

describe("GA-201 nothing is promoted without affirmative evidence", () => {
  /** Where the rollout stands after a long time, and what its latest look said. */
  function outcomeOf(id: string) {
    const { rollout, latestAnalysis } = world.rollout(id);
    return { state: rollout.state, stage: rollout.stage, cause: latestAnalysis?.cause };
  }

  it("on no data", () => {
    const id = world.start();
    world.run();
    world.time.advance(FOREVER * 1_000);
    expect(outcomeOf(id)).toMatchObject({ state: "running", stage: 0, cause: "no_data" });
  });

  it("with one arm idle", () => {
    const id = world.start();
    world.run();
    for (let elapsed = 0; elapsed < FOREVER; elapsed += 10) {
      world.evidence.report(world.rollout(id).rollout, "on", { outcomeCount: 100 });
      world.time.advance(10_000);
    }
    expect(outcomeOf(id)).toMatchObject({ state: "running", stage: 0 });
    expect(world.rollout(id).latestAnalysis?.verdict).toBe("hold");
  });

  it("with Prometheus down", () => {
    const prometheus = { source: "prometheus", query: "up", max: 1, id: "up" } as const;
    const id = world.start({ guardrails: [{ metric: "error_rate", max: 0.01 }, prometheus] });
    world.run();
    for (let elapsed = 0; elapsed < FOREVER; elapsed += 10) {
      world.evidence.sampled.set("up", { at: world.time.clock.now(), error: "connection refused" });
      world.traffic(id, 10);
    }
    expect(outcomeOf(id)).toEqual({ state: "running", stage: 0, cause: "measurement_error" });
    for (let elapsed = 0; elapsed < 120; elapsed += 10) {
      world.evidence.sampled.set("up", { at: world.time.clock.now(), value: 0 });
      world.traffic(id, 10);
    }
    expect(world.rollout(id).rollout.stage).toBeGreaterThan(0);
  });

  it("with a sample ratio that does not fit the split", () => {
    const id = world.start();
    world.run();
    for (let elapsed = 0; elapsed < FOREVER; elapsed += 10) {
      const { rollout } = world.rollout(id);
      world.evidence.report(rollout, "on", { outcomeCount: 400 });
      world.evidence.report(rollout, "off", { outcomeCount: 900 });
      world.time.advance(10_000);
    }
    expect(outcomeOf(id)).toEqual({ state: "running", stage: 0, cause: "sample_ratio_mismatch" });
  });

  it("with too few samples", () => {
    const id = world.start({ minSamples: 100_000 });
    world.run();
    world.traffic(id, FOREVER);
    expect(outcomeOf(id)).toEqual({ state: "running", stage: 0, cause: "insufficient_data" });
  });

  it("outside the release window, until it opens", () => {
    const until = { timezone: "Europe/Paris", days: ["tue" as const], from: "14:00", to: "15:01" };
    const again = { timezone: "Europe/Paris", days: ["tue" as const], from: "15:30", to: "17:00" };
    const id = world.start({ windows: [until, again] });
    world.run();
    world.traffic(id, FOREVER);
    expect(outcomeOf(id)).toEqual({ state: "running", stage: 0, cause: "outside_window" });
    expect(world.rollout(id).nextStep?.waitsFor.join()).toContain("Tue 2026-11-24 15:30 Europe/Paris");
    world.traffic(id, FOREVER + 10);
    expect(world.rollout(id).rollout.stage).toBeGreaterThan(0);
  });

  it("without its approval; and a role, or somebody else, where it asks for one", () => {
    const approval = { roles: ["SRE"], byOthers: true };
    const stages = [{ percent: 10, bakeSeconds: 60, approval }, { percent: 100 }];
    const id = world.start({ stages });
    world.run();
    world.traffic(id, FOREVER);
    expect(outcomeOf(id)).toEqual({ state: "awaiting_approval", stage: 0, cause: "awaiting_approval" });

    const approve = world.order(id, "approve", "GO");
    expect(world.ledger.execute(approve, { ...actor("operator"), name: "passer-by" })).toMatchObject({
      refusal: { code: "approval_role_missing" },
    });
    const owner = { ...actor("operator"), name: "release owner", roles: ["SRE"] };
    world.do(approve, owner);
    world.traffic(id, 60);
    expect(world.rollout(id).rollout.state).toBe("awaiting_approval");
    world.do(approve, { ...actor("operator"), name: "on-call", roles: ["SRE", "Tech Lead"] });
    world.traffic(id, 20);
    expect(world.rollout(id).rollout).toMatchObject({ state: "running", stage: 1 });
    expect(world.rollout(id).rollout.signatures.at(-1)).toMatchObject({ by: "on-call", roles: ["SRE"] });
  });

  it("on a flag that a human has changed: that change stays, and the rollout stands down", () => {
    const id = world.start();
    world.run();
    world.traffic(id, 30);
    world.edit({ fallthrough: { split: { on: 33, off: 67 } } });
    world.time.advance(1_000);
    expect(world.rollout(id).rollout.state).toBe("aborted");
    expect(world.rollout(id).latestAnalysis).toMatchObject({ action: "abort", cause: "flag_changed" });
    const { configuration } = world.configuration();
    world.traffic(id, FOREVER);
    expect(world.configuration().configuration).toEqual(configuration);
    expect(configuration.fallthrough).toEqual({ split: { on: 33, off: 67 } });
    expect(world.entry()?.rollout).toBeUndefined();
  });

  it("on a killed flag, which it never brings back, not even when it is restored", () => {
    const id = world.start();
    world.run();
    world.traffic(id, 30);
    world.do(killOf(FLAG));
    world.time.advance(1_000);
    expect(world.rollout(id).rollout.state).toBe("aborted");
    expect(world.rollout(id).latestAnalysis).toMatchObject({ action: "abort", cause: "flag_killed" });
    world.traffic(id, FOREVER);
    expect(world.configuration().configuration.killed).not.toBeNull();
    world.do(restoreOf(FLAG));
    world.traffic(id, FOREVER);
    expect(world.rollout(id).rollout.state).toBe("aborted");
  });

  it("while evidence cannot be read, which is no sign of anything", () => {
    const id = world.start({ onNoData: "rollback" });
    world.run();
    world.traffic(id, 30);
    world.evidence.isReadable = false;
    world.traffic(id, FOREVER);
    expect(world.rollout(id).rollout).toMatchObject({ state: "running", stage: 0 });
    expect(world.log.at(-1)?.message).toBe("The evidence of a rollout cannot be read at the moment.");
    world.evidence.isReadable = true;
    world.traffic(id, 30);
    expect(world.rollout(id).rollout.stage).toBe(1);
  });
});

describe("GA-202 a failure takes the canary back", () => {
  it.each(["running", "paused", "awaiting_approval"] as const)("while it is %s", (state) => {
    const approval = state === "awaiting_approval";
    const id = world.start({
      stages: [{ percent: 10, bakeSeconds: 60, ...(approval && { approval }) }, { percent: 100 }],
    });
    world.run();
    world.traffic(id, state === "awaiting_approval" ? 120 : 30);
    if (state === "paused") world.command(id, "pause");
    expect(world.rollout(id).rollout.state).toBe(state);
    world.traffic(id, 60, { canaryErrorRate: 0.06 });
    expect(world.rollout(id).rollout).toMatchObject({ state: "rolled_back", percent: 0 });
    expect(world.configuration().configuration.fallthrough).toEqual({ split: { on: 0, off: 100 } });
    world.traffic(id, FOREVER);
    expect(world.rollout(id).rollout.state).toBe("rolled_back");
  });

  it("and the flag with it where the guardrail says kill", () => {
    const id = world.start({ guardrails: [{ metric: "error_rate", max: 0.01, onFail: "kill" }] });
    world.run();
    world.traffic(id, 60, { canaryErrorRate: 0.06 });
    expect(world.rollout(id).rollout.state).toBe("rolled_back");
    const { killed, fallthrough } = world.configuration().configuration;
    expect([killed?.by, fallthrough]).toEqual(["controller", { split: { on: 0, off: 100 } }]);
  });
});

describe("GA-203 a gross failure", () => {
  it("is acted on within a second of the batch that shows it, however long the interval is", () => {
    const id = world.start({ analysisIntervalSeconds: 3600, decideBy: "evidence" });
    world.run();
    world.traffic(id, 100);
    const { rollout } = world.rollout(id);
    world.evidence.report(rollout, "off", { outcomeCount: 900 });
    world.evidence.report(rollout, "on", { outcomeCount: 100, errorCount: 100 });
    world.time.advance(1_000);
    expect(world.rollout(id).rollout.state).toBe("rolled_back");
    // Seen by what is not behind the watermark yet, so its counts hold that too (GA-159).
    const { latestAnalysis } = world.rollout(id);
    expect(latestAnalysis).toMatchObject({
      verdict: "fail",
      action: "rollback",
      counts: { canary: { errorCount: 100 }, fresh: { canary: { errorCount: 100 } } },
    });
    expect(latestAnalysis?.counts.fresh?.canary.outcomeCount).toBeLessThan(
      latestAnalysis?.counts.canary.outcomeCount ?? 0,
    );
  });

  it("is acted on at once, though something is failing already that a look would have to find", () => {
    const id = world.start({
      analysisIntervalSeconds: 3600,
      decideBy: "evidence",
      guardrails: [{ metric: "error_rate", max: 0.001, worseThanControl: true, onFail: "kill" }],
    });
    world.run();
    world.traffic(id, 100, { canaryErrorRate: 0.09 });
    expect(world.rollout(id).rollout.state).toBe("running");
    const { rollout } = world.rollout(id);
    world.evidence.report(rollout, "off", { outcomeCount: 900 });
    world.evidence.report(rollout, "on", { outcomeCount: 500, errorCount: 500 });
    world.time.advance(1_000);
    expect(world.rollout(id).rollout.state).toBe("rolled_back");
    expect(world.configuration().configuration.killed?.by).toBe("controller");
  });

  it("is acted on when breakers report it", () => {
    const id = world.start({ analysisIntervalSeconds: 3600, decideBy: "evidence" });
    world.run();
    world.traffic(id, 100);
    world.evidence.open = { openInstanceCount: 2, canaryInstanceCount: 50 };
    world.evidence.announce(id);
    world.time.advance(1_000);
    expect(world.rollout(id).rollout.state).toBe("rolled_back");
    expect(world.rollout(id).latestAnalysis?.because).toContain("breakers are open in 2 of 50 instances");
  });

  it("shows the errors that breakers opened at, also those of long ago that could not be reported", () => {
    const id = world.start({ analysisIntervalSeconds: 3600, decideBy: "evidence" });
    world.run();
    world.traffic(id, 60);
    const { rollout } = world.rollout(id);
    // The server was gone for two minutes while the canary burned.
    world.time.advance(120_000);
    world.evidence.open = { openInstanceCount: 2, canaryInstanceCount: 2 };
    world.evidence.report(rollout, "off", { outcomeCount: 900 }, 12);
    world.evidence.report(rollout, "on", { outcomeCount: 17, errorCount: 16 }, 12);

    // Whoever comes first, a look or what the batch brings about, decides on the same.
    const stored = world.rollout(id);
    const { configuration } = world.configuration();
    const now = world.time.clock.now();
    const memory = new AttemptMemory(stored.rollout);
    while (memory.advance(world.evidence, world.evidence.through(), now) === "more");
    const looked = look(stored, configuration, world.evidence, { memory, now, watchedSince: TUESDAY });
    if (typeof looked === "string") throw new Error(`The look came to ${looked}.`);
    world.time.advance(1_000);
    const { latestAnalysis } = world.rollout(id);
    expect(latestAnalysis).toMatchObject({ action: "rollback", counts: { canary: { errorCount: 16 } } });
    expect(latestAnalysis?.because).toContain("in this stage 16 of the canary's ");
    expect(looked.ruling.decision.counts).toEqual(latestAnalysis?.counts);
    expect(looked.inputs.fresh).toHaveLength(2);
  });

  it("is written down once, and not with every batch, where the plan leaves it to people", () => {
    const id = world.start({ analysisIntervalSeconds: 3600, decideBy: "evidence", autoRollback: false });
    world.run();
    world.traffic(id, 20);
    const before = world.rollout(id).decisionCount;
    world.traffic(id, 60, { canaryErrorRate: 1 });
    expect(world.rollout(id).decisionCount).toBe(before + 1);
    expect(world.rollout(id).rollout.state).toBe("running");
  });

  it("keeps what it was decided by, for a replay", () => {
    const id = world.start({ analysisIntervalSeconds: 3600, decideBy: "evidence" });
    world.run();
    world.traffic(id, 100);
    world.evidence.report(world.rollout(id).rollout, "on", { outcomeCount: 100, errorCount: 100 });
    world.time.advance(1_000);
    const [record] = world.ledger.decisions({ rollout: id, before: null, limit: 1, onlyChanges: false });
    const { fresh, through } = (record?.inputs ?? {}) as unknown as {
      fresh: { errorCount: number }[];
      through: number;
    };
    expect(fresh.map(({ errorCount }) => errorCount)).toContain(100);
    expect(through).toBe(world.evidence.through());
  });
});

describe("GA-204 a restart", () => {
  it("goes on where it was: nothing is skipped, nothing is done twice", () => {
    const id = world.start();
    for (let restarts = 0; restarts < 30; restarts++) {
      world.run();
      world.traffic(id, 10);
      world.reopen();
    }
    expect(world.rollout(id).rollout.state).toBe("completed");
    expect(world.story(id).filter((each) => !["insufficient_data", "baking"].includes(each))).toEqual([
      "start",
      "promote",
      "promote",
      "complete",
    ]);
    expect(world.ledger.verify()).toMatchObject({ intact: true, damagedRows: [] });
  });

  it("looks at once, for it knows of no look before", () => {
    const id = world.start({ analysisIntervalSeconds: 3600 });
    world.run();
    world.time.advance(1_000);
    expect(world.rollout(id).latestAnalysis).not.toBeNull();
  });
});

describe("GA-205 clocks", () => {
  it.each([
    ["an hour back", -3_600_000],
    ["an hour forward", 3_600_000],
    ["ten years back", -10 * 365 * 86_400_000],
    ["ten years forward", 10 * 365 * 86_400_000],
  ])("that jump %s promote nothing by themselves", (_, jump) => {
    const id = world.start();
    world.run();
    world.traffic(id, 30);
    const { decisionCount } = world.rollout(id);
    world.time.jumpWallClock(jump);
    world.time.advance(20_000);
    expect(world.rollout(id).rollout).toMatchObject({ state: "running", stage: 0 });
    // Two intervals of ten seconds: looks are counted by the clock that never jumps.
    expect(world.rollout(id).decisionCount - decisionCount).toBeLessThanOrEqual(3);
  });

  it("time asleep is no time baked", () => {
    const id = world.start({ stages: [{ percent: 10, bakeSeconds: 1800 }, { percent: 100 }] });
    world.run();
    world.traffic(id, 60);
    world.reopen();
    world.time.advance(3_600_000);
    world.run();
    world.traffic(id, 60);
    expect(world.rollout(id).rollout.stage).toBe(0);
    expect(world.rollout(id).latestAnalysis?.bakedSeconds).toBeLessThan(200);
  });
});

describe("GA-205 silence counts while somebody listens", () => {
  const atTheEnd = (): string => world.start({ stages: [{ percent: 100, bakeSeconds: 86_400 }], onNoData: "rollback" });
  const advance = (seconds: number): void => {
    for (let elapsed = 0; elapsed < seconds; elapsed += 10) world.time.advance(10_000);
  };
  const state = (id: string) => world.rollout(id).rollout.state;

  it("an outage of the server is none of the canary's, and what is silent after it is taken back in its time", () => {
    const id = atTheEnd();
    world.run();
    world.traffic(id, 60);
    world.reopen();
    world.time.advance(1_800_000);
    world.run();
    advance(60);
    expect([state(id), world.rollout(id).latestAnalysis?.cause]).toEqual(["running", "no_data"]);
    advance(480);
    expect(state(id)).toBe("running");
    advance(90);
    expect(state(id)).toBe("rolled_back");
  });

  it("a clock that jumps an hour is no hour of silence", () => {
    const id = atTheEnd();
    world.run();
    world.traffic(id, 60);
    world.time.jumpWallClock(3_600_000);
    advance(60);
    expect(state(id)).toBe("running");
    advance(660);
    expect(state(id)).toBe("rolled_back");
  });

  it.each([
    ["a clock that jumps", () => world.time.jumpWallClock(3_600_000)],
    [
      "an outage",
      () => {
        world.reopen();
        world.time.advance(3_600_000);
        world.run();
      },
    ],
  ])("%s is no time without a sign of harm: what is not proven waits for it", (_, happen) => {
    const id = world.start({
      decideBy: "evidence",
      stages: [{ percent: 50, bakeSeconds: 60 }, { percent: 100 }],
      guardrails: [{ metric: "error_rate", worseThanControl: true }],
    });
    world.run();
    const slow = { perSecond: 20, canaryErrorRate: 0.01, controlErrorRate: 0.01 };
    world.traffic(id, 120, slow);
    happen();
    world.traffic(id, 120, slow);
    expect(world.rollout(id).rollout).toMatchObject({ state: "running", stage: 0 });
    world.traffic(id, 1_800, slow);
    expect(world.rollout(id).rollout).toMatchObject({ stage: 1 });
  });
});

describe("GA-206 a defect of the server", () => {
  it("pauses the one rollout that it met, says so in the log, and leaves the others alone", () => {
    const other = flagKeyOf("search");
    world.do(createFlag(other), actor());
    const broken = world.start();
    const healthy = world.create({}, other);
    world.command(healthy, "start");
    const { evidence } = world;
    const cells = evidence.cells.bind(evidence);
    evidence.cells = (arms, range) => {
      if (arms.rollout === broken) throw new Error("a defect");
      return cells(arms, range);
    };
    world.run();
    world.traffic(healthy, 300);
    expect(world.rollout(healthy).rollout.state).toBe("completed");
    expect(world.rollout(broken).rollout).toMatchObject({ state: "paused", stage: 0 });
    expect(world.log.find(({ level }) => level === "error")).toMatchObject({ fields: { rollout: broken } });
    // Once per interval and not in a circle.
    expect(world.log.filter(({ level }) => level === "error").length).toBeLessThanOrEqual(31);
  });
});

describe("GA-207 R30 kill -9 at any step", () => {
  it("leaves a rollout that the next start brings to the same end", () => {
    const remains: string[] = [];
    let isArmed = false;
    const take = (): void => {
      if (!isArmed) return;
      const copy = mkdtempSync(join(tmpdir(), "bunting-remains-"));
      cpSync(world.folder.path, copy, { recursive: true });
      remains.push(copy);
    };
    const id = world.start();
    world.run();
    world.traffic(id, 60);
    world.reopen({ failpoints: { afterCommit: take, onStatement: take } });
    // One whole look, which promotes: each moment of it could be the last.
    const beforeLook = (): void => {
      isArmed = world.rollout(id).rollout.stage === 0;
      take();
    };
    world.run({ failpoints: { beforeLook, afterLook: take } });
    world.time.advance(1_000);
    world.traffic(id, 30);
    isArmed = false;
    expect(world.rollout(id).rollout.stage).toBe(1);
    world.stop();
    try {
      expect(remains.length).toBeGreaterThan(15);
      for (const dataDir of remains) {
        const folder = new TestFolder({ time: createFakeTime(TUESDAY), random: createSeededRandom(9) });
        const { ledger } = folder.open({ dataDir });
        const stored = ledger.state.rollouts.get(id);
        expect(ledger.verify()).toMatchObject({ intact: true, damagedRows: [] });
        // Half a step is no step: the stage, the share and the log say the same.
        const promotions = ledger
          .decisions({ rollout: id, before: null, limit: 200, onlyChanges: true })
          .filter(({ action }) => action === "promote");
        expect(promotions).toHaveLength(stored?.rollout.stage ?? -1);
        const entry = ledger.state.environments.get(PRODUCTION)?.flags.get(FLAG);
        expect(entry?.rollout?.stage).toBe(stored?.rollout.stage);
        folder.remove();
      }
    } finally {
      for (const copy of remains) rmSync(copy, { recursive: true, force: true });
    }
  });
});

describe("GA-179 whoever is on call", () => {
  it("sees of each live rollout how long nobody has looked at it, and how often its plan wants that", async () => {
    const id = world.start({ analysisIntervalSeconds: 60 });
    world.run();
    world.traffic(id, 120);
    const valueOf = async (name: string): Promise<number | undefined> => {
      const line = `${name}{environment="production",flag="checkout"} `;
      const text = await world.registry.metrics();
      const found = text.split("\n").find((each) => each.startsWith(line));
      return found === undefined ? undefined : Number(found.slice(line.length));
    };
    expect(await valueOf("bunting_rollout_look_interval_seconds")).toBe(60);
    expect(await valueOf("bunting_rollout_look_age_seconds")).toBeLessThanOrEqual(60);
    // Evidence that cannot be read puts looks off, and that must be seen.
    world.evidence.isReadable = false;
    world.time.advance(600_000);
    expect(await valueOf("bunting_rollout_look_age_seconds")).toBeGreaterThan(550);
    world.evidence.isReadable = true;
    world.command(id, "rollback", "done");
    expect(await valueOf("bunting_rollout_look_age_seconds")).toBeUndefined();
  });
});

describe("GA-178 a look at much evidence", () => {
  it("lets a gross failure be acted on while statistics are still being made, and replays all the same", () => {
    const id = world.start({
      analysisIntervalSeconds: 3_600,
      decideBy: "evidence",
      stages: [{ percent: 10 }, { percent: 50 }],
    });
    world.traffic(id, 1_200);
    const { rollout } = world.rollout(id);
    world.evidence.report(rollout, "on", { outcomeCount: 100, errorCount: 100 });
    world.evidence.report(rollout, "off", { outcomeCount: 900 });
    const stored = world.rollout(id);
    const { configuration } = world.configuration();
    const facts = { memory: new AttemptMemory(rollout), now: world.time.clock.now(), watchedSince: TUESDAY };
    expect(look(stored, configuration, world.evidence, facts)).toBe("more");
    const looked = watch(stored, configuration, world.evidence, facts);
    expect(looked?.ruling.decision).toMatchObject({ action: "rollback", counts: { canary: { errorCount: 100 } } });
    expect(looked?.inputs).toMatchObject({ through: -1, settledCount: 0 });
    const again = looked && restoreInputs(JSON.parse(JSON.stringify(looked.inputs)), []);
    expect(again && decide(again).decision).toEqual(looked?.ruling.decision);
  });

  it("is taken in several turns by a controller that starts late, and comes to the same", () => {
    const id = world.start({ decideBy: "evidence", stages: [{ percent: 10 }, { percent: 50 }] });
    world.traffic(id, 1_200);
    world.run();
    world.time.advance(1_000);
    const { latestAnalysis } = world.rollout(id);
    expect(latestAnalysis).toMatchObject({ bakedSeconds: 1_190 });
    expect(latestAnalysis?.counts.canary.outcomeCount).toBe(119 * 100);
  });
});
