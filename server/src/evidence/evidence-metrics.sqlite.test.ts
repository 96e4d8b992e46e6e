import type { Rollout } from "@bunting/contracts";
import { createFakeTime } from "@bunting/testkit";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { observeRollouts } from "./evidence-metrics.ts";
import { aCell, aRollout, createEvidenceRig, type EvidenceRig, NOON, OFF } from "./evidence-rig.ts";

let rig: EvidenceRig;
let live: Rollout[];
let registry: Registry;
beforeEach(() => {
  rig = createEvidenceRig(createFakeTime(NOON));
  live = [...rig.rollouts.values()];
  registry = new Registry();
  observeRollouts(registry, {
    live: () => live,
    telemetry: rig.telemetry,
    clock: rig.time.clock,
    scheduler: { soon: setImmediate },
  });
});
afterEach(() => rig.dispose());

/** Lines without comments. */
const scrape = async () =>
  (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));

describe("TE-112 metrics of live rollouts", () => {
  it("are those of the scrape, by arm and never by a name from a batch", async () => {
    await rig.report({
      evidence: [aCell(), aCell({ variant: OFF, errorCount: 4 }), aCell({ variant: "third" as typeof OFF })],
    });
    const canary = 'environment="production",flag="redis",arm="canary"';
    const control = 'environment="production",flag="redis",arm="control"';
    const lines = await scrape();
    expect(lines).toEqual(
      expect.arrayContaining([
        'bunting_rollout_percent{environment="production",flag="redis"} 5',
        `bunting_rollout_exposures{${canary}} 10`,
        `bunting_rollout_outcomes{${control}} 9`,
        `bunting_rollout_errors{${canary}} 1`,
        `bunting_rollout_errors{${control}} 4`,
        expect.stringMatching(/^bunting_rollout_latency_seconds\{.*arm="canary",quantile="0\.99"\} 0\.10/),
      ]),
    );
    expect(lines.join("\n")).not.toContain("third");
    expect(lines).toHaveLength(1 + 2 * 3 + 2 * 3);
  });

  it("show latency of the last five minutes, and nothing of a rollout that has ended", async () => {
    await rig.report({ evidence: [aCell()] });
    await rig.time.advanceAsync(6 * 60_000);
    expect((await scrape()).filter((line) => line.includes("latency"))).toEqual([]);
    live = [];
    expect(await scrape()).toEqual([]);
  });

  it("are kept for fifty rollouts at most", async () => {
    live = Array.from({ length: 60 }, (_, index) =>
      aRollout({}, { id: `r${index}`, flag: `flag-${index}` as Rollout["flag"] }),
    );
    expect((await scrape()).filter((line) => line.startsWith("bunting_rollout_percent"))).toHaveLength(50);
  });
});
