import { ROLLOUT_COMMANDS, ROLLOUT_STATES } from "@bunting/contracts/literals";
import { describe, expect, it } from "vitest";
import {
  COMMANDS_OF,
  type Event,
  type EventType,
  type Gates,
  type State,
  type StateName,
  transition,
} from "./machine.ts";

const open: Gates = {
  percents: [1, 5, 25],
  opening: { open: true },
  approval: { name: "not_needed" },
  rolesOfOthers: [],
  uncheckedItems: [],
  flag: "ours",
  obstacles: [],
  autoPromote: true,
  hasPass: true,
};
const gates = (closed: Partial<Gates>): Gates => ({ ...open, ...closed });

const states: { readonly [Name in StateName]: Extract<State, { readonly name: Name }> } = {
  pending: { name: "pending", attempt: 1, stage: null },
  running: { name: "running", attempt: 1, stage: 0 },
  paused: { name: "paused", attempt: 1, stage: 0 },
  awaiting_approval: { name: "awaiting_approval", attempt: 1, stage: 0 },
  completed: { name: "completed", attempt: 1, stage: 2 },
  rolled_back: { name: "rolled_back", attempt: 1, stage: 0 },
  aborted: { name: "aborted", attempt: 1, stage: null },
};

const events: { readonly [Type in EventType]: Extract<Event, { readonly type: Type }> } = {
  start: { type: "start" },
  pause: { type: "pause" },
  resume: { type: "resume" },
  promote: { type: "promote", comment: "" },
  rollback: { type: "rollback" },
  abort: { type: "abort" },
  approve: { type: "approve" },
  reject: { type: "reject", comment: "p99 looks odd" },
  retry: { type: "retry" },
  pass: { type: "pass", attempt: 1, stage: 0 },
  fail: { type: "fail", response: "rollback" },
  hold: { type: "hold", cause: "no_data" },
  flag_killed: { type: "flag_killed" },
  flag_changed: { type: "flag_changed" },
};

/** The outcome in one line: where to, what is done, why it stayed; or the refusal. */
function outcome(state: State, event: Event, given: Gates): string {
  const result = transition(state, event, given);
  if ("refusal" in result) return `refused: ${result.refusal.code}`;
  const { name, attempt, stage } = result.state;
  const effects = result.effects.map((effect) => {
    if (effect.type === "set_percent") return `${effect.percent} %`;
    return effect.type === "notify" ? effect.notice : effect.type;
  });
  const where = `${name} ${attempt}/${stage ?? "-"}`;
  const isSame = name === state.name && attempt === state.attempt && stage === state.stage;
  return [
    isSame ? "stays" : where,
    ...(effects.length > 0 ? [effects.join(" + ")] : []),
    ...(result.held === null ? [] : [`held: ${result.held}`]),
    ...(result.forced ? ["forced"] : []),
  ].join(", ");
}

const NOT_LIVE = "refused: rollout_not_live";
const NOT_ALLOWED = "refused: transition_not_allowed";
const NOT_ASKED = "refused: approval_not_asked";
const ended = {
  start: NOT_LIVE,
  pause: NOT_LIVE,
  resume: NOT_LIVE,
  promote: NOT_LIVE,
  rollback: NOT_LIVE,
  abort: NOT_LIVE,
  approve: NOT_LIVE,
  reject: NOT_LIVE,
  pass: "stays",
  fail: "stays",
  hold: "stays",
  flag_killed: "stays",
  flag_changed: "stays",
};
const monitored = {
  rollback: "rolled_back 1/0, restore_control + rolled_back",
  abort: "aborted 1/0, restore_control + aborted",
  fail: "rolled_back 1/0, restore_control + rolled_back",
  hold: "stays",
  flag_killed: "aborted 1/0, stood_down",
  flag_changed: "aborted 1/0, stood_down",
  retry: NOT_ALLOWED,
  start: NOT_ALLOWED,
};

/** Every state and event with all gates open. The type asks for each cell. */
const TABLE: Readonly<Record<StateName, Readonly<Record<EventType, string>>>> = {
  pending: {
    ...ended,
    start: "running 1/0, begin_attempt + 1 % + started",
    abort: "aborted 1/-, aborted",
    retry: NOT_ALLOWED,
  },
  running: {
    ...monitored,
    pause: "paused 1/0, paused",
    resume: NOT_ALLOWED,
    promote: "running 1/1, 5 % + stage_reached",
    approve: NOT_ASKED,
    reject: NOT_ASKED,
    pass: "running 1/1, 5 % + stage_reached",
  },
  paused: {
    ...monitored,
    pause: NOT_ALLOWED,
    resume: "running 1/0, resumed + look_again",
    promote: NOT_ALLOWED,
    approve: NOT_ASKED,
    reject: NOT_ASKED,
    pass: "stays, held: manual",
  },
  awaiting_approval: {
    ...monitored,
    pause: "paused 1/0, paused",
    resume: NOT_ALLOWED,
    promote: "refused: approval_missing",
    approve: NOT_ASKED,
    reject: NOT_ASKED,
    pass: "stays, held: awaiting_approval",
  },
  completed: { ...ended, retry: NOT_ALLOWED },
  rolled_back: { ...ended, retry: "running 2/0, begin_attempt + 1 % + started" },
  aborted: { ...ended, retry: "running 2/0, begin_attempt + 1 % + started" },
};

