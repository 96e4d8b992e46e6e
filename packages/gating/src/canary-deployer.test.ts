import type { Configuration, EvidenceCell, RolloutPlan } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { describe, expect, it } from "vitest";
import { type CommandRuling, decideCommand, type LatestDecision } from "./command.ts";
import { type DecisionInputs, decide, type PreviousDecision } from "./decide.ts";
import { cellsOf, exposedAt, OFF, ON, planWith, rolloutWith, TUESDAY } from "./rollout-fixture.ts";
import type { DecisionDraft, Ruling } from "./ruling.ts";
import { serveOfScope, withServeOfScope } from "./scope.ts";
import { splitAtPercent, splitOf } from "./split.ts";
import { WATERMARK_MS } from "./watermark.ts";

/*
 * A canary deployer as operators know it from other tools: phases of 1, 5, 25, 50 and 100 %, thresholds on error rate and
 * latency, ticks that promote, roll back or hold. Here it is the same machine and decisions as everywhere, with a plan that
 * decides by thresholds. Its test names are those of the acceptance list.
 */

/** One snapshot of an arm's metrics: errors come on top of the successes. */
interface Metrics {
  readonly successCount: number;
  readonly errorCount: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const canaryMetrics = (errorRate: number, changes: Partial<Metrics> = {}): Metrics => {
  const successCount = changes.successCount ?? 1000;
  return { p50Ms: 50, p99Ms: 200, successCount, errorCount: Math.floor(successCount * errorRate), ...changes };
};
const baselineMetrics = (errorRate: number, changes: Partial<Metrics> = {}): Metrics =>
  canaryMetrics(errorRate, { successCount: 10_000, p50Ms: 45, p99Ms: 180, ...changes });

/** The classic thresholds. One snapshot is an interval of ten seconds, so that is how long it bakes. */
const classic = (changes: Partial<RolloutPlan> = {}): RolloutPlan =>
  planWith({
    decideBy: "threshold",
    stages: planWith().stages.map((stage) => ({ ...stage, bakeSeconds: 10 })),
    ...changes,
  });

type Action = "nothing to do" | "holding" | "promoted" | "rolled back" | "completed";

/** The deployer over the pure core: its flag, its clock, and what it collected. Everything stored goes through JSON. */
class CanaryDeployer {
  rollout: ReturnType<typeof rolloutWith>;
  configuration: Pick<Configuration, "rules" | "fallthrough" | "killed" | "version"> = {
    rules: [],
    fallthrough: { variant: OFF },
    killed: null,
    version: 1,
  };
  cells: DecisionInputs["cells"] = [];
  readonly history: DecisionDraft[] = [];
  now = TUESDAY;
  #latest: (LatestDecision & PreviousDecision) | null = null;

  constructor(plan: RolloutPlan = classic()) {
    this.rollout = rolloutWith({ plan });
  }

  get trafficPercent(): number {
    return splitOf(serveOfScope(this.configuration, this.rollout.plan.scope) ?? { variant: OFF })[ON] ?? 0;
  }

  command(type: "start" | "promote" | "rollback" | "retry", comment = "by hand"): CommandRuling {
    const ruling = decideCommand({
      kind: "command",
      rollout: this.rollout,
      command: { type, by: { name: "ana", token: "t-1", roles: [] }, comment },
      variants: [ON, OFF],
      configuration: this.configuration,
      latest: this.#latest,
      now: this.now,
    });
    if (!("refusal" in ruling)) this.#perform(ruling);
    return ruling;
  }

  /** One interval of metrics of both arms, and a moment for it to arrive. */
  collect(canary: Metrics, baseline: Metrics): void {
    const place = {
      stage: this.rollout.stage ?? 0,
      attempt: this.rollout.attempt,
    };
    const traffic = ({ successCount, errorCount, p50Ms, p99Ms }: Metrics) => ({
      outcomeCount: successCount + errorCount,
      errorCount,
      p50Ms,
      p99Ms,
    });
    this.cells = [
      ...this.cells,
      ...cellsAt(
        this.rollout.percent,
        { ...place, from: this.now, to: this.now + EVIDENCE_INTERVAL_MS },
        {
          canary: traffic(canary),
          control: traffic(baseline),
        },
      ),
    ];
    this.now += EVIDENCE_INTERVAL_MS + WATERMARK_MS;
  }

