import type { HoldCause, RolloutCommand, RolloutNotice } from "@bunting/contracts";
import type { ApprovalStatus } from "./approval.ts";
import { instantText } from "./instant.ts";
import type { Refusal } from "./refusal.ts";
import type { Opening } from "./windows.ts";

/*
 * The life of a rollout as a pure function; docs/spec/gating.md has the diagram and the rules in words. Nothing here reads a
 * clock, a plan or a figure: what the plan and the calendar say comes as gates, what the evidence says as an event, and what
 * is to be done goes out as effects.
 */

export type State =
  | { readonly name: "pending"; readonly attempt: number; readonly stage: null }
  | { readonly name: "running"; readonly attempt: number; readonly stage: number }
  | { readonly name: "paused"; readonly attempt: number; readonly stage: number }
  | { readonly name: "awaiting_approval"; readonly attempt: number; readonly stage: number }
  | { readonly name: "completed"; readonly attempt: number; readonly stage: number }
  | { readonly name: "rolled_back"; readonly attempt: number; readonly stage: number }
  /** `stage` is null if it never started. */
  | { readonly name: "aborted"; readonly attempt: number; readonly stage: number | null };

export type StateName = State["name"];

/** A person's commands that are nothing but their name. */
type BareCommand = Exclude<RolloutCommand, "promote" | "reject">;

export type Event =
  | { readonly [Type in BareCommand]: { readonly type: Type } }[BareCommand]
  | { readonly type: "promote"; readonly comment: string }
  | { readonly type: "reject"; readonly comment: string }
  /** Every required guardrail passes, and the bake is over, in this attempt and stage and no other. */
  | { readonly type: "pass"; readonly attempt: number; readonly stage: number }
  /** A guardrail fails. `response` is what the plan wants done about it. */
  | { readonly type: "fail"; readonly response: "rollback" | "kill" | "hold" }
  | { readonly type: "hold"; readonly cause: HoldCause }
  /** A person killed the flag, or changed its configuration, since the rollout wrote it. */
  | { readonly type: "flag_killed" }
  | { readonly type: "flag_changed" };

export type EventType = Event["type"];

/** What stands between a state and the next, as data. */
export interface Gates {
  /** The canary's percent, stage by stage. */
  readonly percents: readonly number[];
  /** Release windows and freezes. */
  readonly opening: Opening;
  /** Of the current stage; with the signature of an `approve` or `reject` in it already. */
  readonly approval: ApprovalStatus;
  /** Roles one of which is needed, if the signer has none of them. */
  readonly rolesOfOthers: readonly string[];
  /** Items of the checklist that are not ticked. */
  readonly uncheckedItems: readonly string[];
  /** Whose word the configuration is. */
  readonly flag: "ours" | "changed" | "killed";
  /** Why the plan cannot begin on the flag as it is; looked at by `start` and `retry`. */
  readonly obstacles: readonly Refusal[];
  readonly autoPromote: boolean;
  /** The latest stored decision is a pass of this attempt and stage, but for gates. */
  readonly hasPass: boolean;
}

export type Effect =
  /** Fresh statistics and no signatures; what the scope serves now is what a rollback restores. */
  | { readonly type: "begin_attempt"; readonly attempt: number }
  | { readonly type: "set_percent"; readonly stage: number; readonly percent: number }
  /** The scope serves again what it served before the attempt. */
  | { readonly type: "restore_control" }
  /** The flag serves its off variant to everybody. Only a person restores it. */
  | { readonly type: "kill_flag" }
  | { readonly type: "complete" }
  | { readonly type: "ask_approval"; readonly stage: number }
  | { readonly type: "record_signature"; readonly stage: number }
  /** A look at the evidence at once, without waiting for the next interval. */
  | { readonly type: "look_again" }
  | { readonly type: "notify"; readonly notice: RolloutNotice };

export interface Transition {
  readonly state: State;
  readonly effects: readonly Effect[];
  /** Why a pass did not lead on; null if it did, and for every other event that was obeyed. */
  readonly held: HoldCause | null;
  /** A person promoted without a pass. */
  readonly forced: boolean;
}

/** Either moves, or refuses. Only commands of people are refused: evidence is always listened to. */
export type Outcome = Transition | { readonly refusal: Refusal };

