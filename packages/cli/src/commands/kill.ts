import {
  configurationView,
  type FlagChange,
  flagChange,
  type Receipt,
  receipt as receiptSchema,
} from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { collectKeys, parseKey, parseSeconds } from "../arguments.ts";
import { Failure, usageFailure } from "../failure.ts";
import { renderReceipt } from "../output/receipt.ts";
import type { Theme } from "../output/theme.ts";
import { formatInstant } from "../output/words.ts";
import { paths } from "../paths.ts";
import { confirmed, reasonFor, type Session } from "../session.ts";
import { DEFAULT_WAIT_SECONDS, followReceipt, requireComplete, type WaitOption, waitSeconds } from "../wait.ts";

interface ChangeOptions {
  readonly reason?: string;
  readonly wait?: WaitOption;
}

const WAIT_HELP = `wait for proof from every connected instance, ${DEFAULT_WAIT_SECONDS} s unless seconds are given; exit code 5 if one is missing`;

/** `kill`, `restore` and `reshuffle`: each one transaction, each with a reason and a receipt. */
export function addKillCommands(program: Command, action: Action): void {
  program
    .command("kill")
    .summary("serve the off variant to everyone, now")
    .description(
      "Serve the off variant to everyone, now. Stronger than rules, pins, rollouts and local overrides; stays until a restore.\nSeveral flags, or all with a tag, are killed in one transaction. One that is killed already stays so, and that is no error.",
    )
    .argument("[flags...]", "keys of flags", collectKeys)
    .option("--tag <tag>", "every flag with this tag")
    .option("-r, --reason <text>", "why, for the audit; asked for on a terminal")
    .option("-w, --wait [seconds]", WAIT_HELP, parseSeconds)
    .action(action(kill));

  program
    .command("restore")
    .summary("undo a kill")
    .description("Undo a kill: the flag serves what its configuration says again.")
    .argument("<flag>", "key of the flag", parseKey)
    .option("-r, --reason <text>", "why, for the audit; asked for on a terminal")
    .option("-w, --wait [seconds]", WAIT_HELP, parseSeconds)
    .action(
      action((session, flag: string, options: ChangeOptions) =>
        change(session, options, {
          question: `Why restore ${flag}?`,
          example: "fixed in 4.2.1",
          path: (environment) => paths.restore(environment, flag),
          body: {},
          headline: ({ flags }) => `Restored ${flags.join(", ")}`,
          // A canary has its share again, and nothing looks after it: the kill has ended the rollout.
          footnote: ({ environment }) =>
            `Who gets what now: bunting flag show ${flag} --env ${environment}. A rollout that the kill ended stays ended.`,
        }),
      ),
    );

  program
    .command("reshuffle")
    .summary("assign every user of a flag anew")
    .description(
      "Draw a new salt: every user of the flag is assigned anew. With --cohort, share the salt of a cohort instead.",
    )
    .argument("<flag>", "key of the flag", parseKey)
    .option("--cohort <name>", "take this cohort's salt, or found it")
    .option("-r, --reason <text>", "why, for the audit; asked for on a terminal")
    .option("-y, --yes", "do not ask for confirmation")
    .option("-w, --wait [seconds]", WAIT_HELP, parseSeconds)
    .action(
      action(
        async (
          session,
          flag: string,
          options: ChangeOptions & { readonly cohort?: string; readonly yes?: boolean },
        ) => {
          await confirmed(options.yes, `Assign every user of ${flag} anew?`, session);
          await change(session, options, {
            question: `Why reshuffle ${flag}?`,
            example: "the first users were all of one country",
            path: (environment) => paths.reshuffle(environment, flag),
            body: options.cohort === undefined ? {} : { cohort: options.cohort },
            headline: ({ flags }) => `Reshuffled ${flags.join(", ")}`,
          });
        },
      ),
    );
}