  analyze(): DecisionDraft {
    const ruling = this.#look();
    this.#perform(ruling);
    return ruling.decision;
  }

  tick(): Action {
    const { action } = this.analyze();
    if (action === "promote") return "promoted";
    if (action === "rollback") return "rolled back";
    if (action === "complete") return "completed";
    return this.rollout.state === "running" ? "holding" : "nothing to do";
  }

  #look(): Ruling {
    const { killed, version } = this.configuration;
    return decide({
      kind: "analysis",
      rollout: this.rollout,
      flag: { killed: killed !== null, configurationVersion: version },
      cells: this.cells,
      samples: {},
      breakers: { openInstanceCount: 0, canaryInstanceCount: 1 },
      previous: this.#latest,
      now: this.now,
    });
  }

  #perform(ruling: Ruling): void {
    const stored: Pick<Ruling, "rollout" | "decision"> = JSON.parse(JSON.stringify(ruling));
    this.rollout = stored.rollout;
    this.history.push(stored.decision);
    if (stored.decision.by === "controller") this.#latest = stored.decision;
    const { plan, formerServe } = this.rollout;
    for (const effect of ruling.transition.effects) {
      const former = formerServe ?? { variant: OFF };
      if (effect.type === "set_percent") {
        this.#write({ split: splitAtPercent(splitOf(former), plan.canary, effect.percent) });
      }
      if (effect.type === "restore_control") this.#write(former);
    }
  }

  #write(serve: Configuration["fallthrough"]): void {
    this.configuration = {
      ...this.configuration,
      ...withServeOfScope(this.configuration, this.rollout.plan.scope, serve),
      version: this.configuration.version + 1,
    };
    this.rollout = { ...this.rollout, configurationVersion: this.configuration.version };
  }
}

/** At 100 % there is no control left to report. */
function cellsAt(
  percent: number,
  span: Parameters<typeof cellsOf>[0],
  arms: Parameters<typeof exposedAt>[1],
): EvidenceCell[] {
  return cellsOf(span, percent === 100 ? { canary: arms.canary } : exposedAt(percent, arms));
}

/** Started, and one snapshot collected. */
function deployed(canary: Metrics, baseline: Metrics, plan?: RolloutPlan): CanaryDeployer {
  const deployer = new CanaryDeployer(plan);
  deployer.command("start");
  deployer.collect(canary, baseline);
  return deployer;
}

const codeOf = (ruling: CommandRuling): string => ("refusal" in ruling ? ruling.refusal.code : "obeyed");

