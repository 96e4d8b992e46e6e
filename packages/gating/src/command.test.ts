import type { Approval, Rollout, RolloutCommand } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { type CommandInputs, type CommandRuling, decideCommand, type Person } from "./command.ts";
import { instantText, toUnixMs } from "./instant.ts";
import { OFF, ON, planWith, rolloutWith, runningWith, TUESDAY } from "./rollout-fixture.ts";

const ana: Person = { name: "ana", token: "t-ana", roles: ["sre", "billing"] };
const bo: Person = { name: "bo", token: "t-bo", roles: ["tech-lead"] };
const afternoons = planWith({
  windows: [{ timezone: "Europe/Paris", days: ["tue", "wed", "thu"], from: "14:00", to: "17:00" }],
});

function said(
  rollout: Rollout,
  type: RolloutCommand,
  { by = ana, comment = "", ...more }: { by?: Person; comment?: string } & Partial<CommandInputs> = {},
): CommandRuling {
  return decideCommand({
    kind: "command",
    rollout,
    command: { type, by, comment },
    variants: [ON, OFF],
    configuration: { rules: [], fallthrough: { variant: OFF }, killed: null, version: 7 },
    latest: null,
    now: TUESDAY + 60_000,
    ...more,
  });
}

function ruled(...given: Parameters<typeof said>): Extract<CommandRuling, { rollout: Rollout }> {
  const ruling = said(...given);
  if ("refusal" in ruling) throw new Error(`Refused: ${ruling.refusal.detail}`);
  return ruling;
}
const refused = (...given: Parameters<typeof said>): unknown => {
  const ruling = said(...given);
  return "refusal" in ruling ? ruling.refusal : "obeyed";
};

describe("GA-121 the start that was planned for a Saturday", () => {
  it("is refused with the next opening, and allowed at it", () => {
    const rollout = rolloutWith({ plan: afternoons });
    expect(refused(rollout, "start", { now: toUnixMs("2025-08-16T12:00:00Z") })).toEqual({
      code: "outside_release_window",
      detail: "The next release window opens Tue 2025-08-19 14:00 Europe/Paris, at 2025-08-19T12:00:00.000Z.",
      next: { at: TUESDAY, label: "Tue 2025-08-19 14:00 Europe/Paris" },
    });
    expect(ruled(rollout, "start", { now: TUESDAY }).rollout.state).toBe("running");
  });

  it("while a rollback on a Saturday is none of the calendar's business", () => {
    const saturday = toUnixMs("2025-08-16T12:00:00Z");
    expect(ruled(runningWith({ plan: afternoons }), "rollback", { now: saturday }).rollout.state).toBe("rolled_back");
  });
});

describe("GA-109 an attempt begins with what is there, and remembers it", () => {
  it("who started it, when, and what the scope served", () => {
    const formerServe = { split: { [OFF]: 60, other: 40 } };
    const configuration = { rules: [], fallthrough: formerServe, killed: null, version: 7 };
    const { rollout, decision } = ruled(rolloutWith(), "start", { configuration, comment: "Tuesday release" });
    expect(rollout).toMatchObject({
      state: "running",
      stage: 0,
      percent: 1,
      startedBy: "ana",
      startedAt: instantText(TUESDAY + 60_000),
      stageStartedAt: instantText(TUESDAY + 60_000),
      formerServe,
    });
    expect(decision).toMatchObject({ by: "ana", action: "start", stage: 0, verdict: null, attempt: 1 });
    expect(decision.because).toBe("ana started attempt 1 at 1 %: Tuesday release");
  });

  it("anew with every retry, whatever the attempt before had", () => {
    const ended = runningWith({
      state: "rolled_back",
      percent: 0,
      endedAt: instantText(TUESDAY),
      signatures: [
        { stage: 0, by: "bo", token: "t-bo", roles: [], decision: "approve", comment: "", at: instantText(TUESDAY) },
      ],
    });
    const { rollout, decision } = ruled(ended, "retry", { by: bo });
    expect(rollout).toMatchObject({ attempt: 2, stage: 0, startedBy: "bo", endedAt: null, signatures: [], percent: 1 });
    expect(decision).toMatchObject({ attempt: 2, stage: 0, action: "retry" });
  });

  it("and only after its checklist is ticked, by name", () => {
    const checklist = [
      { item: "staging signed", by: "bo", at: instantText(TUESDAY) },
      { item: "SLO documented", by: null, at: null },
    ];
    expect(refused(rolloutWith({ checklist }), "start")).toEqual({
      code: "checklist_incomplete",
      detail: "Not ticked yet: SLO documented.",
    });
  });
});

