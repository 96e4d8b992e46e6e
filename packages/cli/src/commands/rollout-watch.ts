import { type Decision, decisionPage, rolloutView } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { parseKey, parseSeconds } from "../arguments.ts";
import { EXIT_CODES } from "../exit-code.ts";
import { Failure } from "../failure.ts";
import { decisionLine, renderRollout, rolloutLine, type SeenRollout, wayOn } from "../output/rollout.ts";
import { paths } from "../paths.ts";
import { findRollout, hasEnded } from "../rollout-reference.ts";
import type { Session } from "../session.ts";

const DECISIONS_FETCHED = 20;
const DEFAULT_EVERY_SECONDS = 2;

/** `status` and `watch`: the same picture, once and again and again. */
export function addRolloutWatchCommands(rollout: Command, action: Action): void {
  rollout
    .command("status")
    .summary("where it stands, on what evidence, and what it waits for")
    .description(
      "Where a rollout stands, on what evidence, and what it waits for: the stages, canary against control with confidence intervals, the guardrails, the next possible step, and the latest decisions.",
    )
    .argument("<rollout>", "its id, or the key of its flag", parseKey)
    .action(
      action(async (session, name: string) => {
        const { id } = await findRollout(session, name);
        const seen = await look(session, id);
        session.output.show(seen, (shown, theme) => renderRollout(shown, session.world.now(), theme));
      }),
    );

  rollout
    .command("watch")
    .summary("the same as it happens, until the rollout ends")
    .description(
      "The same as `status`, drawn anew as it happens, until the rollout ends: exit code 0 if it completed, 1 if it was rolled back or aborted. Without a terminal, one line per decision that did something or said something new.",
    )
    .argument("<rollout>", "its id, or the key of its flag", parseKey)
    .option("--every <seconds>", `how often it asks; default ${DEFAULT_EVERY_SECONDS}`, parseSeconds)
    .action(action(watch));
}

async function look({ client }: Session, id: string): Promise<SeenRollout> {
  const [{ value: rollout }, decisions] = await Promise.all([
    client.get(paths.rollout(id), rolloutView),
    client.list(paths.decisions(id), decisionPage, { only: "changes" }, DECISIONS_FETCHED),
  ]);
  return { rollout, decisions };
}

async function watch(session: Session, name: string, options: { readonly every?: number }): Promise<void> {
  const { world } = session;
  const { id } = await findRollout(session, name);
  const pauseMs = Math.max(0.2, options.every ?? DEFAULT_EVERY_SECONDS) * 1000;
  let seen = await look(session, id);
  let before: SeenRollout | undefined;
  for (;;) {
    show(seen, before, session);
    if (hasEnded(seen.rollout.state)) break;
    before = seen;
    await world.sleep(pauseMs);
    seen = await lookAgain(seen, session);
  }
  requireCompleted(seen);
}

/** A server that is away for a while does not end the watch: what was seen last stays, and says how old it is. */
async function lookAgain(seen: SeenRollout, session: Session): Promise<SeenRollout> {
  try {
    return await look(session, seen.rollout.id);
  } catch (error) {
    if (!(error instanceof Failure) || error.exitCode !== EXIT_CODES.unreachable) throw error;
    if (!session.output.isLive) session.output.warn(error.report.detail);
    return { ...seen, trouble: error.report.detail };
  }
}

function show(seen: SeenRollout, before: SeenRollout | undefined, { output, world }: Session): void {
  if (output.isLive) return output.redraw(seen, (shown, theme) => renderRollout(shown, world.now(), theme));
  const news = newsOf(seen, before);
  if (news) {
    output.append(news, ({ rollout, decisions }, theme) =>
      (decisions.length > 0
        ? decisions.toReversed().map((decision) => decisionLine(decision, theme))
        : [rolloutLine(rollout, theme)]
      ).join("\n"),
    );
  }
}

/** What is new since the look before: undefined if nothing is. The first look is where it stands, without its history. */
export function newsOf(seen: SeenRollout, before: SeenRollout | undefined): SeenRollout | undefined {
  if (!before) return { rollout: seen.rollout, decisions: [] };
  const known = new Set(before.decisions.map(({ id }: Decision) => id));
  const decisions = seen.decisions.filter(({ id }) => !known.has(id));
  const isNew = decisions.length > 0 || seen.rollout.version !== before.rollout.version;
  return isNew ? { rollout: seen.rollout, decisions } : undefined;
}

function requireCompleted({ rollout, decisions }: SeenRollout): void {
  const { id, flag, state, because } = rollout;
  if (state === "completed") return;
  throw new Failure(EXIT_CODES.refused, {
    code: "not_completed",
    detail: `${flag} was ${state === "aborted" ? "aborted" : "rolled back"}. ${because}`,
    remedy: `\`bunting rollout report ${id}\` has the whole story. From here: ${wayOn(rollout, decisions)}.`,
  });
}