describe("GA-160 the canary deployer", () => {
  it("test_start_canary: a new version receives nobody, and its history is empty", () => {
    const deployer = new CanaryDeployer();
    expect(deployer.rollout).toMatchObject({ state: "pending", stage: null, percent: 0, attempt: 1 });
    expect(deployer.trafficPercent).toBe(0);
    expect(deployer.tick()).toBe("nothing to do");
    expect(codeOf(deployer.command("promote"))).toBe("rollout_not_live");
  });

  it("test_phase_progression: five steps by hand lead through 1, 5, 25, 50 and 100 %, each stored", () => {
    const deployer = new CanaryDeployer();
    deployer.command("start");
    const stored = [{ stage: deployer.rollout.stage, percent: deployer.rollout.percent }];
    for (let step = 1; step < 5; step += 1) {
      deployer.command("promote", "rehearsal");
      stored.push({ stage: deployer.rollout.stage, percent: deployer.rollout.percent });
    }
    expect(stored).toEqual([
      { stage: 0, percent: 1 },
      { stage: 1, percent: 5 },
      { stage: 2, percent: 25 },
      { stage: 3, percent: 50 },
      { stage: 4, percent: 100 },
    ]);
    expect(deployer.history.slice(1).every(({ forced, by }) => forced && by === "ana")).toBe(true);
  });

  it("test_full_promotion: at 100 % there is nothing to promote to, and the last bake completes it", () => {
    const deployer = new CanaryDeployer();
    deployer.command("start");
    for (let step = 1; step < 5; step += 1) deployer.command("promote", "rehearsal");
    expect(codeOf(deployer.command("promote", "rehearsal"))).toBe("rollout_at_last_stage");
    expect(deployer.rollout.state).toBe("running");
    deployer.collect(canaryMetrics(0.005), baselineMetrics(0.004));
    expect(deployer.tick()).toBe("completed");
    expect(deployer.rollout).toMatchObject({ state: "completed", percent: 100 });
    expect(deployer.trafficPercent).toBe(100);
    expect(codeOf(deployer.command("promote", "rehearsal"))).toBe("rollout_not_live");
  });

  it("test_traffic_percent: what is served is the stage's percent, and nothing before the start", () => {
    const deployer = new CanaryDeployer();
    const served = [deployer.trafficPercent];
    deployer.command("start");
    served.push(deployer.trafficPercent);
    for (let step = 1; step < 5; step += 1) {
      deployer.command("promote", "rehearsal");
      served.push(deployer.trafficPercent);
    }
    expect(served).toEqual([0, 1, 5, 25, 50, 100]);
    expect(deployer.rollout.plan.stages.map(({ percent }) => percent)).toEqual([1, 5, 25, 50, 100]);
  });

  it("test_analyze_healthy: 0.5 % errors against 0.4 % pass, and promote if the plan says so", () => {
    const automatic = deployed(canaryMetrics(0.005), baselineMetrics(0.004), classic({ autoPromote: true }));
    const decision = automatic.analyze();
    expect(decision).toMatchObject({ verdict: "pass", cause: null, action: "promote", stage: 0 });
    expect(decision.guardrails.map(({ id, verdict }) => [id, verdict])).toEqual([
      ["error_rate", "pass"],
      ["latency_p99", "pass"],
    ]);
    expect(automatic.rollout.percent).toBe(5);

    const byHand = deployed(canaryMetrics(0.005), baselineMetrics(0.004));
    expect(byHand.analyze()).toMatchObject({ verdict: "hold", cause: "manual", action: "notify" });
    expect(byHand.rollout.percent).toBe(1);
    byHand.command("promote", "");
    expect(byHand.history.at(-1)).toMatchObject({ by: "ana", action: "promote", forced: false });
    expect(byHand.rollout.percent).toBe(5);
  });

  it("test_analyze_unhealthy: 5 % errors against 0.1 % fail, and the recommendation is to roll back", () => {
    const deployer = deployed(canaryMetrics(0.05), baselineMetrics(0.001));
    const decision = deployer.analyze();
    expect(decision).toMatchObject({ verdict: "fail", action: "rollback" });
    expect(decision.guardrails.find(({ id }) => id === "error_rate")).toMatchObject({ verdict: "fail" });
    expect(decision.because).toContain("Rolled back from 1 %");
  });

  it("test_auto_rollback: above the threshold it rolls back by itself, unless that is switched off", () => {
    const automatic = deployed(canaryMetrics(0.05), baselineMetrics(0.001));
    expect(automatic.tick()).toBe("rolled back");
    expect(automatic.rollout).toMatchObject({ state: "rolled_back", percent: 0 });
    expect(automatic.trafficPercent).toBe(0);

    const manual = deployed(canaryMetrics(0.05), baselineMetrics(0.001), classic({ autoRollback: false }));
    expect(manual.tick()).toBe("holding");
    expect(manual.history.at(-1)).toMatchObject({ verdict: "fail", action: "notify" });
    expect(manual.rollout).toMatchObject({ state: "running", percent: 1 });
  });

  it("test_manual_rollback: a person rolls back from any stage at once", () => {
    for (const stepCount of [0, 1, 2, 3, 4]) {
      const deployer = new CanaryDeployer();
      deployer.command("start");
      for (let step = 0; step < stepCount; step += 1) deployer.command("promote", "rehearsal");
      expect(codeOf(deployer.command("rollback"))).toBe("obeyed");
      expect(deployer.trafficPercent).toBe(0);
      expect(deployer.rollout.state).toBe("rolled_back");
    }
  });

  it("test_rollback: after two promotions nothing of the canary is left, and only a new attempt brings it back", () => {
    const deployer = deployed(canaryMetrics(0.005), baselineMetrics(0.004));
    deployer.command("promote", "rehearsal");
    deployer.command("promote", "rehearsal");
    deployer.command("rollback");
    expect(deployer.configuration.fallthrough).toEqual({ variant: OFF });
    expect(deployer.rollout).toMatchObject({ state: "rolled_back", percent: 0 });
    for (const type of ["start", "promote", "rollback"] as const) {
      expect(codeOf(deployer.command(type))).toBe("rollout_not_live");
    }
    expect(deployer.tick()).toBe("nothing to do");
    deployer.command("retry");
    expect(deployer.rollout).toMatchObject({ state: "running", attempt: 2, stage: 0, percent: 1, signatures: [] });
    // The good evidence of the first attempt is none of the second.
    expect(deployer.analyze().counts.canary.outcomeCount).toBe(0);
    expect(deployer.tick()).toBe("holding");
  });

  it.each([
    ["exactly 500 ms", 500, "pass"],
    ["over 500 ms by more than a sketch's error", 512, "fail"],
    ["600 ms", 600, "fail"],
  ])("test_latency_threshold: a p99 of %s", (_name, p99Ms, verdict) => {
    const deployer = deployed(
      canaryMetrics(0.005, { p99Ms }),
      baselineMetrics(0.004, { p99Ms: 480 }),
      classic({ autoPromote: true }),
    );
    expect(deployer.analyze().guardrails.find(({ id }) => id === "latency_p99")?.verdict).toBe(verdict);
    expect(deployer.rollout.state).toBe(verdict === "fail" ? "rolled_back" : "running");
  });

  it("test_latency_threshold: with onFail hold it holds where it would roll back", () => {
    const guardrails = planWith().guardrails.map((guardrail) => ({ ...guardrail, onFail: "hold" as const }));
    const deployer = deployed(canaryMetrics(0.005, { p99Ms: 600 }), baselineMetrics(0.004), classic({ guardrails }));
    expect(deployer.tick()).toBe("holding");
    expect(deployer.history.at(-1)).toMatchObject({ verdict: "hold", cause: "guardrail_hold", action: "notify" });
    expect(deployer.rollout.percent).toBe(1);
  });

  it.each([
    ["exactly 0.01", 990, 10, false, "pass"],
    ["just over it", 989, 11, false, "fail"],
    ["exactly 0.01 where the limit is exclusive", 990, 10, true, "fail"],
    ["15 errors of 10,000, many in number and few in share", 9985, 15, false, "pass"],
    ["5 errors of 100, few in number and many in share", 95, 5, false, "fail"],
  ])("test_error_rate_threshold: an error rate of %s", (_name, successCount, errorCount, exclusive, verdict) => {
    const guardrails = planWith().guardrails.map((guardrail) => ({ ...guardrail, exclusive }));
    const deployer = deployed(
      canaryMetrics(0, { successCount, errorCount }),
      baselineMetrics(0.004),
      classic({ guardrails, autoPromote: true }),
    );
    const errorRate = deployer.analyze().guardrails.find(({ id }) => id === "error_rate");
    expect(errorRate).toMatchObject({ verdict, canary: errorCount / (successCount + errorCount) });
    expect(deployer.rollout.percent).toBe(verdict === "fail" ? 0 : 5);
  });

  it.each([
    [99, "hold"],
    [100, "pass"],
  ])("test_insufficient_data: %d requests of at least 100: %s", (successCount, verdict) => {
    const deployer = deployed(
      canaryMetrics(0, { successCount }),
      baselineMetrics(0.004),
      classic({ autoPromote: true }),
    );
    const decision = deployer.analyze();
    expect(decision.verdict).toBe(verdict);
    if (verdict === "hold") expect(decision).toMatchObject({ cause: "insufficient_data", action: "none" });
  });

  it("test_insufficient_data: too few are no failure either, whatever their rate", () => {
    const deployer = deployed(canaryMetrics(0, { successCount: 89, errorCount: 10 }), baselineMetrics(0.004));
    expect(deployer.analyze()).toMatchObject({ verdict: "hold", cause: "insufficient_data", action: "none" });
  });

  it.each([
    ["11 % slower", 200, 180, "pass"],
    ["exactly 25 % slower", 225, 180, "pass"],
    ["30 % slower", 234, 180, "fail"],
    ["faster", 90, 180, "pass"],
    ["slower than a baseline of zero, which is no increase", 200, 0, "pass"],
  ])("test_metrics_comparison: a canary that is %s", (_name, p99Ms, baselineP99Ms, verdict) => {
    const deployer = deployed(
      canaryMetrics(0.005, { p99Ms }),
      baselineMetrics(0.004, { p99Ms: baselineP99Ms, p50Ms: Math.min(45, baselineP99Ms) }),
      classic({ autoPromote: true }),
    );
    expect(deployer.analyze().guardrails.find(({ id }) => id === "latency_p99")?.verdict).toBe(verdict);
  });

  it("test_state_tracking: the decisions tell which stage was left when, on what, and by whom", () => {
    const deployer = new CanaryDeployer(classic({ autoPromote: true }));
    deployer.command("start");
    for (const errorRate of [0.005, 0.004, 0.05]) {
      deployer.collect(canaryMetrics(errorRate), baselineMetrics(0.004));
      deployer.tick();
    }
    expect(deployer.history.map(({ by, stage, verdict, action }) => ({ by, stage, verdict, action }))).toEqual([
      { by: "ana", stage: 0, verdict: null, action: "start" },
      { by: "controller", stage: 0, verdict: "pass", action: "promote" },
      { by: "controller", stage: 1, verdict: "pass", action: "promote" },
      { by: "controller", stage: 2, verdict: "fail", action: "rollback" },
    ]);
    expect(deployer.history.map(({ counts }) => counts.canary.errorCount)).toEqual([0, 5, 4, 50]);
    expect(deployer.rollout).toMatchObject({ state: "rolled_back", stage: 2, attempt: 1 });
    expect(deployer.rollout.endedAt).not.toBeNull();
  });

  it("test_tick_loop: healthy evidence leads through every bake to completion, and then there is nothing to do", () => {
    const deployer = new CanaryDeployer(planWith({ decideBy: "threshold", autoPromote: true }));
    deployer.command("start");
    const actions: Action[] = [];
    const promotedAfterSeconds: number[] = [];
    for (let tick = 0; tick < 60 && actions.at(-1) !== "completed"; tick += 1) {
      const { stage, stageStartedAt } = deployer.rollout;
      const to = deployer.now + deployer.rollout.plan.analysisIntervalSeconds * 1000;
      const arms = {
        canary: { outcomeCount: 200, errorCount: 1, p50Ms: 50, p99Ms: 200 },
        control: { outcomeCount: 2000, errorCount: 8, p50Ms: 45, p99Ms: 180 },
      };
      const span = { from: deployer.now, to, stage: stage ?? 0 };
      deployer.cells = [...deployer.cells, ...cellsAt(deployer.rollout.percent, span, arms)];
      deployer.now = to;
      actions.push(deployer.tick());
      if (deployer.rollout.stage !== stage) {
        promotedAfterSeconds.push((to - Number(new Date(stageStartedAt ?? 0))) / 1000);
      }
    }
    expect(actions.filter((action) => action !== "holding")).toEqual([
      "promoted",
      "promoted",
      "promoted",
      "promoted",
      "completed",
    ]);
    expect(Math.min(...promotedAfterSeconds)).toBeGreaterThanOrEqual(300);
    expect(deployer.rollout).toMatchObject({ state: "completed", percent: 100 });
    expect(deployer.tick()).toBe("nothing to do");
  });

  it("test_tick_loop: one bad tick ends it, and it stays ended whatever comes", () => {
    const deployer = deployed(canaryMetrics(0.005), baselineMetrics(0.004), classic({ autoPromote: true }));
    expect(deployer.tick()).toBe("promoted");
    deployer.collect(canaryMetrics(0.05), baselineMetrics(0.001));
    expect(deployer.tick()).toBe("rolled back");
    deployer.collect(canaryMetrics(0), baselineMetrics(0.001));
    expect(deployer.tick()).toBe("nothing to do");
    expect(deployer.trafficPercent).toBe(0);
  });
});
