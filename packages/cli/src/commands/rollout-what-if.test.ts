import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, sampleDecision, sampleRollout, TOKEN } from "../test-world.ts";

const START = Date.UTC(2026, 0, 31, 11, 40);
const instant = (seconds: number): string => new Date(START + seconds * 1000).toISOString();

/** Ten minutes at 5 %; 2 % of the canary's outcomes were errors from the beginning, and the plan allowed 10 %. */
const plan = {
  canary: "on",
  control: "off",
  stages: [
    { percent: 5, bakeSeconds: 300 },
    { percent: 100, bakeSeconds: 300 },
  ],
  guardrails: [{ metric: "error_rate", max: 0.1 }],
  decideBy: "threshold",
};
/** Neither promotes at these errors nor takes anything back. */
const HOLDING = { guardrails: [{ metric: "error_rate", max: 0.01, onFail: "hold" }] };
const rollout = sampleRollout({
  plan,
  state: "completed",
  stage: 1,
  percent: 100,
  startedAt: instant(0),
  stageStartedAt: instant(320),
  endedAt: instant(640),
});
const cells = Array.from({ length: 60 }, (_, index) =>
  (["on", "off"] as const).map((variant) => {
    const errorCount = variant === "on" ? 8 : 1;
    const groups = Array.from({ length: 32 }, (_, group) => [
      group,
      12,
      12,
      group < errorCount ? 1 : 0,
      group < errorCount ? 1 : 0,
    ]);
    return {
      rollout: rollout.id,
      attempt: 1,
      stage: index < 32 ? 0 : 1,
      variant,
      interval: Math.floor(START / 10_000) + index,
      exposureCount: 384,
      unitCount: 384,
      outcomeCount: 384,
      errorCount,
      unitErrorCount: errorCount,
      uncheckedCount: 0,
      groups,
      sketch: [],
      ladder: [],
      availableAt: Math.floor(START / 10_000) + index + 2,
    };
  }),
).flat();
const decisions = [
  sampleDecision({ id: "ro-1.3", at: instant(640), stage: 1, action: "complete", verdict: "pass", cause: null }),
  sampleDecision({ id: "ro-1.2", at: instant(320), stage: 0, action: "promote", verdict: "pass", cause: null }),
  sampleDecision({ id: "ro-1.1", at: instant(0), stage: 0, action: "start", verdict: null, cause: null, by: "Ana" }),
];

async function asking(
  other: unknown,
  flags: readonly string[] = [],
  log: readonly unknown[] = decisions,
  differences: object = {},
) {
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    readFile: (path) => (path === "other.json" ? JSON.stringify(other) : undefined),
    fetch: (url) => {
      const { pathname } = new URL(url);
      if (pathname.endsWith("/evidence")) return Promise.resolve(Response.json({ items: cells, nextCursor: null }));
      if (pathname.endsWith("/decisions")) return Promise.resolve(Response.json({ items: log, nextCursor: null }));
      return Promise.resolve(Response.json(rollout));
    },
    ...differences,
  });
  const exitCode = await run(["rollout", "what-if", rollout.id, "--plan", "other.json", ...flags], world);
  return { exitCode, out: out(), err: err() };
}

