import { type KeptInputs, replay, restoreInputs } from "@bunting/gating";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { armsOf } from "../evidence/evidence.ts";
import { createEvidenceRig, type EvidenceRig } from "../evidence/evidence-rig.ts";
import { PRODUCTION } from "../ledger/ledger-fixture.ts";
import { ENGINE } from "../platform/engine.ts";
import { ControllerWorld, TUESDAY } from "./controller-fixture.ts";

/*
 * Two processes that report a gauge, and the controller: from their batches through the telemetry database to what is decided.
 */

const METRIC = "failures_checkout_v2";
const INTERVAL_MS = 10_000;

let world: ControllerWorld;
let rig: EvidenceRig;
let id: string;
beforeEach(() => {
  const time = createFakeTime(TUESDAY);
  world = new ControllerWorld({ time, random: createSeededRandom(7) });
  rig = createEvidenceRig(time);
  id = world.start({ guardrails: [{ metric: METRIC, kind: "gauge", max: 0 }] });
});
afterEach(() => {
  world.remove();
  rig.dispose();
});

const report = (instance: string, last: number) =>
  rig.report({
    instance,
    gauges: [{ metric: METRIC, last, interval: Math.floor(world.time.clock.now() / INTERVAL_MS) }],
  });

function post(value: number): void {
  const gauge = {
    environment: PRODUCTION,
    metric: METRIC,
    source: "posted",
    at: world.time.clock.now(),
    value,
  } as const;
  rig.telemetry.withEvidence((store) => store.addGauge(gauge));
}

/** A controller that starts looks at once. Answers how the rollout stands then. */
async function look(): Promise<string> {
  world.run({ evidence: rig.evidence });
  await rig.time.advanceAsync(100);
  world.stop();
  return world.rollout(id).rollout.state;
}

const nextInterval = () => rig.time.advanceAsync(INTERVAL_MS - (world.time.clock.now() % INTERVAL_MS));

describe("GA-38 a gauge that two processes report, one of them broken,", () => {
  it.each([
    ["the broken one last", ["healthy", "broken"]],
    ["the healthy one last", ["broken", "healthy"]],
  ] as const)("fails with %s", async (_, instances) => {
    for (const instance of instances) await report(instance, instance === "broken" ? 1 : 0);
    expect(await look()).toBe("rolled_back");
    const { rollout, latestAnalysis } = world.rollout(id);
    expect(rollout.because).toContain(`${METRIC}: 1 is beyond its limit`);
    expect(latestAnalysis?.guardrails).toMatchObject([{ id: METRIC, canary: 1, verdict: "fail" }]);
  });

  it("fails with only the healthy one heard in the latest interval", async () => {
    await report("broken", 1);
    await nextInterval();
    await report("healthy", 0);
    expect(await look()).toBe("rolled_back");
  });

  it("does not fail before it breaks, nor twenty seconds after it was mended", async () => {
    await report("one", 0);
    await report("other", 0);
    expect(await look()).toBe("running");
    await nextInterval();
    await report("one", 1);
    await report("one", 0);
    await nextInterval();
    await nextInterval();
    await report("one", 0);
    expect(await look()).toBe("running");
  });

  it("does not fail once a person has posted otherwise, until a process reports it again", async () => {
    await report("broken", 1);
    post(0);
    expect(await look()).toBe("running");
    await nextInterval();
    await report("healthy", 0);
    expect(await look()).toBe("running");
    await report("broken", 1);
    expect(await look()).toBe("rolled_back");
  });
});

describe("GA-170 decisions on gauges", () => {
  it("are made again, byte for byte, on a single value, as all were once, and on what processes report", async () => {
    post(0);
    await look();
    await nextInterval();
    await report("broken", 1);
    await report("healthy", 0);
    await look();
    // What is said later changes nothing of it.
    await report("broken", 9);

    const log = world.ledger.decisions({ rollout: id, before: null, limit: 100, onlyChanges: false });
    const looks = log.map((record) => ({ record, kept: record.inputs as unknown as KeptInputs })).slice(0, 2);
    expect(looks.map(({ record, kept }) => [record.action, kept.samples[METRIC]])).toEqual([
      ["rollback", { at: TUESDAY + INTERVAL_MS, value: 0, lowest: 0, highest: 1 }],
      ["none", { at: TUESDAY, value: 0 }],
    ]);
    for (const { record, kept } of looks) {
      const settled = rig.evidence.cells(armsOf(kept.rollout), { through: kept.through }) ?? [];
      const inputs: unknown = JSON.parse(JSON.stringify(restoreInputs(kept, settled)));
      expect(replay({ ...record, inputs: inputs as typeof record.inputs }, ENGINE)).toMatchObject({
        same: true,
        comparison: "bytes",
      });
    }
  });
});
