import { type DecisionDocument, type DecisionRecord, decisionDocument } from "@bunting/contracts";
import type { Replay } from "@bunting/gating";
import { type Command, InvalidArgumentError } from "commander";
import type { Action } from "../action.ts";
import { evidencePages } from "../evidence-pages.ts";
import { EXIT_CODES } from "../exit-code.ts";
import { Failure } from "../failure.ts";
import { decisionLine } from "../output/rollout.ts";
import { facts } from "../output/table.ts";
import type { Theme } from "../output/theme.ts";
import { counted, formatInstant } from "../output/words.ts";
import { paths } from "../paths.ts";
import type { Session } from "../session.ts";
import { evidenceGone } from "./rollout-what-if.ts";

export function addReplayCommand(parent: Command, action: Action): void {
  parent
    .command("replay")
    .summary("decide again from what a decision was made of, and compare")
    .description(
      "Decide again, here, from what a decision was made of, and compare byte for byte. Exit code 1 and the differences if it is another decision.",
    )
    .argument("<decision>", "its id, from `bunting rollout decisions`", parseDecisionId)
    .action(action(replayDecision));
}

/** The number behind the last dot counts the decisions of the rollout before it. */
const DECISION_ID = /^([A-Za-z0-9][A-Za-z0-9_-]*)\.\d+$/;

function parseDecisionId(text: string): string {
  if (!DECISION_ID.test(text)) throw new InvalidArgumentError("`bunting rollout decisions` shows the ids.");
  return text;
}

async function replayDecision(session: Session, id: string): Promise<void> {
  const { client, output } = session;
  const rollout = DECISION_ID.exec(id)?.[1] ?? "";
  const { value: record } = await client.get(paths.decision(rollout, id), decisionDocument, { evidence: "named" });
  if (record.evidence === "gone") throw evidenceGone(id);
  if (record.evidence === "unreadable") throw notReadable(id);
  const result = await decideAgain(session, record);
  if (result.decision === null) throw notReplayable(id);
  output.show({ record: withoutInputs(record), replay: result }, (shown, theme) =>
    renderReplay(shown.record, shown.replay, theme),
  );
  if (result.same) return;
  throw new Failure(EXIT_CODES.refused, {
    code: "replay_differs",
    detail: `${id} is decided otherwise here, in ${counted(result.differences.length, "place")}.`,
    remedy:
      "Replay it with the release that made it: what it rested on is stored with it. If that differs too, the record was changed.",
  });
}

/** Evidence is added up page by page. What a person asked for rests on none, nor does an analysis of another release. */
async function decideAgain(session: Session, record: DecisionDocument): Promise<Replay> {
  const { engine } = session.world;
  const { decideInPages, isKept, replay } = await import("@bunting/gating");
  const { id, rollout, attempt, evidence, inputs } = record;
  if (evidence !== "named" || !isKept(inputs)) return replay(record, engine);
  const { through, settledCount } = inputs;
  const pages = evidencePages(session, rollout, { attempt, through, expectedCount: settledCount ?? 0 });
  try {
    const ruling = await decideInPages(inputs, pages);
    if (ruling === null) throw evidenceGone(id);
    return replay(record, engine, ruling.decision);
  } catch (error) {
    if (error instanceof Failure && error.report.code === "storage_unknown_outcome") throw notReadable(id);
    throw error;
  }
}

function notReplayable(id: string): Failure {
  return new Failure(EXIT_CODES.refused, {
    code: "not_replayable",
    detail: `What ${id} was made of cannot be decided again here: it is of another release.`,
    remedy: "The record itself says what the figures were: `bunting rollout decisions --json`.",
  });
}

function notReadable(id: string): Failure {
  return new Failure(EXIT_CODES.refused, {
    code: "evidence_unreadable",
    detail: `The server cannot read the evidence of ${id} at the moment.`,
    remedy: "Try again; the server's log says what is wrong with its database of evidence.",
  });
}

type Recorded = Omit<DecisionRecord, "inputs">;

function withoutInputs({ inputs: _inputs, evidence: _evidence, ...recorded }: DecisionDocument): Recorded {
  return recorded;
}

const DIFFERENCES_SHOWN = 20;

function renderReplay(
  recorded: Recorded,
  { same, comparison, differences, recordedEngine }: Replay,
  theme: Theme,
): string {
  const equality = comparison === "bytes" ? "the same, byte for byte" : "the same, to nine significant digits";
  const hidden = differences.length - DIFFERENCES_SHOWN;
  return [
    decisionLine(recorded, theme),
    facts(
      [
        ["decided", `${formatInstant(recorded.at)} UTC by ${recorded.by}, with ${recordedEngine}`],
        [
          "replayed",
          same
            ? theme.paint("good", `✓ ${equality}`)
            : theme.paint("bad", `✗ otherwise, in ${counted(differences.length, "place")}`),
        ],
      ],
      theme,
    ),
    ...differences
      .slice(0, DIFFERENCES_SHOWN)
      .flatMap(({ path, recorded: before, replayed: after }) => [
        theme.paint("strong", path === "" ? "the decision" : path),
        `  ${theme.paint("bad", "-")} ${before ?? "nothing"}`,
        `  ${theme.paint("good", "+")} ${after ?? "nothing"}`,
      ]),
    ...(hidden > 0 ? [`… and ${counted(hidden, "place")} more`] : []),
  ].join("\n");
}
