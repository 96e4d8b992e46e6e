import { runServer } from "@bunting/server";
import type { ExitCode } from "./exit-code.ts";

/** The one file that knows the server. Resolves when it was told to stop, or could not start. */
export function serve(environment: Readonly<Record<string, string | undefined>>): Promise<ExitCode> {
  return runServer({
    environment,
    stdout: process.stdout,
    stderr: process.stderr,
    onStopSignal(listener) {
      for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, listener);
    },
    monotonic: () => performance.now(),
  });
}
