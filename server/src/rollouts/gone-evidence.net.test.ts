import { decisionDocument, decisionPage, rolloutView } from "@bunting/contracts";
import { EVIDENCE_GROUPS, EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { replay } from "@bunting/gating";
import { createFakeTime, eventually, type FakeTime } from "@bunting/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServerUnderTest, startServerUnderTest } from "../http/server-under-test.ts";
import { ENGINE } from "../platform/engine.ts";
import { withoutInputs } from "./report.ts";

/* Time is the test's: 30 days are over at once. */

let time: FakeTime;
let under: ServerUnderTest;
beforeAll(async () => {
  time = createFakeTime();
  under = await startServerUnderTest({ deps: { clock: time.clock, scheduler: time.scheduler } });
});
afterAll(async () => {
  const closed = under.dispose().then(() => true);
  await onceTimePasses("the end of the server", () =>
    Promise.race([closed, new Promise<boolean>((resolve) => setImmediate(resolve, false))]),
  );
});

const onceTimePasses = <Answer>(what: string, probe: () => Promise<Answer>) =>
  eventually(
    () => {
      time.advance(1_000);
      return probe();
    },
    { what },
  );

/** What the server answers only after timers of its own. */
async function asTimePasses<Answer>(what: string, asked: Promise<Answer>): Promise<Answer> {
  let isAnswered = false;
  void asked.finally(() => {
    isAnswered = true;
  });
  await onceTimePasses(what, () => Promise.resolve(isAnswered));
  return asked;
}

const PLAN = {
  canary: "on",
  control: "off",
  stages: [{ percent: 10 }, { percent: 100 }],
  guardrails: [{ metric: "error_rate", worseThanControl: true }],
  analysisIntervalSeconds: 5,
};

/** Rows of a decision's evidence are read eight at a time: these are four pages, the last of them not full. */
const INTERVALS = 13;

function cell(rollout: string, variant: string, perGroup: number, age: number) {
  const count = perGroup * EVIDENCE_GROUPS;
  const groups = Array.from({ length: EVIDENCE_GROUPS }, (_, group) => [group, perGroup, perGroup, 0, 0]);
  const counts = { exposureCount: count, unitCount: count, outcomeCount: count, errorCount: 0, unitErrorCount: 0 };
  const interval = Math.floor(time.clock.now() / EVIDENCE_INTERVAL_MS) - age;
  const place = { rollout, attempt: 1, stage: 0, variant, interval };
  return { ...place, ...counts, uncheckedCount: 0, groups, sketch: [], ladder: [] };
}

describe("GA-177 evidence that is past its retention", () => {
  it("is said to be gone by each decision that rests on it, and by no other", async () => {
    const ask = async (method: string, at: string, body?: unknown, token?: string | null) =>
      (await under.request(method, at, { body, ...(token === undefined ? {} : { token }) })).body;
    await ask("POST", "/api/v1/flags", { key: "forgotten" });
    const created = await ask("POST", "/api/v1/environments/production/flags/forgotten/rollouts", PLAN);
    const { id } = rolloutView.parse(created);
    await ask("POST", `/api/v1/rollouts/${id}/start`, {});
    const batch = { instance: "i", boot: "b", sequence: 1, from: 0, to: 0, ageMs: 0, cells: [] };
    const ages = Array.from({ length: INTERVALS }, (_, age) => age);
    const evidence = ages.flatMap((age) => [cell(id, "on", 10, age), cell(id, "off", 90, age)]);
    const sdkToken = under.firstRun.sdkTokens["production"] ?? null;
    await asTimePasses("the batch to be stored", ask("POST", "/sdk/v1/telemetry", { ...batch, evidence }, sdkToken));

    const decisions = async () =>
      decisionPage.parse(await ask("GET", `/api/v1/rollouts/${id}/decisions?expand=inputs&limit=200`)).items;
    const judged = await onceTimePasses("a look at settled evidence", async () =>
      (await decisions()).find(
        ({ inputs }) => ((inputs as { settledCount?: number } | null)?.settledCount ?? 0) === 2 * INTERVALS,
      ),
    );
    const start = (await decisions()).find(({ action }) => action === "start");
    const read = async (decision: string) => {
      const asked = ask("GET", `/api/v1/rollouts/${id}/decisions/${decision}`);
      return decisionDocument.parse(await asTimePasses("the decision", asked));
    };
    const before = await read(judged.id);
    expect(before.evidence).toBe("whole");
    const { cells } = before.inputs as { cells: { interval: number; variant: string }[] };
    const last = Math.max(...cells.map(({ interval }) => interval));
    expect(cells.map(({ interval, variant }) => [last - interval, variant])).toEqual(
      ages.toReversed().flatMap((age) => [
        [age, "off"],
        [age, "on"],
      ]),
    );
    expect(replay(before, ENGINE)).toMatchObject({ same: true });
    const named = await read(`${judged.id}?evidence=named`);
    expect(named).toEqual({ ...withoutInputs(before), evidence: "named", inputs: judged.inputs });

    await ask("POST", `/api/v1/rollouts/${id}/abort`, { comment: "enough" });
    time.jumpWallClock(31 * 24 * 60 * 60_000);
    const gone = await eventually(
      async () => {
        time.advance(60_000);
        const now = await read(judged.id);
        return now.evidence === "gone" && now;
      },
      { what: "the retention to end" },
    );
    expect(gone.inputs).not.toHaveProperty("cells");
    expect(await read(`${judged.id}?evidence=named`)).toEqual(gone);
    expect(replay(gone, ENGINE)).toMatchObject({ same: false, decision: null });
    expect(await read(start?.id ?? "")).toMatchObject({ evidence: "whole", inputs: { kind: "command" } });
  });
});
