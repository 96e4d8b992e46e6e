import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of a test, with what it printed. It dies with the test's own process, however that ends. */
export interface Child {
  readonly pid: number;
  readonly exited: Promise<ChildExit>;
  readonly isRunning: boolean;
  /** The last 256 KiB of stdout and stderr, as they came. */
  output(): string;
  /** The first match in what it prints, also of what it printed already. Rejects if it exits first, or too late. */
  printed(pattern: RegExp, withinMs: number): Promise<RegExpMatchArray>;
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal and waits for the exit. Does nothing to a process that has ended. */
  end(signal: NodeJS.Signals): Promise<ChildExit>;
}

export interface ChildProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

const KEPT_OUTPUT_CHARACTERS = 256 * 1024;

export async function startChild({ command, args, env, cwd }: ChildProgram): Promise<Child> {
  const process_ = spawn(command, args, { env, cwd, stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  const keep = (text: string): void => {
    printed = (printed + text).slice(-KEPT_OUTPUT_CHARACTERS);
  };
  for (const stream of [process_.stdout, process_.stderr]) stream.setEncoding("utf8").on("data", keep);

  await once(process_, "spawn"); // Rejects with ENOENT and the like.
  const exited = exitOf(process_);
  dieWithUs(process_, exited);
  const isRunning = (): boolean => process_.exitCode === null && process_.signalCode === null;

  return {
    pid: process_.pid ?? Number.NaN,
    exited,
    get isRunning() {
      return isRunning();
    },
    output: () => printed,
    printed: (pattern, withinMs) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = printed.match(pattern);
          if (match) settle(() => resolve(match));
        };
        const giveUp = (why: string): void => {
          settle(() => reject(new Error(`${command} ${why} before it printed ${pattern}. Its output:\n${printed}`)));
        };
        const timer = setTimeout(giveUp, withinMs, `took more than ${withinMs} ms`);
        const settle = (outcome: () => void): void => {
          clearTimeout(timer);
          for (const stream of [process_.stdout, process_.stderr]) stream.off("data", look);
          outcome();
        };
        for (const stream of [process_.stdout, process_.stderr]) stream.on("data", look);
        void exited.then(() => giveUp("ended"));
        look();
      }),
    signal: (signal) => void process_.kill(signal),
    end(signal) {
      if (isRunning()) process_.kill(signal);
      return exited;
    },
  };
}

async function exitOf(child: ChildProcess): Promise<ChildExit> {
  // "close", not "exit": what it printed last has then been read.
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code, signal };
}

/**
 * Test runners end their workers with signals that leave no time for an exit handler. So a shell holds the other end of a
 * pipe of ours: when this process is gone, whatever ended it, the pipe ends, and the shell kills the child.
 */
function dieWithUs(child: ChildProcess, exited: Promise<unknown>): void {
  const guard = spawn("sh", ["-c", `cat >/dev/null; kill -9 ${child.pid}`], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true, // Out of reach of a Ctrl-C in the terminal, which goes to the whole foreground group.
  });
  guard.on("error", () => {}); // No shell here: then only a test that ends in good order cleans up.
  guard.unref();
  void exited.then(() => guard.kill("SIGKILL"));
}
