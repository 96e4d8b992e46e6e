import { describe, expect, it } from "vitest";
import { PLAIN, sampleDecision, sampleRollout } from "../test-world.ts";
import { decisionLine, renderRollout, rolloutLine } from "./rollout.ts";

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
      "canary on    12,400 exposures of 9,800 users, 12,345 outcomes, 52 errors",
      "control off  37,000 exposures of 9,800 users, 12,345 outcomes, 148 errors",
      "",
      "  GUARDRAIL   CANARY  CONTROL  ÷2             =             ×2",
      "✓ error_rate  0.42 %    0.4 %  ·······├───────┼●────────┤·····  1.05x",
      "  error_rate <= 1 % and not worse than the control; else it rolls back",
      "",
      "next       promote to 50 %, not before 2026-01-31 12:02:00 UTC (in 2 min)",
      "waits for  120 s of evidence",
      "",
      "11:59:50  baking             Held at 25 % (baking): 180 s of 300 s of evidence.",
    ]);
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

  it("shows no evidence of another attempt as this one's", () => {
    expect(render({ attempt: 2 })).not.toContain("12,400");
  });

  it("says what of the evidence had only just come in, where that was not waited for", () => {
    const { counts } = sampleDecision();
    const fresh = { canary: { ...counts.canary, outcomeCount: 40, errorCount: 34 }, control: counts.control };
    const shown = render({}, [sampleDecision({ counts: { ...counts, fresh } })]);
    expect(shown).toContain("12,345 outcomes, 52 errors, of which only just come in: 40 outcomes, 34 errors");
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
});

describe("one line", () => {
  it("of a decision says what was done, else why nothing was; and who, unless it was the controller", () => {
    const line = (differences: object): string => decisionLine(sampleDecision(differences), PLAIN);
    expect(line({ action: "promote", because: "Promoted." })).toBe("11:59:50  promote            Promoted.");
    const byAna = { by: "Ana", action: "pause", verdict: null, cause: null };
    expect(line({ ...byAna, because: "Ana paused it." })).toBe("11:59:50  pause              Ana paused it.");
    expect(line({ ...byAna, because: "Paused." })).toBe("11:59:50  pause              Paused. (Ana)");
  });

  it("of a rollout says where it stands", () => {
    const rule = { ...sampleRollout().plan, scope: { rule: "eu" } };
    expect(rolloutLine(sampleRollout({ plan: rule }), PLAIN)).toBe(
      "redis-readthrough in production: running, 25 % of on against off in rule eu",
    );
  });
});
