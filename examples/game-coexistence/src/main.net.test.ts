import { mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Child, startChild } from "@bunting/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { ASSERTIONS, type MetricName, metricsFor } from "./metrics.ts";

const children: Child[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) await child.end("SIGKILL");
});

/** Phases last a twentieth, so it ends in seconds. What is measured is held to the limits that it is always held to. */
const PACE = ["--pace", "0.05"];

describe("three versions of a game's logic side by side, against a real server", () => {
  it("holds every assertion of the scenario", { timeout: 300_000 }, async () => {
    const { code, told } = await playInTime(...PACE);
    expect(`${told}Exit code ${code}`).toMatch(/\nExit code 0$/);
    for (const assertion of ASSERTIONS) expect(told).toContain(`  ✓ ${assertion}: PASS\n`);
    expect(told).toMatch(/\nResult: PASSED\n$/);
    expect(told).not.toContain("✗");
    for (const metric of Object.keys(metricsFor({ unusedSeconds: 0 }))) expect(told).toContain(`  ${metric} `);

    // Pushed, applied and receipted, and exact at each step.
    for (const shares of [
      "v1 90 (90.0 %), v2 10 (10.0 %)",
      "v1 70 (70.0 %), v2 30 (30.0 %)",
      "v1 50 (50.0 %), v2 50 (50.0 %)",
      "v1 20 (20.0 %), v2 80 (80.0 %)",
      "v1 20 (20.0 %), v2 30 (30.0 %), v3 50 (50.0 %)",
    ]) {
      expect(told).toContain(`traffic                        ${shares}\n`);
    }
    expect(told.match(/revision \d+ applied by 1\/1 instances in [\d.]+ ms/g)).toHaveLength(7);
    expect(told).toContain("process_threw: Collision detection divided by a distance of zero");
    expect(told).toContain("100 entities, frames lost: 0");
  });

  it("survives a stall, and a rollout takes the second version back from a process where nothing has happened", {
    timeout: 300_000,
  }, async () => {
    const { code, told } = await playInTime(...PACE, "--fault", "stall", "--gate");
    expect(`${told}Exit code ${code}`).toMatch(/\nExit code 0$/);
    expect(told).toContain('stalled: No answer to "process" within 500 ms.');
    expect(told).toMatch(
      /after [\d.]+ s, because Rolled back from 20 %: failures_game_logic_v2: 1 is beyond its limit/,
    );
    expect(told).toMatch(/revision \d+ applied by 2\/2 instances/);
    expect(told).toContain("game 1: v1 100 (100.0 %); game 2: v1 100 (100.0 %)");
    expect(told).toMatch(/\nResult: PASSED\n$/);
  });

  it("survives states that make no sense any more", { timeout: 300_000 }, async () => {
    const { code, told } = await playInTime(...PACE, "--fault", "corruption");
    expect(`${told}Exit code ${code}`).toMatch(/\nExit code 0$/);
    expect(told).toContain("state_corrupt: ");
    expect(told).toMatch(/\nResult: PASSED\n$/);
  });

  it("fails, and says at what, when a version loses data on the way", { timeout: 300_000 }, async () => {
    const { code, told } = await play(...PACE, "--v2", path.join(import.meta.dirname, "fixtures/forgetful.ts"));
    expect(`${told}Exit code ${code}`).toMatch(/\nExit code 1$/);
    expect(told).toContain("  ✗ progressive_migration_no_loss: FAIL\n");
    expect(told).toContain("  ✓ traffic_routing_precise: PASS\n");
    expect(told).toMatch(/\nResult: FAILED\n$/);
  });

  it("leaves nothing behind when it is interrupted", { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "game-test-"));
    const game = await start({ TMPDIR: folder });
    const address = await game.printed(/(http:\/\/127\.0\.0\.1:\d+)[\s\S]*PHASE 0/, 90_000);
    expect((await game.end("SIGINT")).code).toBe(1);
    expect(game.output()).toContain("Interrupted by SIGINT");
    await expect(fetch(`${address[1]}/healthz`)).rejects.toThrow("fetch failed");
    expect((await readdir(folder)).filter((name) => name.startsWith("bunting-"))).toEqual([]);
    await rm(folder, { recursive: true });
  });

  it("refuses options that make no sense", async () => {
    const { code, told } = await play("--fault", "fire");
    expect(code).toBe(2);
    expect(told).toContain("--fault is one of exception, stall, corruption, not fire");
  });
});

/**
 * Limits of time are limits on a machine that has time: with the rest of the tests beside it, two cores may take a load of 20 ms
 * for 300. So a run that was late, and nothing else, is played again. Whatever is not a time holds in every run.
 */
const TIMES: readonly MetricName[] = [
  "version_load_time_ms",
  "state_migration_time_ms",
  "rollback_time_ms",
  "rollback_downtime_ms",
  "gc_trigger_time_s",
  "gc_time_ms",
];
const ATTEMPTS = 6;

async function playInTime(...args: string[]): Promise<{ code: number | null; told: string }> {
  for (let attempt = 1; ; attempt += 1) {
    const played = await play(...args);
    const summary = played.told.split("METRICS SUMMARY")[1]?.split("ASSERTIONS")[0] ?? "";
    const beyond = [...summary.matchAll(/^ {2}(\w+) .*✗/gm)].map(([, metric]) => metric as MetricName);
    const isLate = beyond.length > 0 && beyond.every((metric) => TIMES.includes(metric));
    if (!isLate || attempt === ATTEMPTS) return played;
  }
}

async function play(...args: string[]): Promise<{ code: number | null; told: string }> {
  const game = await start({}, ...args);
  const { code } = await game.exited;
  return { code, told: game.output() };
}

async function start(env: NodeJS.ProcessEnv, ...args: string[]): Promise<Child> {
  const child = await startChild({
    command: process.execPath,
    args: ["--conditions=@bunting/source", "--import", "tsx", path.join(import.meta.dirname, "main.ts"), ...args],
    env: { ...process.env, ...env },
  });
  children.push(child);
  return child;
}