describe("what if", () => {
  it("draws the course as it was, and as another plan would have made it of the same evidence", async () => {
    const { exitCode, out } = await asking({ ...plan, guardrails: [{ metric: "error_rate", max: 0.01 }] });
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^as it was {3}▃+█+ ✓$/m);
    expect(out).toContain("after 5 min 20 s to 100 %, after 10 min 40 s completed");
    expect(out).toMatch(/^other plan {2}▃+·+ ✗$/m);
    expect(out).toContain("Rolled back from 5 %");
  });

  it("takes canary, control and scope from the rollout where the file does not say", async () => {
    const { canary: _canary, control: _control, ...rest } = plan;
    const { exitCode, out } = await asking(rest, ["--json"]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      real: { state: "completed" },
      other: { course: [{ atSeconds: 0, percent: 5 }] },
    });
  });

  it("refuses a plan of other variants, of which there is no evidence", async () => {
    const { exitCode, err } = await asking({ ...plan, control: "old" });
    expect(exitCode).toBe(2);
    expect(err).toContain("of on against off, not of on against old");
  });

  it("refuses a plan of another scope, of which there is no evidence either", async () => {
    const { exitCode, err } = await asking({ ...plan, scope: { rule: "staff" } });
    expect(exitCode).toBe(2);
    expect(err).toContain("of everybody whom no rule matches, not of the users of rule staff");
  });

  it("refuses a plan that the server would refuse, in its words", async () => {
    const windows = [{ timezone: "Mars/Phobos", days: ["tue"] }];
    const { exitCode, err } = await asking({ ...plan, windows });
    expect(exitCode).toBe(2);
    expect(err).toContain("Mars/Phobos is not an IANA time zone.");
  });

  it("refuses what is no plan, and says where", async () => {
    const { exitCode, err } = await asking({ ...plan, stages: [{ percent: 5 }, { percent: 2 }] });
    expect(exitCode).toBe(2);
    expect(err).toContain("/stages");
  });

  it("says what nobody can know, where the other plan would have given the canary another share", async () => {
    const stages = [
      { percent: 20, bakeSeconds: 300 },
      { percent: 100, bakeSeconds: 300 },
    ];
    const { out } = await asking({ ...plan, stages, guardrails: [{ metric: "error_rate", max: 0.01 }] });
    expect(out).toContain("  ? Evidence was collected at 5 %, not at 20 %.");
    expect(out).toMatch(/^share +at \d+ of \d+ looks: Evidence was collected/m);
    expect(out).toMatch(/^breakers +at \d+ of \d+ looks: No look is stored/m);
  });

  it("GA-176 names each share at which evidence was really collected, with its own looks", async () => {
    const { out } = await asking({ ...plan, stages: [{ percent: 20 }], ...HOLDING });
    const looks = [5, 100].map((share) =>
      Number(new RegExp(`at (\\d+) of \\d+ looks: Evidence was collected at ${share} %, not at 20 %`).exec(out)?.[1]),
    );
    expect(looks.map((count) => count > 0)).toEqual([true, true]);
    expect(out).toMatch(/^share +at \d+ of (\d+) looks: .+\n {12}at \d+ of \1 looks: /m);
    expect(Math.max(...looks)).toBeLessThan(11);
  });

  it("GA-176 says at which share the other plan would have stayed, and why, where it would have changed nothing", async () => {
    const { out } = await asking({ ...plan, ...HOLDING });
    expect(out).toMatch(
      /^The other plan would have stayed at 5 %\. Its last look:\n11:50:00 {2}[a-z ]+ {2}Held at 5 % \(/m,
    );
    expect(out).not.toContain("nothing would have happened");
  });

  it("says meanwhile how far it is, to somebody at a terminal", async () => {
    const drawn: string[] = [];
    let elapsed = 0;
    const terminal = {
      stderr: { write: () => undefined, isTerminal: true, columns: 100, rows: 40 },
      progress: () => ({
        update: (_: number, message: string) => void drawn.push(message),
        end: () => void drawn.push("end"),
      }),
      // Each look takes a while.
      monotonic: () => (elapsed += 40),
    };
    await asking({ ...plan, analysisIntervalSeconds: 10 }, [], decisions, terminal);
    expect(drawn.slice(0, 2)).toEqual(["120 rows of evidence", "end"]);
    expect(drawn.at(2)).toBe("30 s of 10 min 40 s");
    expect(drawn.at(-2)).toMatch(/^10 min \d+ s of 10 min 40 s$/);
    expect(drawn.at(-1)).toBe("end");
  });

  it("GA-177 refuses where the evidence is gone, instead of deciding on what is left", async () => {
    const look = {
      kind: "analysis",
      rollout: { ...rollout, state: "running", stage: 0 },
      now: START + 60_000,
      through: Math.floor(START / 10_000) + 6,
      settledCount: 1_000_000,
      fresh: [],
    };
    const { exitCode, out, err } = await asking(plan, [], [{ ...decisions[1], inputs: look }]);
    expect([exitCode, out]).toEqual([1, ""]);
    expect(err).toContain("evidence_gone");
  });
});