type StateOf<Name extends StateName> = Extract<State, { readonly name: Name }>;
type EventOf<Type extends EventType> = Extract<Event, { readonly type: Type }>;
type Live = StateOf<"running" | "paused" | "awaiting_approval">;
type Ended = StateOf<"completed" | "rolled_back" | "aborted">;

type Table = {
  readonly [Name in StateName]: {
    readonly [Type in EventType]: (state: StateOf<Name>, event: EventOf<Type>, gates: Gates) => Outcome;
  };
};

export function transition(state: State, event: Event, gates: Gates): Outcome {
  // The compiler cannot see that row and state, column and event belong together; the type of TABLE is what guarantees it.
  const cell = TABLE[state.name][event.type] as (state: State, event: Event, gates: Gates) => Outcome;
  return cell(state, event, gates);
}

/** Traffic goes to the canary, and the safety monitor runs. */
export function isLive(state: State): state is Live {
  return state.name === "running" || state.name === "paused" || state.name === "awaiting_approval";
}

/** Commands that a state takes if the gates allow, for refusals and for the console. */
export const COMMANDS_OF: Readonly<Record<StateName, readonly RolloutCommand[]>> = {
  pending: ["start", "abort"],
  running: ["pause", "promote", "rollback", "abort", "approve", "reject"],
  paused: ["resume", "rollback", "abort", "approve", "reject"],
  awaiting_approval: ["approve", "reject", "pause", "rollback", "abort"],
  completed: [],
  rolled_back: ["retry"],
  aborted: ["retry"],
};

/** What the three ends have in common: nothing is served by them, so neither people nor evidence move them. */
const ENDED = {
  start: notLive,
  pause: notLive,
  resume: notLive,
  promote: notLive,
  rollback: notLive,
  abort: notLive,
  approve: notLive,
  reject: notLive,
  pass: stay,
  fail: stay,
  hold: stay,
  flag_killed: stay,
  flag_changed: stay,
};

const TABLE: Table = {
  pending: {
    start: (state, _event, gates) => begin(state.attempt, gates),
    pause: notLive,
    resume: notLive,
    promote: notLive,
    rollback: notLive,
    abort: ({ attempt }) => move({ name: "aborted", attempt, stage: null }, notify("aborted")),
    approve: notLive,
    reject: notLive,
    retry: notAllowed,
    // Nothing of it is served, so nothing is learned about it; and people may change a flag before its rollout begins.
    pass: stay,
    fail: stay,
    hold: stay,
    flag_killed: stay,
    flag_changed: stay,
  },
  running: {
    start: notAllowed,
    pause: ({ attempt, stage }) => move({ name: "paused", attempt, stage }, notify("paused")),
    resume: notAllowed,
    promote: promoteByHand,
    rollback,
    abort,
    approve(state, _event, gates) {
      return refusalToSign(state, gates) ?? move(state, sign(state), notify("approved"), { type: "look_again" });
    },
    reject,
    retry: notAllowed,
    pass(state, event, gates) {
      // A pass of another stage or attempt is evidence of something else.
      if (event.attempt !== state.attempt || event.stage !== state.stage) return hold(state, "inconclusive");
      return leaveStage(state, gates);
    },
    fail,
    hold: stay,
    flag_killed: standDown,
    flag_changed: standDown,
  },
  paused: {
    start: notAllowed,
    pause: notAllowed,
    resume({ attempt, stage }, _event, gates) {
      return (
        refusalOfFlag(gates) ?? move({ name: "running", attempt, stage }, notify("resumed"), { type: "look_again" })
      );
    },
    promote: notAllowed,
    rollback,
    abort,
    approve: (state, _event, gates) => refusalToSign(state, gates) ?? move(state, sign(state), notify("approved")),
    reject,
    retry: notAllowed,
    pass: (state) => hold(state, "manual"),
    fail,
    hold: stay,
    flag_killed: standDown,
    flag_changed: standDown,
  },
  awaiting_approval: {
    start: notAllowed,
    pause: ({ attempt, stage }) => move({ name: "paused", attempt, stage }, notify("paused")),
    resume: notAllowed,
    promote: (_state, _event, { approval }) => refuse("approval_missing", sentenceOf(approval)),
    rollback,
    abort,
    /**
     * Consent is no evidence: with the last signature the rollout runs again, and the next look promotes it if the evidence
     * still allows.
     */
    approve(state, _event, gates) {
      const refused = refusalToSign(state, gates);
      if (refused) return refused;
      if (gates.approval.name !== "given") return move(state, sign(state), notify("approved"));
      const { attempt, stage } = state;
      return move({ name: "running", attempt, stage }, sign(state), notify("approved"), { type: "look_again" });
    },
    reject,
    retry: notAllowed,
    pass: (state) => hold(state, "awaiting_approval"),
    fail,
    hold: stay,
    flag_killed: standDown,
    flag_changed: standDown,
  },
  completed: { ...ENDED, retry: notAllowed },
  rolled_back: { ...ENDED, retry: again },
  aborted: { ...ENDED, retry: again },
};