async function kill(
  session: Session,
  flags: string[],
  options: ChangeOptions & { readonly tag?: string },
): Promise<void> {
  const { tag } = options;
  if ((tag === undefined) === (flags.length === 0)) throw usageFailure("Name the flags to kill, or a --tag.");
  const [single] = flags;
  const isSingle = flags.length === 1 && single !== undefined;
  const whom = tag === undefined ? flags.join(", ") : `every flag tagged ${tag}`;
  const asked: Change = {
    question: `Why kill ${whom}?`,
    example: "p99 at 4 s since 02:50",
    path: (environment) => (isSingle ? paths.kill(environment, single) : paths.killMany(environment)),
    body: isSingle ? {} : tag === undefined ? { flags } : { tag },
    headline: (made) =>
      made.flags.length === 0
        ? `${tag === undefined ? "They" : "All of them"} were killed already`
        : `Killed ${made.flags.join(", ")}`,
    footnote: (made) =>
      isSingle && made.flags.length === 1
        ? `Undo: bunting restore ${single} --env ${made.environment} --reason "…"`
        : undefined,
  };
  try {
    await change(session, options, asked);
  } catch (error) {
    if (!(isSingle && error instanceof Failure && error.report.code === "flag_killed")) throw error;
    await showKilled(session, single, { wait: options.wait, refusal: error });
  }
}

/**
 * Somebody was faster, or kills once more because an instance had not applied it in time. What was asked for holds; what is
 * missing is the proof, which the newest revision gives for everything before it.
 */
async function showKilled(
  session: Session,
  flag: string,
  { wait, refusal }: { readonly wait: WaitOption; readonly refusal: Failure },
): Promise<void> {
  const { client, output, settings } = session;
  const { environment } = settings;
  const { killed, position } = (await client.get(paths.configuration(environment, flag), configurationView)).value;
  if (!killed) throw refusal;
  const seconds = waitSeconds(wait);
  const receipt = seconds === undefined ? null : await receiptAt(position.revision, seconds, session);
  output.show({ environment, flags: [], position, receipt }, (_, theme) =>
    [
      `${theme.paint("good", "✓")} ${theme.paint("strong", `${flag} was killed already`)} in ${environment}, by ${killed.by} at ${formatInstant(killed.at)} UTC: ${killed.reason}`,
      ...(receipt ? [renderReceipt(receipt, theme)] : []),
      ...(seconds === undefined ? [theme.paint("faint", WAIT_HINT)] : []),
    ].join("\n"),
  );
  if (seconds !== undefined) requireComplete(receipt, seconds);
}

async function receiptAt(revision: number, seconds: number, session: Session): Promise<Receipt | null> {
  const first = await session.client.find(paths.receipt(session.settings.environment, revision), receiptSchema);
  return first ? followReceipt(first.value, seconds, session) : null;
}

interface Change {
  readonly question: string;
  /** Of an answer to it. */
  readonly example: string;
  path(environment: string): string;
  readonly body: object;
  headline(made: FlagChange): string;
  footnote?(made: FlagChange): string | undefined;
}

async function change(session: Session, options: ChangeOptions, asked: Change): Promise<void> {
  const { client, output } = session;
  const environment = session.environment();
  const reason = await reasonFor(options.reason, asked, session);
  const { value } = await client.write({
    method: "POST",
    path: asked.path(environment),
    body: { ...asked.body, reason },
    schema: flagChange,
  });
  const seconds = waitSeconds(options.wait);
  const made = seconds === undefined ? value : { ...value, receipt: await proofOf(value, seconds, session) };
  output.show(made, (change, theme) => renderChange(change, asked, seconds !== undefined, theme));
  if (seconds !== undefined && made.flags.length > 0) requireComplete(made.receipt, seconds);
}

/** Null where nothing had to be changed, or the server keeps no receipt of it any more. */
async function proofOf({ receipt }: FlagChange, seconds: number, session: Session): Promise<Receipt | null> {
  return receipt && followReceipt(receipt, seconds, session);
}

const WAIT_HINT = "Add --wait for proof that every instance has applied it.";

/** Without `--wait` the receipt is as of the commit and would read like a failure, so it is not shown. */
function renderChange(made: FlagChange, asked: Change, waited: boolean, theme: Theme): string {
  const { environment, position, receipt } = made;
  const footnote = asked.footnote?.(made);
  const proof = waited ? (receipt ? [renderReceipt(receipt, theme)] : []) : [theme.paint("faint", WAIT_HINT)];
  return [
    `${theme.paint("good", "✓")} ${theme.paint("strong", asked.headline(made))} in ${environment}, revision ${position.revision}.`,
    ...(made.flags.length > 0 ? proof : []),
    ...(footnote === undefined ? [] : [theme.paint("faint", footnote)]),
  ].join("\n");
}
