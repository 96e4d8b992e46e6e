import { describe, expect, it } from "vitest";
import { PLAIN, sampleCounts, sampleDecision, sampleRollout, sampleVerdict } from "../test-world.ts";
import { decisionLine, renderPlan, renderRollout, rolloutLine } from "./rollout.ts";

const NOW = Date.UTC(2026, 0, 31, 12);
const render = (differences: object = {}, decisions = [sampleDecision()]): string =>
  renderRollout({ rollout: sampleRollout(differences), decisions }, NOW, PLAIN);

describe("a rollout on the screen", () => {
  it("says where it stands, on what evidence, what is next and what that waits for", () => {
    expect(render().split("\n")).toEqual([
      "redis-readthrough in production  running  25 % of on against off  for 3 min  attempt 1, ro-5f1c09a27be4",
      "●━━━━━━━━━━━●━━━━━━━━━━━◉━━━━━━━────○─────────┤├○",
      "1 %         5 %         25 %        50 %        100 %",
      "",
      "baked        3 min of 5 min of evidence",
      "canary on    12400 exposures of 9800 users, 12345 outcomes, 52 errors",
      "control off  37000 exposures of 9800 users, 12345 outcomes, 148 errors",
      "",
      "next       promote to 50 %, not before 2026-01-31 12:02:00 UTC (in 2 min)",
      "waits for  120 s of evidence",
      "",
      "  GUARDRAIL   CANARY  CONTROL  ÷2             =             ×2",
      "✓ error_rate  0.42 %    0.4 %  ·······├───────┼●────────┤·····  1.05x",
      "  error_rate <= 1 % and not worse than the control; else it rolls back",
      "",
      "11:59:50  baking             Held at 25 % (baking): 180 s of 300 s of evidence.",
    ]);
  });

  it("says what is next within 24 lines, however many guardrails there are, because a watch shows no more", () => {
    const guardrails = Array.from({ length: 20 }, (_, index) => sampleVerdict({ id: `gauge-${index}` }));
    const shown = render({ guardrails }).split("\n").slice(0, 22);
    expect(shown).toContain("waits for  120 s of evidence");
  });

  it("names every item of the checklist that keeps it from starting", () => {
    const checklist = [
      { item: "Dashboards are imported", by: null, at: null },
      { item: "Staging is signed", by: "Ana", at: "2026-01-31T11:00:00.000Z" },
    ];
    const shown = render(
      { state: "pending", stage: null, stageStartedAt: null, guardrails: [], checklist, percent: 0 },
      [],
    );
    expect(shown).toContain("not ticked  Dashboards are imported");
    expect(shown).not.toContain("Staging is signed");
    expect(shown).not.toContain("baked");
  });

  it("shows the figures of the latest look, not those of the latest that said something new", () => {
    const counts = { ...sampleCounts(), canary: { exposureCount: 0, outcomeCount: 0, errorCount: 0, unitCount: 0 } };
    expect(render({}, [sampleDecision({ counts })])).toContain("canary on    12400 exposures of 9800 users");
  });

  it("shows no evidence of another stage or attempt as this one's", () => {
    expect(render({ stage: 3, bakedSeconds: 0, guardrails: [], counts: null })).not.toContain("12400");
  });

  it("says what of the evidence had only just come in, where that was not waited for", () => {
    const counts = sampleCounts();
    const fresh = { canary: { ...counts.canary, outcomeCount: 40, errorCount: 34 }, control: counts.control };
    const shown = render({ counts: { ...counts, fresh } });
    expect(shown).toContain("12345 outcomes, 52 errors, of which only just come in: 40 outcomes, 34 errors");
  });

  it("says so if it is not how it stands now", () => {
    const seen = { rollout: sampleRollout(), decisions: [], trouble: "Cannot reach http://x: connection refused." };
    expect(renderRollout(seen, NOW, PLAIN)).toContain("when it was last seen. Cannot reach http://x");
  });

  it("says why it is where it is, unless the latest decision below says it", () => {
    expect(render()).not.toContain("because");
    expect(render({}, [])).toContain("because    Held at 25 %");
  });

  it("says nothing of a next step after the end", () => {
    const ended = {
      state: "rolled_back",
      endedAt: "2026-01-31T11:59:00.000Z",
      nextStep: { step: "none", notBefore: null, waitsFor: [] },
    };
    expect(render(ended)).not.toMatch(/^next|^waits for/m);
    expect(render(ended)).toContain("rolled back");
  });

  it.each([
    ["rolled_back", 0, { action: "rollback" }, "bunting rollout retry redis-readthrough --env production: a new"],
    [
      "rolled_back",
      0,
      { action: "kill" },
      "bunting restore redis-readthrough --env production, then bunting rollout retry",
    ],
    ["aborted", 0, { action: "abort", cause: null }, "bunting rollout retry redis-readthrough --env production: a new"],
  ])(
    "says after the end what leads on from there, where only a person's word does: %s %d %j",
    (state, percent, end, words) => {
      expect(render({ state, percent, nextStep: null }, [sampleDecision(end)])).toContain(`\nfrom here  ${words}`);
      expect(render({ state: "completed", nextStep: null }, [sampleDecision(end)])).not.toContain("from here");
    },
  );

  it.each([
    ["flag_changed", "then bunting rollout retry redis-readthrough"],
    [
      "flag_killed",
      "then bunting restore redis-readthrough --env production, then bunting rollout retry redis-readthrough",
    ],
  ])(
    "says of one that stood down where it was, and that the share it left comes before a retry: %s",
    (cause, words) => {
      const shown = render({ state: "aborted", percent: 25, nextStep: null }, [
        sampleDecision({ action: "abort", cause }),
      ]);
      expect(shown).toContain("aborted  was at 25 % of on against off");
      expect(shown).toContain(
        `from here  take the share of on away (bunting flag set redis-readthrough --env production), ${words}`,
      );
    },
  );
});

