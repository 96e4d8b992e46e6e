import {
  type AuditEntry,
  auditPage,
  type ConfigurationView,
  configurationView,
  type Flag,
  flag as flagSchema,
  type Receipt,
  type RolloutView,
  receipt as receiptSchema,
} from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import {
  collect,
  collectAssignments,
  collectConditions,
  collectKeys,
  collectList,
  parseKey,
  parsePercent,
  parseSeconds,
  parseSplit,
} from "../arguments.ts";
import { type ConfigurationEdit, configurationPatch } from "../configuration-edit.ts";
import { Failure, usageFailure } from "../failure.ts";
import { differences, renderDifferences } from "../output/difference.ts";
import { renderReceipt } from "../output/receipt.ts";
import { formatInstant } from "../output/words.ts";
import { paths } from "../paths.ts";
import { hasEnded, rolloutsOfFlag } from "../rollout-reference.ts";
import { readJsonFile, type Session } from "../session.ts";
import { followReceipt, requireComplete, type WaitOption, waitSeconds } from "../wait.ts";

interface FlagSetOptions extends ConfigurationEdit {
  readonly file?: string;
  readonly wait?: WaitOption;
}

export function addFlagSetCommand(flag: Command, action: Action): void {
  flag
    .command("set")
    .summary("change who gets what in one environment")
    .description(
      "Change a flag's configuration in one environment, and show before and after. The change is made only if nobody else changed the flag in between.",
    )
    .argument("<flag>", "key of the flag", parseKey)
    .option("--on <percent>", "boolean flags: share that gets on; the rest gets off", parsePercent)
    .option("--split <variant=percent,…>", "share of each variant, together 100", parseSplit)
    .option("--variant <name>", "everyone gets this variant", parseKey)
    .option("--rule <id>", "make the change to this rule instead of the fallthrough; a new one needs --when", parseKey)
    .option(
      "--when <condition>",
      'condition of the rule, like "country in FR,DE" or segment:staff; repeatable',
      collectConditions,
    )
    .option("--remove-rule <ids>", "remove rules; separated by commas or repeated", collectKeys)
    .option("--enable", "serve what is configured")
    .option("--disable", "serve the off variant; over OpenFeature, the caller's default")
    .option("--pin <variant=key>", "force a targeting key to a variant; repeatable", collectAssignments)
    .option("--unpin <key>", "undo a pin; repeatable", collect)
    .option("--off-variant <name>", "served when killed, disabled, or a prerequisite is unmet", parseKey)
    .option(
      "--bucket-by <attributes>",
      "attributes tried in order for the bucketing key, separated by commas",
      collectList,
    )
    .option("--file <path>", "replace the whole configuration by this JSON, - for standard input")
    .option(
      "-w, --wait [seconds]",
      "wait for proof from every connected instance; exit code 5 if one is missing",
      parseSeconds,
    )
    .action(action(setFlag));
}

async function setFlag(session: Session, key: string, options: FlagSetOptions): Promise<void> {
  const { client, output } = session;
  const { file, wait, ...edit } = options;
  if (file !== undefined && Object.keys(edit).length > 0)
    throw usageFailure("--file replaces everything; no other change goes with it.");
  const environment = session.environment();
  const path = paths.configuration(environment, key);
  const [{ value: flag }, read, rollouts] = await Promise.all([
    client.get(paths.flag(key), flagSchema),
    client.get(path, configurationView),
    rolloutsOfFlag(session, environment, key),
  ]);
  const before = read.value;

  const request =
    file === undefined
      ? ({ method: "PATCH", body: patchOf(edit, flag, before), ifMatch: read.etag } as const)
      : replacement(readJsonFile(file, session), read.etag);
  let after: ConfigurationView;
  try {
    after = (await client.write({ ...request, path, schema: configurationView })).value;
  } catch (error) {
    if (error instanceof Failure && error.report.code === "version_mismatch") {
      throw await explained(error, { configuration: before, ifMatch: request.ifMatch }, flag, session);
    }
    throw error;
  }

  const changed = differences(before, after);
  const underWay = rollouts.find(({ state }) => state !== "pending" && !hasEnded(state));
  const seconds = changed.length === 0 ? undefined : waitSeconds(wait);
  const receipt = seconds === undefined ? null : await receiptOf(after, seconds, session);
  output.show({ environment, flag: key, before, after, receipt }, (made, theme) =>
    [
      `${theme.paint("good", "✓")} ${theme.paint("strong", made.flag)} in ${made.environment}, version ${made.after.version}, revision ${made.after.position.revision}`,
      renderDifferences(differences(made.before, made.after), viewOf(flag, made.after), theme),
      ...(made.after.killed
        ? [theme.paint("caution", "The flag is killed: nothing of this has effect before a restore.")]
        : []),
      ...(changed.length > 0 && underWay ? [theme.paint("caution", standDown(underWay))] : []),
      ...(made.receipt ? [renderReceipt(made.receipt, theme)] : []),
    ].join("\n"),
  );
  if (receipt && seconds !== undefined) requireComplete(receipt, seconds);
}

/** People win over rollouts, and should know that they did. */
function standDown({ id, percent }: RolloutView): string {
  return `Rollout ${id}, which was at ${percent} %, stands down: it leaves the flag as you set it. To begin anew, take the canary's share away, then \`bunting rollout retry ${id}\`.`;
}

function patchOf(edit: ConfigurationEdit, flag: Flag, before: ConfigurationView): object {
  const result = configurationPatch(edit, flag, before);
  if (!result.ok) throw usageFailure(result.detail);
  return result.patch;
}

/** A file may be what `flag show --json` printed some time ago: the version in it is then the one that was read. */
function replacement(document: Record<string, unknown>, etag: string | null) {
  const ifMatch = typeof document.version === "number" ? `"${document.version}"` : etag;
  return { method: "PUT", body: document, ifMatch } as const;
}

async function receiptOf(
  { environment, position }: ConfigurationView,
  seconds: number,
  session: Session,
): Promise<Receipt> {
  const { value } = await session.client.get(paths.receipt(environment, position.revision), receiptSchema);
  return followReceipt(value, seconds, session);
}

/** Somebody was faster: says who, and shows what is there now instead of what was read. */
async function explained(
  failure: Failure,
  read: { readonly configuration: ConfigurationView; readonly ifMatch: string | null },
  flag: Flag,
  session: Session,
): Promise<Failure> {
  const { client, output } = session;
  const { environment } = read.configuration;
  const [{ value: now }, entries] = await Promise.all([
    client.get(paths.configuration(environment, flag.key), configurationView),
    client.list(paths.audit, auditPage, { flag: flag.key, environment }, 1).catch((): AuditEntry[] => []),
  ]);
  const changed = differences(read.configuration, now);
  if (changed.length > 0) output.say((theme) => renderDifferences(changed, viewOf(flag, now), theme));
  const [latest] = entries;
  const by = latest ? ` by ${latest.actor.name} at ${formatInstant(latest.at)} UTC (${latest.action})` : "";
  return new Failure(
    failure.exitCode,
    {
      ...failure.report,
      detail: `${flag.key} was changed${by}: it has version ${now.version}, yours is from ${read.ifMatch}. Nothing was written.`,
      remedy: `Look at \`bunting flag show ${flag.key} --env ${environment}\`, and make your change to that.`,
    },
    { cause: failure },
  );
}

function viewOf(flag: Flag, { offVariant }: ConfigurationView): { variants: string[]; offVariant: string } {
  return { variants: Object.keys(flag.variants), offVariant };
}
