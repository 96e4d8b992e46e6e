import type {
  Decision,
  DecisionCounts,
  IncidentReport,
  RolloutPlan,
  RolloutReport,
  StageReport,
} from "@bunting/contracts";
import { namedGuardrails } from "@bunting/gating";

/** The report as a page to be filed: what is known is filled in, what only people know is left open. */
export function reportMarkdown(report: RolloutReport): string {
  const { rollout } = report;
  const { plan } = rollout;
  const sections = [
    `# Rollout of ${rollout.flag} in ${rollout.environment}`,
    table(
      ["", ""],
      [
        ["rollout", rollout.id],
        ["canary, control", `${plan.canary}, ${plan.control}`],
        ["state", `${rollout.state.replaceAll("_", " ")}, attempt ${rollout.attempt}, ${rollout.percent} %`],
        [
          "started",
          rollout.startedAt === null ? "not yet" : `${rollout.startedAt} by ${rollout.startedBy ?? "nobody"}`,
        ],
        ["ended", rollout.endedAt ?? "not yet"],
        ["because", rollout.because],
        ["next", rollout.nextStep?.waitsFor.join("; ") || "nothing"],
        ["written", report.generatedAt],
      ],
    ),
    "## Figures",
    table(
      ["attempt", "stage", "from", "to", "outcome", "baked", "canary errors", "control errors"],
      report.stages.map(stageRow),
    ),
    ...report.stages.flatMap((stage) => guardrailTable(stage, plan)),
    "## Incidents",
    ...(report.incidents.length === 0 ? ["None."] : report.incidents.flatMap(incidentSection)),
    "## Approvals",
    list(
      rollout.signatures.map(({ stage, by, roles, decision, comment, at }) => {
        const signer = `${by}${roles.length > 0 ? ` (${roles.join(", ")})` : ""}`;
        const word = `${decision === "approve" ? "GO" : "NO-GO"} to leaving stage ${stage + 1}`;
        return inline(`${at}: ${signer} ${word}${comment === "" ? "" : `: ${comment}`}`);
      }),
    ),
    "## Checklist",
    list(
      rollout.checklist.map(({ item, by, at }) =>
        by === null ? `[ ] ${inline(item)}` : `[x] ${inline(`${item} (${by}, ${at})`)}`,
      ),
    ),
    "## Decisions",
    ...(report.omittedDecisionCount > 0 ? [`${report.omittedDecisionCount} older ones are left out.`] : []),
    table(["at", "by", "action", "verdict", "because"], report.decisions.map(decisionRow)),
    "## Links",
    list(Object.entries(plan.links).map(([name, url]) => `${inline(name)}: <${new URL(url).href}>`)),
    "## Retrospective",
    "Went well:\n\nTo be changed:",
  ];
  return `${sections.join("\n\n")}\n`;
}

function stageRow({ attempt, stage, percent, startedAt, endedAt, outcome, bakedSeconds, counts }: StageReport) {
  return [
    `${attempt}`,
    `${stage + 1} (${percent} %)`,
    startedAt,
    endedAt ?? "",
    outcome?.replaceAll("_", " ") ?? "under way",
    `${Math.round(bakedSeconds)} s`,
    errorsOf(counts, "canary"),
    errorsOf(counts, "control"),
  ];
}

function guardrailTable({ attempt, stage, guardrails }: StageReport, plan: RolloutPlan): string[] {
  if (guardrails.length === 0) return [];
  return [
    `Guardrails of stage ${stage + 1}, attempt ${attempt}:`,
    table(
      ["guardrail", "limit", "verdict", "canary", "control", ""],
      guardrails.map(({ id, limit, verdict, canary, control, explanation }) => [
        id,
        limit,
        verdict,
        figure(canary, unitOf(id, plan)),
        figure(control, unitOf(id, plan)),
        explanation,
      ]),
    ),
  ];
}

function incidentSection(incident: IncidentReport): string[] {
  const { at, attempt, stage, percent, because, guardrails, counts } = incident;
  return [
    `### ${at}: attempt ${attempt}, stage ${stage + 1} (${percent} %)`,
    inline(because),
    table(
      ["", ""],
      [
        ["guardrails", guardrails.join(", ") || "none of this stage"],
        ["time to detect", `${incident.detectSeconds} s`],
        ["time to decide", `${incident.decideSeconds} s`],
        ["time to apply", incident.applyMs === null ? "no receipt is kept" : `${incident.applyMs} ms`],
        ["everybody applied it", incident.complete === null ? "unknown" : incident.complete ? "yes" : "not yet"],
        ["canary errors", errorsOf(counts, "canary")],
        ["control errors", errorsOf(counts, "control")],
        ["canary served", `${incident.exposureCount} times`],
        ["decision", incident.decision],
        ["next window", incident.nextOpening ?? "at any time"],
      ],
    ),
    "Cause:\n\nFollow-up:",
  ];
}

function decisionRow({ at, by, action, verdict, because, forced }: Decision): string[] {
  return [at, by, `${action.replaceAll("_", " ")}${forced ? " (forced)" : ""}`, verdict ?? "", because];
}

/** What was decided on before everybody had reported it is said to be so. */
function errorsOf({ fresh, ...counts }: DecisionCounts, arm: "canary" | "control"): string {
  const all = shareOf(counts[arm].errorCount, counts[arm].outcomeCount);
  const running = fresh?.[arm];
  if (running === undefined || running.outcomeCount === 0) return all;
  return `${all}, of them ${running.errorCount} of ${running.outcomeCount} only just come in`;
}

function shareOf(part: number, whole: number): string {
  return whole === 0 ? "no outcome" : `${part} of ${whole} (${rateText(part / whole)})`;
}

type Unit = "rate" | "ms" | "plain";

function unitOf(id: string, plan: RolloutPlan): Unit {
  const guardrail = namedGuardrails(plan).find((named) => named.id === id)?.guardrail;
  if (guardrail === undefined || "source" in guardrail) return "plain";
  if ("kind" in guardrail) return guardrail.kind === "ratio" ? "rate" : "plain";
  return guardrail.metric === "error_rate" ? "rate" : "ms";
}

/** As `bunting rollout status` shows it. */
function figure(value: number | null, unit: Unit): string {
  if (value === null) return "";
  if (unit === "rate") return rateText(value);
  return unit === "ms" ? msText(value) : threeDigits(value);
}

function msText(ms: number): string {
  if (ms < 0.1) return `${threeDigits(ms)} ms`;
  return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`;
}

function rateText(rate: number): string {
  return `${threeDigits(100 * rate)} %`;
}

/** Three digits that say something, and no exponent: `1234`, `12.3`, `0.0123`. */
function threeDigits(value: number): string {
  if (!Number.isFinite(value) || value === 0) return String(value);
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  const text = value.toFixed(Math.min(12, decimals));
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "None.";
  const line = (cells: readonly string[]): string => `| ${cells.map(inline).join(" | ")} |`;
  return [line(head), `|${" --- |".repeat(head.length)}`, ...rows.map(line)].join("\n");
}

/** @param items Markdown already */
function list(items: readonly string[]): string {
  return items.length === 0 ? "None." : items.map((item) => `- ${item}`).join("\n");
}

/**
 * What people wrote, as one line that is text and nothing else: no row, no heading, no list, no markup comes of it, and what
 * looks like an entity stays as it was written.
 */
function inline(text: string): string {
  return text
    .replaceAll(/\s+/g, " ")
    .replaceAll(/[\\|`*_~#[\]]/g, (mark) => `\\${mark}`)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replace(/^(\d*)([.)+-](?=\s|$)|>)/, "$1\\$2");
}
