import { spawnSync } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Child, eventually, type ServerProcess, startChild, startServerProcess } from "@bunting/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { read, root } from "../architecture/repository.ts";
import { blocksOf } from "./blocks.ts";

/*
 * README's sixty seconds, typed into a shell as they stand there: in a folder that looks like the clone, with a server of the
 * test's own on a port of its own behind the first command.
 */

const hasTools = spawnSync("bash", ["-c", "command -v curl"]).status === 0;
const lacking = hasTools ? "" : " (skipped: there is no bash with curl here)";

const blocks = blocksOf(read("README.md")).filter(
  ({ language, heading }) => language === "sh" && heading === "Sixty seconds",
);
const [start = "", first = "", second = "", third = ""] = blocks.map(({ text }) => text);

let server: ServerProcess;
let clone: string;
beforeAll(async () => {
  if (!hasTools) return;
  server = await startServerProcess();
  clone = await mkdtemp(path.join(os.tmpdir(), "bunting-clone-"));
  for (const name of ["package.json", "scripts", "examples"])
    await symlink(path.join(root, name), path.join(clone, name));
  await symlink(server.dataFolder, path.join(clone, "data"));
});
afterAll(async () => {
  await server?.dispose();
  if (clone !== undefined) await rm(clone, { recursive: true, force: true });
});

/** In a process group of its own, which ends as a whole: an application in the foreground outlives its shell otherwise. */
async function typed(commands: string): Promise<Child> {
  const program = `trap 'kill -- -$!' TERM; set -m; (\n${commands}\n) & wait $!`;
  const child = await startChild({
    command: "bash",
    args: ["-euc", program.replaceAll("4242", String(server.port))],
    env: {
      PATH: process.env.PATH,
      // The user's own: should dependencies have changed since the last install, it must find the store it is linked to.
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

describe.skipIf(!hasTools)(`README's sixty seconds${lacking}`, () => {
  it("are a start, a flag with an application, a change with its receipt, and a rollout", () => {
    expect(blocks).toHaveLength(4);
    expect(start).toMatch(/^npm start +# serves http:\/\/127\.0\.0\.1:4242/);
  });

  it("end with the receipt that is shown", { timeout: 120_000 }, async () => {
    const application = await typed(first);
    await eventually(() => application.output().includes("Good day, ada."), { withinMs: 60_000, what: "a greeting" });
    const changes = await typed(second);
    expect({ ...(await changes.exited), said: changes.output() }).toMatchObject({ code: 0 });

    const shown = /`(1\/1 instances applied, .+?)`/.exec(read("README.md"))?.[1] ?? "";
    const figure = /\d+(\.\d+)? (?=ms)/g;
    const lines = changes.output().replaceAll(figure, "# ").split("\n");
    expect(lines).toContain(shown.replaceAll(figure, "# "));
    // The application greeted anew each time. Whom half of four people are is up to the salt: it may be nobody.
    const greetedAnew = /Revision 2 changed hello\.[\s\S]*Revision 3 changed hello\.\nGood day, ada\./;
    await eventually(() => greetedAnew.test(application.output()), { what: "the changes to be heard of" });

    const rollout = await typed(third);
    expect({ ...(await rollout.exited), said: rollout.output() }).toMatchObject({ code: 0 });
    expect(rollout.output()).toMatch(/hello in development {2}running {2}1 % of on against off/);
    expect(rollout.output()).toMatch(/waits for .*canary has 0 of 100 outcomes/);
  });
});
