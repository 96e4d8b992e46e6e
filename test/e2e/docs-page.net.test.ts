import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { type ServerProcess, startServerProcess } from "@bunting/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** Debian's name, and the one of others. */
const browser = ["chromium", "google-chrome"].find((name) => spawnSync(name, ["--version"]).status === 0);
const lacking = browser === undefined ? " (skipped: there is no chromium here)" : "";

let server: ServerProcess;
let profile: string;
beforeAll(async () => {
  if (browser === undefined) return;
  profile = mkdtempSync(path.join(os.tmpdir(), "bunting-browser-"));
  server = await startServerProcess();
});
afterAll(async () => {
  await server?.dispose();
  if (profile !== undefined) rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
});

/** Opens a page, lets its scripts run, and gives what stands in it then and what went to the console. */
function open(url: string): { readonly page: string; readonly console: readonly string[] } {
  const args = [
    "--headless=new",
    "--no-sandbox", // Needed as root, and the page is our own.
    "--disable-gpu",
    "--disable-background-networking",
    "--enable-logging=stderr",
    `--user-data-dir=${profile}`,
    "--virtual-time-budget=20000",
    "--dump-dom",
    url,
  ];
  const env = { PATH: process.env.PATH, HOME: profile };
  const limits = { timeout: 60_000, maxBuffer: 64 * 1024 * 1024 } as const;
  const { stdout, stderr } = spawnSync(browser ?? "", args, { env, encoding: "utf8", ...limits });
  return { page: stdout, console: stderr.split("\n").filter((line) => line.includes(":CONSOLE")) };
}

describe.skipIf(browser === undefined)(`the API's page in a real browser${lacking}`, () => {
  it("shows every operation, and nothing of it fails: no script, no style, no rule of the content security policy", async () => {
    const { paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: Record<string, object> };
    const { page, console } = open(`${server.url}/docs`);
    expect(console).toEqual([]);
    const shown = new Set([...page.matchAll(/data-path="([^"]+)"/g)].map(([, at]) => at));
    expect(Object.keys(paths).filter((at) => !shown.has(at))).toEqual([]);
  });

  it("would have been seen to fail", () => {
    const { console } = open("data:text/html,<script>console.error('seen')</script>");
    expect(console.join()).toContain("seen");
  });
});