const stateNames = Object.keys(states) as StateName[];
const eventTypes = Object.keys(events) as EventType[];
const live: StateName[] = ["running", "paused", "awaiting_approval"];

describe("GA-100 every state answers every event", () => {
  it.each(stateNames.flatMap((name) => eventTypes.map((type) => [name, type, TABLE[name][type]] as const)))(
    "%s + %s: %s",
    (name, type, expected) => {
      expect(outcome(states[name], events[type], open)).toBe(expected);
    },
  );

  it("has the states and commands of the contract", () => {
    expect([...stateNames].sort()).toEqual([...ROLLOUT_STATES].sort());
    expect(eventTypes).toEqual(expect.arrayContaining([...ROLLOUT_COMMANDS]));
  });

  it("names the commands that a state takes, and takes no other", () => {
    for (const name of stateNames) {
      const given = gates({ approval: { name: "given", by: ["bo"] } });
      const taken = ROLLOUT_COMMANDS.filter(
        (type) => !outcome(states[name], events[type], given).startsWith("refused"),
      );
      const named = COMMANDS_OF[name].filter((type) => !(name === "awaiting_approval" && type === "promote"));
      expect({ name, taken: [...taken].sort() }).toEqual({ name, taken: [...named].sort() });
    }
  });

  it("says in a refusal what the state takes instead", () => {
    const result = transition(states.paused, events.promote, open);
    expect("refusal" in result && result.refusal.detail).toBe(
      "A rollout that is paused takes no promote. It takes resume, rollback, abort, approve, reject.",
    );
  });
});

describe("GA-101 what gives the canary more passes every gate, whoever asks", () => {
  const closed = {
    open: false,
    next: { at: Date.parse("2025-08-19T12:00:00Z"), label: "Tue 2025-08-19 14:00 Europe/Paris" },
  } as const;
  const missing = { name: "missing", waitsFor: ["a signature of sre"] } as const;
  const obstacle = { code: "rollout_canary_has_share", detail: "The scope serves on to 5 % already." } as const;

  it.each([
    ["pending", "start", { flag: "killed" }, "refused: rollout_flag_killed"],
    ["pending", "start", { obstacles: [obstacle] }, "refused: rollout_canary_has_share"],
    ["pending", "start", { uncheckedItems: ["SLO documented"] }, "refused: checklist_incomplete"],
    ["pending", "start", { opening: closed }, "refused: outside_release_window"],
    ["rolled_back", "retry", { flag: "killed" }, "refused: rollout_flag_killed"],
    ["rolled_back", "retry", { flag: "changed" }, "running 2/0, begin_attempt + 1 % + started"],
    ["rolled_back", "retry", { opening: closed }, "refused: outside_release_window"],
    ["aborted", "retry", { obstacles: [obstacle] }, "refused: rollout_canary_has_share"],
    ["running", "promote", { flag: "killed" }, "refused: rollout_flag_killed"],
    ["running", "promote", { flag: "changed" }, "refused: rollout_flag_changed"],
    ["running", "promote", { opening: closed }, "refused: outside_release_window"],
    ["running", "promote", { approval: missing }, "refused: approval_missing"],
    ["running", "promote", { hasPass: false }, "refused: comment_required"],
    ["running", "promote", { percents: [1] }, "refused: rollout_at_last_stage"],
    ["running", "pass", { opening: closed }, "stays, held: outside_window"],
    [
      "running",
      "pass",
      { approval: missing },
      "awaiting_approval 1/0, ask_approval + approval_asked, held: awaiting_approval",
    ],
    ["running", "pass", { autoPromote: false }, "stays, held: manual"],
    ["running", "pass", { approval: { name: "given", by: ["bo"] } }, "running 1/1, 5 % + stage_reached"],
    ["paused", "resume", { flag: "killed" }, "refused: rollout_flag_killed"],
    ["paused", "resume", { flag: "changed" }, "refused: rollout_flag_changed"],
  ] as const)("%s + %s with %o: %s", (name, type, closedGates, expected) => {
    expect(outcome(states[name], events[type], gates(closedGates))).toBe(expected);
  });

  it("promotes by hand without a pass for a reason, and marks it forced", () => {
    const withReason: Event = { type: "promote", comment: "traffic is too thin tonight" };
    expect(outcome(states.running, withReason, gates({ hasPass: false }))).toBe(
      "running 1/1, 5 % + stage_reached, forced",
    );
    expect(outcome(states.running, withReason, open)).toBe("running 1/1, 5 % + stage_reached");
  });

  it("names the next opening as a sentence and as an instant", () => {
    const result = transition(states.pending, events.start, gates({ opening: closed }));
    expect("refusal" in result && result.refusal).toEqual({
      code: "outside_release_window",
      detail: "The next release window opens Tue 2025-08-19 14:00 Europe/Paris, at 2025-08-19T12:00:00.000Z.",
      next: closed.next,
    });
    expect(outcome(states.pending, events.start, gates({ opening: { open: false, next: null } }))).toBe(
      "refused: outside_release_window",
    );
  });

  it("does not promote on a pass of another stage or attempt", () => {
    expect(outcome(states.running, { type: "pass", attempt: 1, stage: 1 }, open)).toBe("stays, held: inconclusive");
    expect(outcome(states.running, { type: "pass", attempt: 2, stage: 0 }, open)).toBe("stays, held: inconclusive");
  });
});

