import type { DecisionDocument } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, sampleDecision, sampleRollout, TOKEN } from "../test-world.ts";

const ID = "ro-5f1c09a27be4.2";
const {
  nextStep: _nextStep,
  guardrails: _guardrails,
  bakedSeconds: _bakedSeconds,
  counts: _counts,
  ...stored
} = sampleRollout();

/** Ana pauses a running rollout. */
const record = {
  ...sampleDecision({
    id: ID,
    at: "2026-01-31T12:00:00.000Z",
    by: "Ana",
    verdict: null,
    cause: null,
    action: "pause",
    because: "Ana paused it at 25 %; the safety monitor goes on: lunch",
    bakedSeconds: 0,
    counts: {
      canary: { exposureCount: 0, outcomeCount: 0, errorCount: 0, unitCount: 0 },
      control: { exposureCount: 0, outcomeCount: 0, errorCount: 0, unitCount: 0 },
    },
    nextStep: {
      step: "promote",
      notBefore: "2026-01-31T12:05:00.000Z",
      waitsFor: ["a person to resume it", "5 min of evidence", "a person to promote it"],
    },
  }),
  inputs: {
    kind: "command",
    rollout: stored,
    command: { type: "pause", by: { name: "Ana", token: "t", roles: [] }, comment: "lunch" },
    variants: ["on", "off"],
    configuration: { rules: [], fallthrough: { split: { on: 25, off: 75 } }, killed: null, version: 15 },
    latest: null,
    now: Date.UTC(2026, 0, 31, 12),
  },
  evidence: "whole",
} as unknown as DecisionDocument;

async function replaying(answer: unknown, differences: object = {}) {
  const asked: string[] = [];
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    fetch: (url) => {
      asked.push(new URL(url).pathname);
      return Promise.resolve(Response.json(answer));
    },
    ...differences,
  });
  return { exitCode: await run(["rollout", "replay", ID], world), out: out(), err: err(), asked };
}

describe("a replay", () => {
  it("decides again from what the decision was made of, and finds it the same byte for byte", async () => {
    const { exitCode, out, err, asked } = await replaying(record);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(asked).toEqual([`/api/v1/rollouts/ro-5f1c09a27be4/decisions/${ID}`]);
    expect(out).toContain("✓ the same, byte for byte");
  });

  it("says that it compared to nine digits where another engine decided", async () => {
    expect((await replaying(record, { engine: "node other" })).out).toContain("✓ the same, to nine significant digits");
  });

  it("ends with 1 and shows what is otherwise", async () => {
    const { exitCode, out, err } = await replaying({ ...record, action: "resume", forced: true });
    expect(exitCode).toBe(1);
    expect(out).toContain('action\n  - "resume"\n  + "pause"');
    expect(out).toContain("forced\n  - true\n  + false");
    expect(err).toContain("replay_differs");
  });

  it("ends with 1 where it is of another release, and does not call that a difference", async () => {
    const { exitCode, out, err } = await replaying({ ...record, inputs: { kind: "analysis" } });
    expect([exitCode, out]).toEqual([1, ""]);
    expect(err).toContain("not_replayable");
  });

  it("GA-177 says so where its evidence is gone or cannot be read, and decides nothing else instead", async () => {
    for (const evidence of ["gone", "unreadable"] as const) {
      const { exitCode, out, err } = await replaying({ ...record, evidence });
      expect([exitCode, out]).toEqual([1, ""]);
      expect(err).toContain(`evidence_${evidence}`);
    }
  });
});

it("a decision that cannot be one is refused before anything is sent", async () => {
  const { world } = createTestWorld({ env: { BUNTING_TOKEN: TOKEN }, fetch: () => Promise.reject(new Error("sent")) });
  for (const id of ["17", "ro-1", "../x.1", "ro-1.x"]) expect(await run(["rollout", "replay", id], world)).toBe(2);
});
