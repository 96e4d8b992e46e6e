import { type AuditEntry, type AuditVerification, auditPage, auditVerificationLine } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { parseCount, parseKey } from "../arguments.ts";
import { EXIT_CODES } from "../exit-code.ts";
import { Failure } from "../failure.ts";
import type { Progress } from "../output/progress.ts";
import { type Column, facts, table } from "../output/table.ts";
import type { Theme } from "../output/theme.ts";
import { counted, formatCount, formatInstant } from "../output/words.ts";
import { paths } from "../paths.ts";
import { openBar } from "../progress-bar.ts";
import type { Session } from "../session.ts";

const DEFAULT_LIMIT = 50;

interface AuditListOptions {
  readonly flag?: string;
  readonly action?: string;
  readonly limit?: number;
}

export function addAuditCommands(program: Command, action: Action): void {
  const audit = program
    .command("audit")
    .summary("who changed what; and the proof that nobody rewrote it")
    .description("Who changed what, when and why; and the proof that nobody rewrote it.");

  audit
    .command("list", { isDefault: true })
    .summary("list entries, newest first")
    .description("List entries, newest first: of every environment, or of the one of --env.")
    .option("--flag <key>", "only this flag", parseKey)
    .option("--action <action>", "only this action, such as kill")
    .option("-n, --limit <count>", `how many; default ${DEFAULT_LIMIT}`, parseCount)
    .action(action(listAudit));

  audit
    .command("verify")
    .summary("check the hash chain and every stored document")
    .description(
      "Check the hash chain of the audit and the checksum of every stored document. Exit code 1 if something does not fit. Keep the head somewhere else: it shows if the whole audit was rewritten.",
    )
    .action(action(verifyAudit));
}

async function listAudit({ client, output, settings }: Session, options: AuditListOptions): Promise<void> {
  const query = {
    flag: options.flag,
    action: options.action,
    // The default environment would hide what is not of any environment, such as the creation of tokens.
    environment: settings.environmentFrom === "default" ? undefined : settings.environment,
  };
  const items = await client.list(paths.audit, auditPage, query, options.limit ?? DEFAULT_LIMIT);
  output.show({ items }, ({ items }, theme) => table(items, auditColumns(theme), theme, "No entry fits."));
}

async function verifyAudit(session: Session): Promise<void> {
  const value = await verification(session);
  session.output.show(value, renderVerification);
  if (value.intact && value.damagedRows.length === 0) return;
  throw new Failure(EXIT_CODES.refused, {
    code: "audit_broken",
    detail:
      value.brokenAt === null
        ? `${counted(value.damagedRows.length, "stored document")} does not fit its checksum.`
        : `Entry ${value.brokenAt} does not follow from the one before it.`,
    remedy: "Keep a copy of the database as it is, and compare it with a backup.",
  });
}

/** As long as it takes: a long chain is walked for minutes, and says meanwhile how far it is. */
async function verification(session: Session): Promise<AuditVerification> {
  let bar: Progress | undefined;
  try {
    for await (const line of session.client.lines(paths.auditVerification, auditVerificationLine)) {
      if ("result" in line) return line.result;
      const { checked, entries } = line.progress;
      bar ??= openBar(session, entries, "Not waiting any longer. Nothing was found so far.");
      bar.update(
        checked,
        checked === 0 ? "stored documents" : `${formatCount(checked)}/${formatCount(entries)} entries`,
      );
    }
  } finally {
    bar?.end();
  }
  throw new Failure(EXIT_CODES.unreachable, {
    code: "unexpected_answer",
    detail: "The server ended its answer before the audit was walked to its end.",
    remedy: "Run it again; the server's log says why.",
  });
}

function renderVerification({ entries, head, intact, brokenAt, damagedRows }: AuditVerification, theme: Theme): string {
  const verdict = intact
    ? theme.paint("good", "✓ intact")
    : theme.paint("bad", `✗ broken at entry ${brokenAt ?? "unknown"}`);
  const documents =
    damagedRows.length === 0
      ? theme.paint("good", "✓ every checksum fits")
      : theme.paint("bad", `✗ damaged: ${damagedRows.map(({ table, key }) => `${table} ${key}`).join(", ")}`);
  return facts(
    [
      ["chain", `${verdict}, ${counted(entries, "entry").replace("entrys", "entries")}`],
      ["documents", documents],
      ["head", head],
    ],
    theme,
  );
}

function auditColumns(theme: Theme): Column<AuditEntry>[] {
  return [
    { title: "#", align: "right", cell: ({ number }) => theme.paint("faint", String(number)) },
    { title: "at (UTC)", cell: ({ at }) => formatInstant(at) },
    { title: "who", cell: ({ actor }) => actor.name },
    { title: "what", cell: ({ action }) => theme.paint("strong", action) },
    { title: "object", cell: ({ object }) => `${theme.paint("faint", object.kind)} ${object.key}` },
    { title: "environment", cell: ({ object, revisions }) => environmentsOf(object.environment, revisions) },
    { title: "why", cell: ({ reason }) => reason ?? "" },
  ];
}

/** `production → 12`: where, and the revision it became. */
function environmentsOf(environment: string | null, revisions: Readonly<Record<string, number>>): string {
  const reached = Object.entries(revisions).map(([key, revision]) => `${key} → ${revision}`);
  return reached.length > 0 ? reached.join(", ") : (environment ?? "");
}
