import {
  type DecisionRecord,
  decisionRecord,
  type Receipt,
  type RolloutView,
  rolloutReport,
  rolloutView,
} from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { RECEIPT } from "../http/examples.ts";
import { DECISION_RECORD, ROLLOUT } from "./examples.ts";
import { type ReportSources, reportOf } from "./report.ts";
import { reportMarkdown } from "./report-markdown.ts";

const MINUTE_MS = 60_000;
const STARTED = Date.parse("2026-11-24T13:00:00.000Z");
const at = (minutes: number): string => new Date(STARTED + minutes * MINUTE_MS).toISOString();

const view: RolloutView = rolloutView.parse({
  ...ROLLOUT,
  state: "rolled_back",
  percent: 0,
  bakedSeconds: 0,
  counts: null,
});

let number = 0;
const record = (minutes: number, fields: object): DecisionRecord =>
  decisionRecord.parse({
    ...DECISION_RECORD,
    id: `${view.id}.${++number}`,
    at: at(minutes),
    verdict: null,
    cause: null,
    ...fields,
  });

const failing = (verdict: "pass" | "fail", failingSince: string | null) => ({
  guardrails: [{ ...ROLLOUT.guardrails[0], verdict, failingSince }],
});
const look = { by: "controller", action: "none" } as const;

/** Started, promoted after five minutes, failing from the ninth, rolled back in the tenth. */
const STORY: readonly DecisionRecord[] = [
  record(0, { action: "start", by: "release owner", stage: 0 }),
  record(5, { ...look, stage: 0, verdict: "pass", action: "promote", bakedSeconds: 300 }),
  record(8, { ...look, stage: 1, verdict: "hold", cause: "guardrail_hold", ...failing("fail", at(8)) }),
  record(9, { ...look, stage: 1, verdict: "fail", ...failing("fail", at(8)) }),
  record(10, { ...look, stage: 1, verdict: "fail", action: "rollback", revision: 43, ...failing("fail", at(8)) }),
];

const sources = (fields: Partial<ReportSources> = {}): ReportSources => ({
  rollout: view,
  records: STORY,
  omittedDecisionCount: 0,
  receipt: () => ({ ...RECEIPT, complete: true }) as unknown as Receipt,
  now: at(30),
  ...fields,
});