describe("GA-102 what takes the canary back passes no gate, in every live state", () => {
  const shut = gates({
    opening: { open: false, next: null },
    approval: { name: "rejected", by: "bo", comment: "no" },
    rolesOfOthers: ["sre"],
    uncheckedItems: ["all of it"],
    autoPromote: false,
    hasPass: false,
  });

  it.each(live)("%s", (name) => {
    expect(outcome(states[name], events.rollback, shut)).toBe(monitored.rollback);
    expect(outcome(states[name], events.abort, shut)).toBe(monitored.abort);
    expect(outcome(states[name], events.fail, shut)).toBe(monitored.fail);
    expect(outcome(states[name], { type: "fail", response: "kill" }, shut)).toBe(
      "rolled_back 1/0, kill_flag + restore_control + killed",
    );
    expect(outcome(states[name], { type: "fail", response: "hold" }, shut)).toBe("stays");
  });
});

describe("GA-103 the last stage is left by completing", () => {
  const last: State = { name: "running", attempt: 1, stage: 2 };
  const pass: Event = { type: "pass", attempt: 1, stage: 2 };

  it("by itself, in no window and without autoPromote, for nobody gets the canary by it", () => {
    expect(outcome(last, pass, open)).toBe("completed 1/2, complete + completed");
    expect(outcome(last, pass, gates({ opening: { open: false, next: null }, autoPromote: false }))).toBe(
      "completed 1/2, complete + completed",
    );
  });

  it("but not without the approval that it asks for", () => {
    expect(outcome(last, pass, gates({ approval: { name: "missing", waitsFor: ["1 more"] } }))).toBe(
      "awaiting_approval 1/2, ask_approval + approval_asked, held: awaiting_approval",
    );
  });

  it("and a person has nothing to promote it to", () => {
    expect(outcome(last, { type: "promote", comment: "go" }, open)).toBe("refused: rollout_at_last_stage");
  });
});

describe("GA-104 consent is no evidence", () => {
  const given = gates({ approval: { name: "given", by: ["bo"] } });
  const missing = gates({ approval: { name: "missing", waitsFor: ["a signature of sre"] } });
  const rejected = gates({ approval: { name: "rejected", by: "bo", comment: "p99 looks odd" } });

  it("lets the rollout run again with the last signature, and looks once more before it promotes", () => {
    expect(outcome(states.awaiting_approval, events.approve, given)).toBe(
      "running 1/0, record_signature + approved + look_again",
    );
  });

  it("waits on with a signature that is not the last, and with a NO-GO", () => {
    expect(outcome(states.awaiting_approval, events.approve, missing)).toBe("stays, record_signature + approved");
    expect(outcome(states.awaiting_approval, events.approve, rejected)).toBe("stays, record_signature + approved");
    expect(outcome(states.awaiting_approval, events.reject, rejected)).toBe("stays, record_signature + rejected");
  });

  it("may be given and refused before it is asked for", () => {
    expect(outcome(states.running, events.approve, given)).toBe("stays, record_signature + approved + look_again");
    expect(outcome(states.paused, events.approve, given)).toBe("stays, record_signature + approved");
    expect(outcome(states.running, events.reject, rejected)).toBe("stays, record_signature + rejected");
  });

  it("is refused from somebody without the role, and a NO-GO without a reason", () => {
    const foreign = gates({ approval: { name: "missing", waitsFor: [] }, rolesOfOthers: ["sre"] });
    expect(outcome(states.awaiting_approval, events.approve, foreign)).toBe("refused: approval_role_missing");
    expect(outcome(states.awaiting_approval, events.reject, foreign)).toBe("refused: approval_role_missing");
    expect(outcome(states.awaiting_approval, { type: "reject", comment: " " }, missing)).toBe(
      "refused: comment_required",
    );
  });
});

describe("GA-105 people win", () => {
  it.each(live)("%s stands down and leaves the flag alone", (name) => {
    for (const type of ["flag_killed", "flag_changed"] as const) {
      const result = transition(states[name], { type }, open);
      expect("state" in result && result.state.name).toBe("aborted");
      expect("effects" in result && result.effects).toEqual([{ type: "notify", notice: "stood_down" }]);
    }
  });
});