// --- what cells do

/** `start` and `retry`: the same gates stand before a first attempt and before any other. */
function begin(attempt: number, gates: Gates): Outcome {
  if (gates.flag === "killed") return refuseKilled();
  const [obstacle] = gates.obstacles;
  if (obstacle) return { refusal: obstacle };
  if (gates.uncheckedItems.length > 0) {
    return refuse("checklist_incomplete", `Not ticked yet: ${gates.uncheckedItems.join("; ")}.`);
  }
  if (!gates.opening.open) return refuseOutside(gates.opening.next);
  return move(
    { name: "running", attempt, stage: 0 },
    { type: "begin_attempt", attempt },
    { type: "set_percent", stage: 0, percent: gates.percents[0] ?? 0 },
    notify("started"),
  );
}

function again({ attempt }: StateOf<"rolled_back" | "aborted">, _event: Event, gates: Gates): Outcome {
  return begin(attempt + 1, gates);
}

/** What a pass leads to. The last stage is left by completing, which gives nobody the canary and so needs no window. */
function leaveStage(state: StateOf<"running">, gates: Gates): Outcome {
  const { attempt, stage } = state;
  const isLast = stage >= gates.percents.length - 1;
  if (!isLast && !gates.opening.open) return hold(state, "outside_window");
  const { approval } = gates;
  if (approval.name === "missing" || approval.name === "rejected") {
    return {
      state: { name: "awaiting_approval", attempt, stage },
      effects: [{ type: "ask_approval", stage }, notify("approval_asked")],
      held: "awaiting_approval",
      forced: false,
    };
  }
  if (isLast) return move({ name: "completed", attempt, stage }, { type: "complete" }, notify("completed"));
  if (!gates.autoPromote) return hold(state, "manual");
  return promote(state, gates, false);
}

function promoteByHand(state: StateOf<"running">, { comment }: EventOf<"promote">, gates: Gates): Outcome {
  const refused = refusalOfFlag(gates);
  if (refused) return refused;
  if (state.stage >= gates.percents.length - 1) {
    return refuse(
      "rollout_at_last_stage",
      `The canary has ${gates.percents[state.stage] ?? 0} %, the most of the plan.`,
    );
  }
  if (!gates.opening.open) return refuseOutside(gates.opening.next);
  const { approval } = gates;
  if (approval.name === "missing" || approval.name === "rejected") {
    return refuse("approval_missing", sentenceOf(approval));
  }
  if (!gates.hasPass && comment.trim() === "") {
    return refuse(
      "comment_required",
      "The evidence does not allow this stage to be left. Say why it is left all the same.",
    );
  }
  return promote(state, gates, !gates.hasPass);
}

function promote({ attempt, stage }: StateOf<"running">, { percents }: Gates, forced: boolean): Transition {
  const next = stage + 1;
  return {
    state: { name: "running", attempt, stage: next },
    effects: [{ type: "set_percent", stage: next, percent: percents[next] ?? 0 }, notify("stage_reached")],
    held: null,
    forced,
  };
}

/** Gated by nothing: no window, no approval, no evidence. */
function rollback({ attempt, stage }: Live): Transition {
  return move({ name: "rolled_back", attempt, stage }, { type: "restore_control" }, notify("rolled_back"));
}

