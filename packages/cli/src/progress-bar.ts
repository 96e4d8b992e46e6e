import type { Progress } from "./output/progress.ts";
import type { Session } from "./session.ts";

/**
 * A bar on a terminal; nothing for programs and pipes.
 *
 * @param whenLeft what is said to somebody who does not wait for the end
 */
export function openBar({ output, world }: Session, total: number, whenLeft: string): Progress {
  if (!output.isJson && world.stderr.isTerminal) return world.progress(total, whenLeft);
  return { update: () => undefined, end: () => undefined };
}
