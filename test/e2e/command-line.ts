import { spawn } from "node:child_process";
import { cpSync, symlinkSync } from "node:fs";
import path from "node:path";
import { text } from "node:stream/consumers";

const ROOT = path.resolve(import.meta.dirname, "../..");

export interface CommandOutcome {
  readonly exitCode: number | null;
  readonly out: string;
  readonly err: string;
}

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  readonly cwd?: string;
}

/** The command line straight from its sources. */
export const FROM_SOURCES: readonly string[] = [
  "--conditions=@bunting/source",
  "--import",
  "tsx",
  path.join(ROOT, "packages/cli/src/main.ts"),
];

/** Packs it as it is published, into a folder without any dependency, and gives back how to start it. */
export async function packProgram(folder: string): Promise<readonly string[]> {
  const { exitCode, err } = await runCommand(
    [path.join(ROOT, "packages/cli/build.mjs")],
    [path.join(folder, "bundle")],
  );
  if (exitCode !== 0) throw new Error(`The command line could not be packed.\n${err}`);
  for (const name of ["package.json", "bin"])
    cpSync(path.join(ROOT, "packages/cli", name), path.join(folder, name), { recursive: true });
  return [path.join(folder, "bin/bunting.js")];
}

/** What was packed, as it lies after its dependencies were installed as well. */
export function installProgram(packed: string, folder: string): readonly string[] {
  cpSync(packed, folder, { recursive: true });
  symlinkSync(path.join(ROOT, "packages/cli/node_modules"), path.join(folder, "node_modules"));
  return [path.join(folder, "bin/bunting.js")];
}

/** Runs it in a process of its own. Of this process's environment nothing of Bunting's and nothing about colours is passed on. */
export async function runCommand(
  program: readonly string[],
  given: readonly string[],
  { env = {}, input = "", cwd = ROOT }: CommandOptions = {},
): Promise<CommandOutcome> {
  const child = spawn(process.execPath, [...program, ...given], { cwd, env: { ...cleanEnvironment(), ...env } });
  const killWithUs = (): void => void child.kill("SIGKILL");
  process.once("exit", killWithUs);
  child.stdin.end(input);
  const [out, err, exitCode] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once("close", resolve)),
  ]);
  process.off("exit", killWithUs);
  return { exitCode, out, err };
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(BUNTING_|NO_COLOR$|FORCE_COLOR$|NODE_OPTIONS$|VITEST)/.test(name),
    ),
  );
}
