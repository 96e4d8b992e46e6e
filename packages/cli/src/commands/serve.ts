import type { Command } from "commander";
import type { ExitCode } from "../exit-code.ts";
import type { World } from "../world.ts";

interface ServeOptions {
  readonly port?: string;
  readonly host?: string;
  readonly dataDir?: string;
}

/** The only command that is no client. The server is loaded when it runs, so that the others start without it. */
export function addServeCommand(program: Command, world: World, done: (exitCode: ExitCode) => void): void {
  program
    .command("serve")
    .summary("run a flag server on this machine")
    .description(
      "Run a flag server on this machine, until SIGTERM or Ctrl-C. The first start creates the database and prints the tokens. Every setting is an environment variable; these options stand for three of them.",
    )
    .option("--port <port>", "BUNTING_PORT; default 4242, 0 for any free one")
    .option("--host <host>", "BUNTING_HOST; default 127.0.0.1")
    .option("--data-dir <path>", "BUNTING_DATA_DIR; default ./data")
    .action(async (options: ServeOptions) => {
      const { serve } = await import("../serve.ts");
      const exitCode = await serve({
        ...world.env,
        ...(options.port !== undefined && { BUNTING_PORT: options.port }),
        ...(options.host !== undefined && { BUNTING_HOST: options.host }),
        ...(options.dataDir !== undefined && { BUNTING_DATA_DIR: options.dataDir }),
      });
      done(exitCode);
    });
}
