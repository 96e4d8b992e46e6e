import { CommanderError } from "commander";
import { EXIT_CODES, type ExitCode } from "./exit-code.ts";
import { createProgram } from "./program.ts";
import type { World } from "./world.ts";

/** Runs one command line. Whatever goes wrong as foreseen is reported and becomes an exit code; a defect is thrown. */
export async function run(commandLine: readonly string[], world: World): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT_CODES.done;
  const program = createProgram(world, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...commandLine], { from: "user" });
  } catch (error) {
    // Commander has printed help, version or its complaint already.
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT_CODES.done : EXIT_CODES.usage;
  }
  return exitCode;
}
