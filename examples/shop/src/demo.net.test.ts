import { mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Child, startChild } from "@bunting/testkit";
import { afterEach, describe, expect, it } from "vitest";

const children: Child[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) await child.end("SIGKILL");
});

describe("npm run demo", () => {
  it("tells the whole story, proves each claim and ends by itself", { timeout: 300_000 }, async () => {
    // Intervals of evidence are as long as they are; the pace of everything else is not.
    const demo = await run({}, "--instances", "100", "--seconds", "1", "--rate", "400", "--stages", "10,100");
    const { code } = await demo.exited;
    const told = demo.output();
    expect({ code, told }).toMatchObject({ code: 0 });
    expect(told).toContain("Every claim held.");
    // One receipt per change that all instances were connected for: 10 %, the kill, the way to 100 %, the rollback, the next start.
    expect(told.match(/✓ 100\/100 instances applied revision \d+, p50 .+, p99 .+, max /g)).toHaveLength(5);
    expect(told).toMatch(/✓ no express checkout among [\d,]+ after the last receipt/);
    expect(told).toMatch(/✓ promoted on 0 errors in [\d,]+ \(0\.0 %\) against 0 errors in [\d,]+/);
    expect(told).toContain("✓ the rollout is completed");
    expect(told).toContain("✓ it was rolled back at 5 %, and never went further");
    expect(told).toContain("✓ all of the errors are the canary's");
    expect(told).toMatch(/✓ 2 of 2 shops serve the old way again/);
    expect(told).toContain("✓ the server heard of it when it was back, and made it so for everybody");
    expect(told).not.toContain("✗");
    expect(told).not.toContain("\u001b"); // Without a terminal there are only plain lines.
  });

  it("leaves nothing behind when it is interrupted", { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "demo-test-"));
    const demo = await run({ TMPDIR: folder }, "--instances", "5");
    const address = await demo.printed(/(http:\/\/127\.0\.0\.1:\d+) was ready[\s\S]*5\/5 instances are live/, 90_000);
    expect((await demo.end("SIGINT")).code).toBe(1);
    expect(demo.output()).toContain("Interrupted by SIGINT");
    await expect(fetch(`${address[1]}/healthz`)).rejects.toThrow("fetch failed");
    expect((await readdir(folder)).filter((name) => name.startsWith("bunting-"))).toEqual([]);
    await rm(folder, { recursive: true });
  });

  it("refuses options it cannot work with", async () => {
    const demo = await run({}, "--instances", "many");
    expect((await demo.exited).code).toBe(2);
    expect(demo.output()).toContain("positive numbers, not many");
  });
});

async function run(env: NodeJS.ProcessEnv, ...args: string[]): Promise<Child> {
  const child = await startChild({
    command: process.execPath,
    args: ["--conditions=@bunting/source", "--import", "tsx", path.join(import.meta.dirname, "demo.ts"), ...args],
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  children.push(child);
  return child;
}
