import { type Command, InvalidArgumentError } from "commander";
import { EXIT_CODES, type ExitCode } from "./exit-code.ts";
import { Failure, usageFailure } from "./failure.ts";
import { type GlobalOptions, openOutput, openSession, type Session } from "./session.ts";
import type { World } from "./world.ts";

/** Makes what a command does into what commander calls: arguments, then its own options. */
export type Action = <Arguments extends readonly unknown[]>(
  perform: (session: Session, ...given: Arguments) => Promise<void>,
) => (...received: unknown[]) => Promise<void>;

/** Opens the session, and turns a {@link Failure} into its report and its exit code. Any other error is a defect and passes. */
export function createAction(world: World, done: (exitCode: ExitCode) => void): Action {
  return (perform) =>
    async (...received) => {
      const command = received.pop() as Command;
      const options = command.optsWithGlobals<GlobalOptions>();
      const output = openOutput(options, world);
      try {
        const session = openSession(options, world, output);
        await perform(session, ...(received as never)).catch((error: unknown) => {
          throw unknownToken(error, session.settings) ?? error;
        });
        done(EXIT_CODES.done);
      } catch (error) {
        const failure =
          error instanceof InvalidArgumentError ? usageFailure(error.message) : (fileFailure(error) ?? error);
        if (!(failure instanceof Failure)) throw failure;
        output.fail(failure);
        done(failure.exitCode);
      }
    };
}

/** The server speaks of headers; who types a command wants to know which token it was, and which server. */
function unknownToken(error: unknown, { tokenFrom, url }: Session["settings"]): Failure | undefined {
  if (!(error instanceof Failure && error.report.code === "unauthenticated")) return undefined;
  const report = {
    ...error.report,
    detail: `${url} does not take the token of ${tokenFrom === "first-run file" ? "the first-run file" : tokenFrom}: it is unknown there, expired or revoked.`,
    remedy:
      "Give another by BUNTING_TOKEN or --token-file. `bunting token create` makes one, for who has an admin token.",
  };
  return new Failure(error.exitCode, report, { cause: error });
}

/** A file that was named and cannot be read or written is for the caller to mend, like any wrong argument. */
function fileFailure(error: unknown): Failure | undefined {
  if (!(error instanceof Error && "code" in error && "syscall" in error)) return undefined;
  const [, reason] = /^E[A-Z]+: (.+?), (?:open|read|write)\b/.exec(error.message) ?? [];
  if (reason === undefined) return undefined;
  const file = "path" in error ? String(error.path) : "the file";
  return usageFailure(`Cannot read or write ${file}: ${reason}.`);
}