describe("a plan", () => {
  const { plan } = sampleRollout();
  const fact = (name: string, differences: object, limits: Parameters<typeof renderPlan>[1] = []): string[] =>
    renderPlan({ ...plan, ...differences }, limits, PLAIN)
      .split("\n")
      .filter((line) => line.startsWith(name))
      .map((line) => line.slice(name.length).trim());

  it.each([
    [true, "an approval"],
    [{ signatures: 1, byOthers: false }, "an approval"],
    [{ signatures: 2, byOthers: true }, "2 approvals"],
    [{ roles: ["tech-lead", "sre"], signatures: 1, byOthers: true }, "an approval by tech-lead and sre"],
  ])("says who signs: %j", (approval, words) => {
    expect(fact("stages", { stages: [{ percent: 10, bakeSeconds: 60, approval }] })).toEqual([
      `10 % for 1 min, then ${words}`,
    ]);
  });

  it("says when it may promote", () => {
    const window = { timezone: "Europe/Paris", days: ["tue", "wed"], from: "14:00", to: "17:00" };
    const calendar = { windows: [window], freezes: [{ ...window, days: ["wed"], to: "24:00" }] };
    expect(fact("only ", calendar)).toEqual(["tue, wed from 14:00 to 17:00 Europe/Paris"]);
    expect(fact("never", calendar)).toEqual(["wed from 14:00 to 24:00 Europe/Paris"]);
  });

  it.each([
    [{ id: "error_rate", limit: "error_rate <= 1 %", required: true, onFail: "rollback" }, "error_rate <= 1 %"],
    [
      { id: "hits", limit: "query >= 1", required: true, onFail: "kill", source: "prometheus" },
      "hits: query >= 1; else the flag is killed",
    ],
    [{ id: "cpu", limit: "cpu <= 80", required: false, onFail: "alert" }, "cpu <= 80; informational"],
  ] as const)("names a query, and what follows if that is no rollback", (limit, words) => {
    expect(fact("guardrails", {}, [limit])).toEqual([words]);
  });
});

describe("a plan that rolls nothing back by itself", () => {
  it("says that people decide, also where a guardrail would kill", () => {
    const kill = { id: "hits", limit: "query >= 1", required: true, onFail: "kill", source: "prometheus" } as const;
    const shown = renderPlan({ ...sampleRollout().plan, autoRollback: false }, [kill], PLAIN);
    expect(shown).toContain("hits: query >= 1; else people decide");
  });
});

describe("one line", () => {
  it("of a decision says what was done, else why nothing was; and who, unless it was the controller", () => {
    const line = (differences: object): string => decisionLine(sampleDecision(differences), PLAIN);
    expect(line({ action: "promote", because: "Promoted." })).toBe("11:59:50  promote            Promoted.");
    const byAna = { by: "Ana", action: "pause", verdict: null, cause: null };
    expect(line({ ...byAna, because: "Ana paused it." })).toBe("11:59:50  pause              Ana paused it.");
    expect(line({ ...byAna, because: "Paused." })).toBe("11:59:50  pause              Paused. (Ana)");
  });

  it("of a decision stays one, so that no comment looks like another decision", () => {
    const because = "Ana paused it: later\n11:59:59  promote            Promoted from 1 % to 100 %.\n";
    const shown = "Ana paused it: later 11:59:59 promote Promoted from 1 % to 100 %.";
    expect(decisionLine(sampleDecision({ action: "pause", because }), PLAIN).split("\n")).toEqual([
      `11:59:50  pause              ${shown}`,
    ]);
    expect(render({ because }).split("\n")).toContain(`because    ${shown}`);
  });

  it("of a rollout says where it stands", () => {
    const rule = { ...sampleRollout().plan, scope: { rule: "eu" } };
    expect(rolloutLine(sampleRollout({ plan: rule }), PLAIN)).toBe(
      "redis-readthrough in production: running, 25 % of on against off in rule eu",
    );
  });
});
