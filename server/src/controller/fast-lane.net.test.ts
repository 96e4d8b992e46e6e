import { rolloutChange, rolloutView } from "@bunting/contracts";
import { EVIDENCE_GROUPS, EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { replay } from "@bunting/gating";
import { eventually } from "@bunting/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServerUnderTest, startServerUnderTest } from "../http/server-under-test.ts";
import { ENGINE } from "../platform/engine.ts";

let under: ServerUnderTest;
beforeAll(async () => {
  under = await startServerUnderTest();
});
afterAll(() => under.dispose());

/** What a process reports of one arm, one outcome per user. */
function cell(rollout: string, variant: string, count: number, errorCount: number) {
  const share = (of: number) => Math.floor(of / EVIDENCE_GROUPS);
  return {
    rollout,
    attempt: 1,
    stage: 0,
    variant,
    interval: Math.floor(Date.now() / EVIDENCE_INTERVAL_MS),
    exposureCount: count,
    unitCount: count,
    outcomeCount: count,
    errorCount,
    unitErrorCount: errorCount,
    uncheckedCount: 0,
    groups: Array.from({ length: EVIDENCE_GROUPS }, (_, group) => [
      group,
      share(count),
      share(count),
      share(errorCount),
      share(errorCount),
    ]),
    sketch: [],
    ladder: [],
  };
}

describe("GA-203 a gross failure, from the batch of an SDK to everybody's receipt", () => {
  async function start(flag: string): Promise<string> {
    await under.request("POST", "/api/v1/flags", { body: { key: flag } });
    const plan = {
      canary: "on",
      control: "off",
      stages: [{ percent: 10 }, { percent: 100 }],
      guardrails: [{ metric: "error_rate", worseThanControl: true }],
      analysisIntervalSeconds: 3600,
    };
    const created = await under.request("POST", `/api/v1/environments/production/flags/${flag}/rollouts`, {
      body: plan,
    });
    const id = rolloutView.parse(created.body).id;
    expect((await under.request("POST", `/api/v1/rollouts/${id}/start`, { body: {} })).status).toBe(200);
    return id;
  }

  let sequence = 0;
  async function send(parts: object): Promise<void> {
    const batch = {
      instance: "i",
      boot: "b",
      sequence: ++sequence,
      from: 0,
      to: 0,
      ageMs: 0,
      cells: [],
      ...parts,
    };
    const token = under.firstRun.sdkTokens["production"] ?? null;
    const { status, text } = await under.request("POST", "/sdk/v1/telemetry", { token, body: batch });
    expect({ status, text }).toMatchObject({ status: 200 });
  }

  const ended = (id: string) =>
    eventually(
      async () => {
        const { body } = await under.request("GET", `/api/v1/rollouts/${id}`);
        return body.state === "rolled_back" && rolloutView.parse(body);
      },
      { withinMs: 5_000, what: "the rollback" },
    );

  it("ends in control for everybody within 5 s, in a decision that can be made again", async () => {
    const id = await start("failing");
    await send({ evidence: [cell(id, "on", 320, 320), cell(id, "off", 3_200, 0)] });
    const { latestDecision, because } = await ended(id);
    expect(because).toContain("failing grossly");

    const { body } = await under.request("GET", "/api/v1/environments/production/flags/failing");
    expect(body.fallthrough).toEqual({ split: { on: 0, off: 100 } });
    const record = await under.request("GET", `/api/v1/rollouts/${id}/decisions/${latestDecision}`);
    expect(replay(record.body as never, ENGINE)).toMatchObject({ same: true, comparison: "bytes" });
    const { body: report } = await under.request("GET", `/api/v1/rollouts/${id}/report`);
    expect(report.incidents).toMatchObject([{ decision: latestDecision, complete: true, exposureCount: 320 }]);
  });

  it("is seen in the reports of breakers alone", async () => {
    const id = await start("broken");
    const breaker = { rollout: id, attempt: 1, state: "open", interval: 0, unitFailureCount: 7, trialCount: 7 };
    await send({ breakers: [breaker] });
    expect((await ended(id)).because).toContain("breakers are open in 1 of 1 instances");
    const retried = await under.request("POST", `/api/v1/rollouts/${id}/retry`, { body: {} });
    expect(rolloutChange.parse(retried.body).rollout).toMatchObject({ state: "running", attempt: 2, stage: 0 });
  });
});
