import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Child, type ChildExit, startChild } from "./child.ts";
import { freePort } from "./free-port.ts";

/** A real program of others, such as a Redis, on a port and in a folder of its own: what a test kills, stops and restarts. */
export interface Program {
  readonly port: number;
  /** SIGKILL. */
  kill(): Promise<ChildExit>;
  /** SIGSTOP: it takes connections and answers nothing, which only a time limit notices. */
  suspend(): void;
  /** SIGCONT. */
  resume(): void;
  /** Starts it again on the same port and folder; kills it first if it still runs. */
  restart(): Promise<void>;
  /** Kills it and removes its folder. */
  dispose(): Promise<void>;
}

interface Place {
  readonly port: number;
  readonly folder: string;
}

export interface ProgramOptions {
  readonly command: string;
  readonly args: (place: Place) => readonly string[] | Promise<readonly string[]>;
  /** What it prints once it can be asked. */
  readonly ready: RegExp;
}

const READY_WITHIN_MS = 30_000;

export async function startProgram({ command, args, ready }: ProgramOptions): Promise<Program> {
  const port = await freePort();
  const folder = await mkdtemp(path.join(os.tmpdir(), `bunting-${command}-`));
  const words = await args({ port, folder });
  const start = async (): Promise<Child> => {
    const started = await startChild({ command, args: words });
    await started.printed(ready, READY_WITHIN_MS);
    return started;
  };

  let child = await start();
  return {
    port,
    kill: () => child.end("SIGKILL"),
    suspend: () => child.signal("SIGSTOP"),
    resume: () => child.signal("SIGCONT"),
    async restart() {
      await child.end("SIGKILL");
      child = await start();
    },
    async dispose() {
      await child.end("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Why tests that need the program cannot run here, or undefined if they can. */
export function whyNotInstalled(command: string, howToInstall: string): string | undefined {
  const { error, status } = spawnSync(command, ["--version"], { stdio: "ignore" });
  if (status === 0) return undefined;
  const reason = error ? "is not on the PATH" : `ended with ${status}`;
  return `${command} ${reason}. Install it (${howToInstall}) to run this.`;
}