function abort({ attempt, stage }: Live): Transition {
  return move({ name: "aborted", attempt, stage }, { type: "restore_control" }, notify("aborted"));
}

/** In every live state, also while it is paused or waits for people. */
function fail(state: Live, { response }: EventOf<"fail">): Transition {
  const { attempt, stage } = state;
  switch (response) {
    case "rollback":
      return rollback(state);
    case "kill":
      // Behind the kill the split is restored as well: whoever restores the flag must not bring the canary back with it.
      return move(
        { name: "rolled_back", attempt, stage },
        { type: "kill_flag" },
        { type: "restore_control" },
        notify("killed"),
      );
    case "hold":
      return move(state);
  }
}

function reject(state: Live, { comment }: EventOf<"reject">, gates: Gates): Outcome {
  const refused = refusalToSign(state, gates);
  if (refused) return refused;
  if (comment.trim() === "") return refuse("comment_required", "A NO-GO says why.");
  return move(state, sign(state), notify("rejected"));
}

/** A person was here first: the flag stays as he left it, and what was learned before is no evidence of what is served now. */
function standDown({ attempt, stage }: Live): Transition {
  return move({ name: "aborted", attempt, stage }, notify("stood_down"));
}

function stay(state: State): Transition {
  return move(state);
}

function hold(state: State, cause: HoldCause): Transition {
  return { state, effects: [], held: cause, forced: false };
}

function move(state: State, ...effects: Effect[]): Transition {
  return { state, effects, held: null, forced: false };
}

function sign({ stage }: Live): Effect {
  return { type: "record_signature", stage };
}

function notify(notice: RolloutNotice): Effect {
  return { type: "notify", notice };
}

// --- refusals

function refuse(code: Refusal["code"], detail: string): { readonly refusal: Refusal } {
  return { refusal: { code, detail } };
}

function notLive(state: StateOf<"pending"> | Ended): Outcome {
  return refuse("rollout_not_live", `The rollout is ${wordsOf(state)}. ${commandsOf(state)}`);
}

function notAllowed(state: State, event: Event): Outcome {
  return refuse(
    "transition_not_allowed",
    `A rollout that is ${wordsOf(state)} takes no ${event.type}. ${commandsOf(state)}`,
  );
}

function refuseKilled(): { readonly refusal: Refusal } {
  return refuse("rollout_flag_killed", "The flag is killed. Restore it first, if it is fit for traffic.");
}

function refuseOutside(next: Extract<Opening, { open: false }>["next"]): { readonly refusal: Refusal } {
  const detail =
    next === null
      ? "No release window opens again."
      : `The next release window opens ${next.label}, at ${instantText(next.at)}.`;
  return { refusal: { code: "outside_release_window", detail, next } };
}

/** A person's newer word on the flag stands: nothing that gives the canary more is done to it. */
function refusalOfFlag({ flag }: Gates): { readonly refusal: Refusal } | null {
  switch (flag) {
    case "ours":
      return null;
    case "killed":
      return refuseKilled();
    case "changed":
      return refuse("rollout_flag_changed", "Somebody changed the configuration since the rollout wrote it.");
  }
}

function refusalToSign({ stage }: Live, { approval, rolesOfOthers }: Gates): { readonly refusal: Refusal } | null {
  if (approval.name === "not_needed") {
    return refuse("approval_not_asked", `Stage ${stage + 1} is left without an approval.`);
  }
  if (rolesOfOthers.length === 0) return null;
  return refuse("approval_role_missing", `One of these roles signs: ${rolesOfOthers.join(", ")}.`);
}

function sentenceOf(approval: ApprovalStatus): string {
  switch (approval.name) {
    case "missing":
      return `The approval waits for ${approval.waitsFor.join(" and ")}.`;
    case "rejected":
      return `${approval.by} said no: ${approval.comment}`;
    case "given":
    case "not_needed":
      return "The approval is given, and the next look at the evidence follows.";
  }
}

function wordsOf({ name }: State): string {
  return name.replaceAll("_", " ");
}

function commandsOf({ name }: State): string {
  const commands = COMMANDS_OF[name];
  return commands.length === 0 ? "It takes no further command." : `It takes ${commands.join(", ")}.`;
}