describe("GA-130 a gate review, from the question to the answer", () => {
  const approval: Approval = { roles: ["tech-lead", "sre"], signatures: 1, byOthers: true };
  const plan = planWith({ stages: planWith().stages.map((stage) => ({ ...stage, approval })) });
  const waiting = runningWith({ plan, state: "awaiting_approval", askedAt: instantText(TUESDAY) });

  it("runs again with the last signature, and keeps of each signer only the roles that were asked for", () => {
    const first = ruled(waiting, "approve", { comment: "dashboards are clean" }).rollout;
    expect(first.state).toBe("awaiting_approval");
    expect(first.signatures).toEqual([
      {
        stage: 1,
        by: "ana",
        token: "t-ana",
        roles: ["sre"],
        decision: "approve",
        comment: "dashboards are clean",
        at: instantText(TUESDAY + 60_000),
      },
    ]);
    const second = ruled(first, "approve", { by: bo });
    expect(second.rollout).toMatchObject({ state: "running", stage: 1, percent: 5, askedAt: null });
    expect(second.transition.effects.map(({ type }) => type)).toContain("look_again");
  });

  it("says whose signature a promotion by hand lacks", () => {
    const { rollout } = ruled(waiting, "approve");
    expect(refused(rollout, "promote", { comment: "now" })).toEqual({
      code: "approval_missing",
      detail: "The approval waits for a signature of tech-lead.",
    });
  });

  it("is stopped by one NO-GO, which has a reason", () => {
    expect(refused(waiting, "reject", { by: bo })).toMatchObject({ code: "comment_required" });
    const rejected = ruled(waiting, "reject", { by: bo, comment: "p99 looks odd" });
    expect(rejected.decision.because).toBe("bo said NO-GO to leaving stage 2: p99 looks odd");
    expect(rejected.rollout).toMatchObject({ state: "awaiting_approval", percent: 5 });
    const after = ruled(rejected.rollout, "approve").rollout;
    expect(after.state).toBe("awaiting_approval");
    expect(refused(after, "promote", { comment: "now" })).toMatchObject({ detail: "bo said no: p99 looks odd" });
    expect(ruled(after, "approve", { by: bo }).rollout.state).toBe("running");
  });

  it("is nobody's without the role", () => {
    expect(refused(waiting, "approve", { by: { ...bo, roles: ["qa"] } })).toEqual({
      code: "approval_role_missing",
      detail: "One of these roles signs: tech-lead, sre.",
    });
  });
});

describe("GA-156 a command says in one sentence who did what, from where to where", () => {
  it.each([
    ["pause", "", "ana paused it at 5 %; the safety monitor goes on."],
    ["promote", "thin traffic", "ana promoted the canary from 5 % to 25 %, against the evidence: thin traffic"],
    ["rollback", "support is calling", "ana rolled back from 5 %: support is calling"],
    ["abort", "", "ana ended the attempt at 5 %."],
  ] as const)("%s", (type, comment, because) => {
    expect(ruled(runningWith(), type, { comment }).rollout.because).toBe(because);
  });

  it("also before the start and after a pause", () => {
    expect(ruled(rolloutWith(), "abort").rollout.because).toBe("ana called it off.");
    expect(ruled(runningWith({ state: "paused" }), "resume").rollout.because).toBe("ana resumed it at 5 %.");
  });
});

describe("GA-156 a command says what the next step waits for, by the latest look at the stage", () => {
  const none = { exposureCount: 0, outcomeCount: 0, errorCount: 0, unitCount: 0 };
  const looked = (verdict: "pass" | "hold", stage = 0): CommandInputs["latest"] => ({
    attempt: 1,
    stage,
    verdict,
    cause: verdict === "hold" ? "insufficient_data" : null,
    bakedSeconds: 260,
    counts: { canary: none, control: none },
    guardrails: [],
  });
  const running = runningWith({ stage: 0, plan: planWith({ autoPromote: true }) });
  const nextAfter = (...given: Parameters<typeof ruled>) => ruled(...given).decision.nextStep;

  it("asks for no evidence that it has", () => {
    expect(nextAfter(running, "pause", { latest: looked("pass") }).waitsFor).toEqual(["a person to resume it"]);
  });

  it("leaves to the next look what is missing, and counts the time that is baked", () => {
    const now = TUESDAY + 400_000;
    expect(nextAfter(running, "pause", { latest: looked("hold"), now })).toMatchObject({
      notBefore: instantText(now + 40_000),
      waitsFor: ["a person to resume it", "the next look at the evidence"],
    });
  });

  it("asks for all of it in a stage that nobody has looked at", () => {
    const fresh = ["5 min of evidence"];
    expect(nextAfter(running, "promote", { latest: looked("pass") }).waitsFor).toEqual(fresh);
    expect(nextAfter(running, "pause", { latest: looked("pass", 1) }).waitsFor.slice(1)).toEqual(fresh);
  });
});
