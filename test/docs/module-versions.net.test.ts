import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Child, eventually, type ServerProcess, startChild, startServerProcess } from "@bunting/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { read, root } from "../architecture/repository.ts";
import { blocksOf } from "./blocks.ts";

/*
 * The guide to versions of a module, followed word by word: its files where it says, its commands in a shell, in a folder that
 * looks like the clone, with a server of the test's own.
 */

const hasShell = spawnSync("bash", ["-c", "true"]).status === 0;
const lacking = hasShell ? "" : " (skipped: there is no bash here)";

const EXAMPLE = "examples/game-coexistence";
const blocks = blocksOf(read("docs/guides/module-versions.md"));
const [application = "", tenOfHundred = "", pin = "", rollout = ""] = blocks
  .filter(({ language }) => language === "sh")
  .map(({ text }) => text);

let server: ServerProcess;
let clone: string;
beforeAll(async () => {
  if (!hasShell) return;
  server = await startServerProcess();
  clone = await mkdtemp(path.join(os.tmpdir(), "bunting-guide-"));
  for (const name of ["package.json", "scripts"]) await symlink(path.join(root, name), path.join(clone, name));
  await symlink(server.dataFolder, path.join(clone, "data"));
  await mkdir(path.join(clone, EXAMPLE), { recursive: true });
  for (const name of ["package.json", "node_modules"]) {
    await symlink(path.join(root, EXAMPLE, name), path.join(clone, EXAMPLE, name));
  }
  for (const { text } of blocks) {
    const name = /^\/\/ (\w+\.ts)\n/.exec(text)?.[1];
    if (name !== undefined) await writeFile(path.join(clone, EXAMPLE, name), text);
  }
});
afterAll(async () => {
  await server?.dispose();
  if (clone !== undefined) await rm(clone, { recursive: true, force: true });
});

/** In a process group of its own, which ends as a whole: an application in the foreground outlives its shell otherwise. */
async function typed(commands: string): Promise<Child> {
  const child = await startChild({
    command: "bash",
    args: ["-euc", `trap 'kill -- -$!' TERM; set -m; (\n${commands}\n) & wait $!`],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      XDG_CACHE_HOME: clone,
      BUNTING_URL: server.url,
      BUNTING_DATA_DIR: server.dataFolder,
    },
    cwd: clone,
  });
  onTestFinished(async () => {
    await child.end("SIGTERM");
  });
  return child;
}

async function done(commands: string): Promise<string> {
  const child = await typed(commands);
  const { code } = await child.exited;
  expect({ code, output: child.output() }).toMatchObject({ code: 0 });
  return child.output();
}

describe.skipIf(!hasShell)(`the guide to versions of a module${lacking}`, () => {
  it("leads from one module to a rollout of its second version", { timeout: 180_000 }, async () => {
    const game = await typed(application);
    const played = (text: string): Promise<unknown> =>
      eventually(() => game.output().includes(text), { withinMs: 60_000, what: `"${text}"` });
    await played("Playing with v1.");

    expect(await done(tenOfHundred)).toMatch(/1\/1 instances applied/);
    await played("10 moved from v1 to v2.");
    await done(pin);

    const status = await done(rollout);
    expect(status).toMatch(/game-logic in development {2}running {2}5 % of v2 against v1/);
    await eventually(() => /moved from v2 to v1\.[\s\S]*5 moved from v1 to v2\./.test(game.output()), {
      withinMs: 30_000,
      what: "the first stage's five",
    });
    expect(game.output()).not.toContain("failed");
  });
});
