import { type RolloutChange, type RolloutCommand, rolloutChange } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { parseKey, parseSeconds } from "../arguments.ts";
import { renderReceipt } from "../output/receipt.ts";
import { rolloutLine } from "../output/rollout.ts";
import type { Theme } from "../output/theme.ts";
import { paths } from "../paths.ts";
import { findRollout } from "../rollout-reference.ts";
import { reasonFor, type Session } from "../session.ts";
import { DEFAULT_WAIT_SECONDS, followReceipt, requireComplete, type WaitOption, waitSeconds } from "../wait.ts";

interface Described {
  readonly summary: string;
  readonly description: string;
  /** It is answered for by name: asked for where it was not given. */
  readonly question?: { readonly question: string; readonly example: string };
}

/** In the order of a rollout's life. */
const DESCRIPTIONS: Readonly<Record<RolloutCommand, Described>> = {
  start: {
    summary: "give the first stage its share",
    description:
      "Give the canary the share of the first stage. Refused outside the release windows and before the checklist is ticked.",
  },
  promote: {
    summary: "go on to the next stage",
    description:
      "Go on to the next stage. Against the evidence it takes a --comment, and the log says that it was forced.",
  },
  pause: {
    summary: "stop promoting; the safety monitor goes on",
    description: "Stop promoting. The canary keeps its share, and the safety monitor goes on.",
  },
  resume: { summary: "undo a pause", description: "Undo a pause." },
  rollback: {
    summary: "serve what was served before, now",
    description:
      "Serve what was served before the rollout, to the same users, in one change. Nothing holds this up. It stays so until a retry.",
  },
  approve: {
    summary: "say GO where a stage asks for it",
    description: "Sign that the stage may be left. With the last signature the next look at the evidence promotes.",
  },
  reject: {
    summary: "say NO-GO where a stage asks for it",
    description: "Sign that the stage may not be left, and why. Approving takes it back.",
    question: { question: "Why not?", example: "support has tickets about it" },
  },
  abort: {
    summary: "end the attempt without a verdict",
    description: "End the attempt without a verdict; traffic goes back to what was served before.",
  },
  retry: {
    summary: "begin a new attempt with fresh statistics",
    description:
      "Begin a new attempt of a rollout that was rolled back or aborted, from the first stage and with fresh statistics.",
  },
};

interface CommandOptions {
  readonly comment?: string;
  readonly wait?: WaitOption;
}

export function addRolloutStepCommands(rollout: Command, action: Action): void {
  for (const [name, described] of Object.entries(DESCRIPTIONS) as [RolloutCommand, Described][]) {
    rollout
      .command(name)
      .summary(described.summary)
      .description(described.description)
      .argument("<rollout>", "its id, or the key of its flag", parseKey)
      .option("-c, --comment <text>", "why, for the log of decisions")
      .option(
        "-w, --wait [seconds]",
        `wait for proof from every connected instance, ${DEFAULT_WAIT_SECONDS} s unless seconds are given; exit code 5 if one is missing`,
        parseSeconds,
      )
      .action(action((session, rollout: string, options: CommandOptions) => order(session, name, rollout, options)));
  }
}

async function order(
  session: Session,
  name: RolloutCommand,
  reference: string,
  options: CommandOptions,
): Promise<void> {
  const { client, output } = session;
  const { id } = await findRollout(session, reference);
  const { question } = DESCRIPTIONS[name];
  const comment = question
    ? await reasonFor(options.comment, { ...question, option: "--comment" }, session)
    : (options.comment ?? "");
  const { value } = await client.write({
    method: "POST",
    path: paths.rolloutCommand(id, name),
    body: { comment },
    schema: rolloutChange,
  });
  const seconds = waitSeconds(options.wait);
  // Without a change of the flag there is nothing to wait for.
  if (seconds === undefined || value.receipt === null) {
    return output.show(value, (change, theme) => renderRolloutChange(change, theme));
  }
  const receipt = await followReceipt(value.receipt, seconds, session);
  output.show({ ...value, receipt }, (change, theme) =>
    [renderRolloutChange(change, theme), renderReceipt(change.receipt, theme)].join("\n"),
  );
  requireComplete(receipt, seconds);
}

function renderRolloutChange({ rollout, decision }: RolloutChange, theme: Theme): string {
  return [
    `${theme.paint("good", "✓")} ${decision?.because ?? rollout.because}`,
    rolloutLine(rollout, theme),
    ...(rollout.nextStep?.waitsFor ?? []).map((what) => theme.paint("faint", `  waits for ${what}`)),
  ].join("\n");
}