describe("GA-222 the report", () => {
  it("fits its schema, and tells each stage with how it was left", () => {
    const report = rolloutReport.parse(reportOf(sources()));
    expect(report.stages).toMatchObject([
      { attempt: 1, stage: 0, percent: 5, startedAt: at(0), endedAt: at(5), outcome: "promoted", bakedSeconds: 300 },
      { attempt: 1, stage: 1, percent: 100, startedAt: at(5), endedAt: at(10), outcome: "rolled_back" },
    ]);
  });

  it("tells how long an incident took to detect, to decide and to apply, and when the next window opens", () => {
    expect(reportOf(sources()).incidents).toMatchObject([
      {
        decision: STORY[4]?.id,
        stage: 1,
        guardrails: ["error_rate"],
        detectSeconds: 180,
        decideSeconds: 120,
        applyMs: RECEIPT.latencyMs.max,
        complete: true,
        nextOpening: "Tue 2026-11-24 14:30 Europe/Paris",
      },
    ]);
  });

  it("says of an incident that no guardrail failed, and what did in the words of its decision", () => {
    const because = "Rolled back from 5 %: breakers are open in 2 of 2 instances.";
    const [start] = STORY;
    const breakers = record(3, { ...look, stage: 0, verdict: "fail", action: "rollback", because, guardrails: [] });
    const page = reportMarkdown(reportOf(sources({ records: start ? [start, breakers] : [] })));
    expect(page).toContain(because);
    expect(page).toContain("| guardrails | none of this stage |");
    expect(page).not.toContain("gross failure");
  });

  it("counts the time to detect from the stage that a person promoted to, too", () => {
    const byHand = record(5, { action: "promote", by: "release owner", stage: 0, forced: true });
    const [start, _promote, ...rest] = STORY;
    const records = start ? [start, byHand, ...rest] : [];
    expect(reportOf(sources({ records })).incidents).toMatchObject([{ detectSeconds: 180 }]);
  });

  it("tells of a stage that a person left what the look before him saw, and not the last that said something new", () => {
    const figures = (count: number, canary: number) => ({
      bakedSeconds: count,
      counts: {
        canary: { exposureCount: count, outcomeCount: count, errorCount: 0, unitCount: count },
        control: { exposureCount: count, outcomeCount: count, errorCount: 0, unitCount: count },
      },
      guardrails: [{ ...ROLLOUT.guardrails[0], canary }],
    });
    const latest = { attempt: 1, stage: 0, verdict: "hold", cause: "insufficient_data", ...figures(4_000, 0.25) };
    const records = [
      record(0, { action: "start", by: "release owner", stage: 0 }),
      record(1, { ...look, stage: 0, verdict: "hold", cause: "insufficient_data", ...figures(0, 0) }),
      record(90, {
        action: "promote",
        by: "release owner",
        stage: 0,
        forced: true,
        inputs: { kind: "command", latest },
      }),
      record(91, { ...look, stage: 1, verdict: "hold", cause: "insufficient_data", ...figures(7, 0.5) }),
      record(92, { ...look, stage: 1, verdict: "hold", cause: "flag_changed", action: "abort", ...figures(0, 0) }),
    ];
    expect(reportOf(sources({ records })).stages).toMatchObject([figures(4_000, 0.25), figures(7, 0.5)]);
  });

  it("tells of the stage under way what the latest look saw", () => {
    const [start] = STORY;
    const records = start ? [start, record(1, { ...look, stage: 0, verdict: "hold", cause: "insufficient_data" })] : [];
    const canary = { exposureCount: 9_001, outcomeCount: 9_000, errorCount: 3, unitCount: 800 };
    const rollout = { ...view, bakedSeconds: 120, counts: { canary, control: canary } };
    expect(reportOf(sources({ rollout, records })).stages).toMatchObject([{ bakedSeconds: 120, counts: { canary } }]);
  });

  it("says what it does not know", () => {
    const [incident] = reportOf(sources({ receipt: () => undefined })).incidents;
    expect(incident).toMatchObject({ applyMs: null, complete: null });
  });

  it("tells by what figures an incident was decided, and which of them had only just come in (GA-159)", () => {
    const none = { exposureCount: 0, outcomeCount: 0, errorCount: 0, unitCount: 0 };
    const canary = { exposureCount: 50, outcomeCount: 40, errorCount: 34, unitCount: 30 };
    const control = { ...none, outcomeCount: 800, errorCount: 2 };
    const counts = {
      canary,
      control,
      fresh: { canary: { ...canary, outcomeCount: 36, errorCount: 33 }, control: none },
    };
    const rollback = record(10, { ...look, stage: 1, verdict: "fail", action: "rollback", revision: 43, counts });
    const report = rolloutReport.parse(reportOf(sources({ records: [...STORY.slice(0, 2), rollback] })));
    expect(report.incidents).toMatchObject([{ counts, exposureCount: 50 }]);
    expect(report.stages[1]).toMatchObject({ counts });
    const page = reportMarkdown(report);
    const shown = "34 of 40 (85 %), of them 33 of 36 only just come in";
    expect(page).toContain(`| canary errors | ${shown} |`);
    expect(page).toContain("| control errors | 2 of 800 (0.25 %) |");
    expect(page).toMatch(new RegExp(`^\\| 1 \\| 2 .*${shown.replaceAll(/[().]/g, "\\$&")} \\| 2 of 800 `, "m"));
  });

  it("GA-222 writes figures in their units on the page, as everywhere else, and leaves them raw in JSON", () => {
    const plan = {
      ...view.plan,
      guardrails: [
        ...view.plan.guardrails,
        { metric: "latency_p95", maxMs: 300 },
        { id: "sales", metric: "conversion", kind: "ratio", min: 0.01 },
        { metric: "queue_depth", kind: "gauge", max: 5_000 },
      ],
    };
    const measured = (id: string, canary: number | null, control: number | null) => ({
      ...ROLLOUT.guardrails[0],
      id,
      canary,
      control,
    });
    const guardrails = [
      measured("error_rate", 0.0891089, 0.000123456),
      measured("latency_p95", 1234.5678, 4.5678),
      measured("sales", 0.0312499, 0),
      measured("queue_depth", 5280, null),
    ];
    const records = [...STORY.slice(0, 4), record(10, { ...look, stage: 1, verdict: "hold", guardrails })];
    const rollout = { ...view, plan: rolloutView.shape.plan.parse(plan) };
    const report = rolloutReport.parse(reportOf(sources({ rollout, records })));
    expect(report.stages[1]?.guardrails[0]).toMatchObject({ canary: 0.0891089, control: 0.000123456 });
    const page = reportMarkdown(report);
    for (const cells of ["| 8.91 % | 0.0123 % |", "| 1235 ms | 4.6 ms |", "| 3.12 % | 0 % |", "| 5280 |  |"]) {
      expect(page).toContain(cells);
    }
  });

  it("is no incident where a person rolled back", () => {
    const byHand = record(3, { action: "rollback", by: "on-call", stage: 0 });
    const report = reportOf(sources({ records: [...STORY.slice(0, 1), byHand] }));
    expect(report.incidents).toEqual([]);
    expect(report.stages).toMatchObject([{ outcome: "rolled_back", endedAt: at(3) }]);
  });

  it("tells a promotion by hand like one by the controller, and every attempt by itself", () => {
    const records = [
      record(0, { action: "start", by: "release owner", stage: 0 }),
      record(2, { action: "promote", by: "release owner", stage: 0, forced: true }),
      record(3, { action: "abort", by: "release owner", stage: 1 }),
      record(9, { action: "retry", by: "release owner", stage: 0, attempt: 2 }),
    ];
    expect(reportOf(sources({ records })).stages).toMatchObject([
      { attempt: 1, stage: 0, outcome: "promoted" },
      { attempt: 1, stage: 1, outcome: "aborted" },
      { attempt: 2, stage: 0, outcome: null },
    ]);
  });

  it("is a page of text in which nobody's words become markup", () => {
    const because = "it <script>burns</script>\n# | `x` | [y](z)";
    const [first, ...rest] = STORY;
    const records = first ? [{ ...first, because }, ...rest] : [];
    const page = reportMarkdown(reportOf(sources({ records, omittedDecisionCount: 7 })));
    expect(page).toContain("it &lt;script>burns&lt;/script> \\# \\| \\`x\\` \\| \\[y\\](z)");
    expect(page.match(/^#+ .*$/gm)).toEqual([
      "# Rollout of redis-readthrough in production",
      "## Figures",
      "## Incidents",
      `### ${at(10)}: attempt 1, stage 2 (100 %)`,
      "## Approvals",
      "## Checklist",
      "## Decisions",
      "## Links",
      "## Retrospective",
    ]);
    expect(page).toContain("| time to decide | 120 s |");
    expect(page).toContain("7 older ones are left out.");
    expect(page).toContain("- [x] Dashboards are imported (release owner, 2026-11-24T13:02:10.000Z)");
    expect(page).toContain("- dashboard: <https://grafana.example.com/d/sessions>");
  });

  it("GA-222 nor their links: no address ends the one it stands in, no name begins a list", () => {
    const links = {
      "1. > first": "https://a.example/<img src=x onerror=alert(1) ",
      "> ~~second~~": "https://a.example/?q=<b>&x=1",
      "&lt;third": "https://a.example/#<i>",
    };
    const plan = rolloutView.shape.plan.parse({ ...view.plan, links });
    const page = reportMarkdown(reportOf(sources({ rollout: { ...view, plan } })));
    const [, list] = /^## Links\n\n([^]*?)\n\n##/m.exec(page) ?? [];
    expect(list?.split("\n")).toEqual([
      "- 1\\. > first: <https://a.example/%3Cimg%20src=x%20onerror=alert(1)>",
      "- \\> \\~\\~second\\~\\~: <https://a.example/?q=%3Cb%3E&x=1>",
      "- &amp;lt;third: <https://a.example/#%3Ci%3E>",
    ]);
  });

  it("GA-222 tells the stages that it still knows where the beginning is left out", () => {
    const story = { rollout: { ...view, stage: 1, stageStartedAt: at(5) }, omittedDecisionCount: 1 };
    const second = { stage: 1, percent: 100, startedAt: at(5), outcome: "rolled_back" };
    expect(reportOf(sources({ ...story, records: STORY.slice(1) })).stages).toMatchObject([second]);
    const report = reportOf(sources({ ...story, records: STORY.slice(2) }));
    expect(report.stages).toMatchObject([second]);
    expect(report.incidents).toMatchObject([{ detectSeconds: 180 }]);
  });
});
