import { createHash } from "node:crypto";
import { type Backup, backup } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { EXIT_CODES, type ExitCode } from "../exit-code.ts";
import { Failure } from "../failure.ts";
import type { NewFile } from "../new-file.ts";
import { facts } from "../output/table.ts";
import type { Theme } from "../output/theme.ts";
import { formatBytes, formatCount } from "../output/words.ts";
import { paths } from "../paths.ts";
import { openBar } from "../progress-bar.ts";
import type { Session } from "../session.ts";

/** The server reads the copy back whole before it answers; a database of a gigabyte takes a minute. */
const MAKING_TIMEOUT_MS = 4 * 60_000;

export function addBackupCommand(program: Command, action: Action): void {
  program
    .command("backup")
    .summary("copy the server's database into a file, verified")
    .description(
      "Have the server copy its database while it goes on, download the copy and compare its checksum. Everything in it but what was counted: flags, tokens as digests, webhooks as sealed, the audit. Not `secret.key`, without which webhooks do not open.",
    )
    .argument("<file>", "where it goes: there is no such file before all of it is on the disk")
    .option("--force", "replace a file that is there already")
    .action(action(backUp));
}

async function backUp(session: Session, path: string, { force = false }: { readonly force?: boolean }): Promise<void> {
  const { client, output, world } = session;
  const file = onDisk(path, EXIT_CODES.usage, () => world.newFile(path, { replace: force }));
  try {
    output.say((theme) => theme.paint("faint", "The server copies its database and verifies the copy …"));
    const { value: made } = await client.write({
      method: "POST",
      path: paths.backups,
      schema: backup,
      timeoutMs: MAKING_TIMEOUT_MS,
      isRepeatable: false,
    });
    await download(made, { path, file }, session);
    onDisk(path, EXIT_CODES.refused, () => file.keep());
    output.show({ file: path, ...made }, renderBackup);
  } finally {
    file.discard();
  }
}

async function download(
  { name, bytes, sha256 }: Backup,
  { path, file }: { readonly path: string; readonly file: NewFile },
  session: Session,
): Promise<void> {
  const hash = createHash("sha256");
  let received = 0;
  const bar = openBar(session, bytes, "Not waiting any longer. The server keeps its copy for a while.");
  try {
    for await (const chunk of session.client.bytes(paths.backup(name))) {
      onDisk(path, EXIT_CODES.refused, () => file.write(chunk));
      hash.update(chunk);
      received += chunk.length;
      bar.update(Math.min(received, bytes), `${formatBytes(received)} of ${formatBytes(bytes)}`);
    }
  } finally {
    bar.end();
  }
  if (received === bytes && hash.digest("hex") === sha256) return;
  throw new Failure(EXIT_CODES.refused, {
    code: "backup_damaged",
    detail: `What arrived of ${name} is not what the server made: ${received} bytes of ${bytes}, or another SHA-256.`,
    remedy: "Run it again. If it happens again, something between here and the server changes what passes.",
  });
}

/** What the file system refuses is the caller's to mend. */
function onDisk<Result>(path: string, exitCode: ExitCode, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    const isTaken = error.code === "EEXIST";
    throw new Failure(exitCode, {
      code: "file_not_written",
      detail: isTaken ? `There is a file ${path} already.` : `${path}: ${error.message}.`,
      ...(isTaken && { remedy: "--force replaces it." }),
    });
  }
}

function renderBackup(made: Backup & { readonly file: string }, theme: Theme): string {
  const revisions = Object.entries(made.revisions).map(([environment, revision]) => `${environment} ${revision}`);
  const lines = facts(
    [
      ["size", formatBytes(made.bytes)],
      ["sha256", made.sha256],
      ["revisions", revisions.join(", ")],
      ["audit", `${formatCount(made.auditEntries)} entries, head ${made.auditHead}`],
    ],
    theme,
  );
  return `${theme.paint("good", "✓")} Wrote ${theme.paint("strong", made.file)}, verified.\n${lines}`;
}
