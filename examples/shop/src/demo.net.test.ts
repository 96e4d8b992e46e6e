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
  it("tells the whole story, proves each claim and ends by itself", { timeout: 180_000 }, async () => {
    const demo = await run({}, "--instances", "200", "--seconds", "1");
    const { code } = await demo.exited;
    const told = demo.output();
    expect({ code, told }).toMatchObject({ code: 0 });
    expect(told).toContain("Every claim held.");
    // One receipt per change that all instances were connected for: 1 %, 10 %, 100 % and the kill.
    expect(told.match(/✓ 200\/200 instances applied revision \d+, p50 .+, p99 .+, max /g)).toHaveLength(4);
    expect(told).toContain("✓ the acknowledged 50 % was stored");
    expect(told).toMatch(/✓ no express checkout among [\d,]+ after the last receipt/);
    expect(told).not.toContain("✗");
    expect(told).not.toContain("\u001b"); // Without a terminal there are only plain lines.
  });

  it("leaves nothing behind when it is interrupted", { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "demo-test-"));
    const demo = await run({ TMPDIR: folder }, "--instances", "5");
    const address = await demo.printed(/(http:\/\/127\.0\.0\.1:\d+) was ready[\s\S]*5\/5 instances are live/, 60_000);
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
