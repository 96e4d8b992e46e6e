import type { Configuration, Decision, HoldCause, Rollout, RolloutCommand, Signature } from "@bunting/contracts";
import { signingRoles } from "./approval.ts";
import { instantText } from "./instant.ts";
import { type Event, type Transition, transition } from "./machine.ts";
import { type EvidenceProgress, nextStepOf } from "./next-step.ts";
import { percentOfStage, startProblems } from "./plan.ts";
import type { Refusal } from "./refusal.ts";
import { applyTransition, gatesOf, stateOf } from "./rollout.ts";
import { type DecisionDraft, NO_COUNTS, type Ruling } from "./ruling.ts";
import { serveOfScope } from "./scope.ts";

export interface Person {
  readonly name: string;
  /** Id of the token. */
  readonly token: string;
  readonly roles: readonly string[];
}

/** Everything a person's command is decided from, as JSON. */
export interface CommandInputs {
  readonly kind: "command";
  readonly rollout: Rollout;
  readonly command: { readonly type: RolloutCommand; readonly by: Person; readonly comment: string };
  /** The flag's variants, and its configuration as the command's transaction reads it. */
  readonly variants: readonly string[];
  readonly configuration: Pick<Configuration, "rules" | "fallthrough" | "killed" | "version">;
  /** The latest decision of the controller, of whatever attempt. */
  readonly latest: LatestDecision | null;
  /** Unix ms. */
  readonly now: number;
}

export type LatestDecision = Pick<
  Decision,
  "attempt" | "stage" | "verdict" | "cause" | "bakedSeconds" | "counts" | "guardrails"
>;

export type CommandRuling = Ruling | { readonly refusal: Refusal };

/** What becomes of a person's command. */
export function decideCommand(inputs: CommandInputs): CommandRuling {
  const { rollout, command, variants, configuration, latest, now } = inputs;
  const signature = signatureOf(inputs);
  const gates = gatesOf(rollout, {
    flag: { killed: configuration.killed !== null, configurationVersion: configuration.version },
    now,
    hasPass: latest !== null && isPass(latest, rollout),
    ...(signature ? { signature } : {}),
    obstacles: startProblems(rollout.plan, variants, configuration),
  });
  const outcome = transition(stateOf(rollout), eventOf(command.type, command.comment), gates);
  if ("refusal" in outcome) return outcome;

  const because = sentenceOf(inputs, outcome);
  const next = applyTransition(rollout, outcome, {
    now,
    by: command.by.name,
    because,
    ...(signature ? { signature } : {}),
    serve: serveOfScope(configuration, rollout.plan.scope),
  });
  return { transition: outcome, rollout: next, decision: draftOf(inputs, outcome, next, because) };
}

/** Causes that the controller names once the evidence has passed and the bake is over. */
const CAUSES_AFTER_PASS: ReadonlySet<HoldCause> = new Set(["outside_window", "awaiting_approval", "manual"]);

/** Whether the evidence allows this stage of this attempt to be left: all that was missing was a gate. */
export function isPass(latest: LatestDecision, { attempt, stage }: Pick<Rollout, "attempt" | "stage">): boolean {
  if (latest.attempt !== attempt || latest.stage !== stage) return false;
  if (latest.verdict === "pass") return true;
  return latest.verdict === "hold" && latest.cause !== null && CAUSES_AFTER_PASS.has(latest.cause);
}

function eventOf(type: RolloutCommand, comment: string): Event {
  return type === "promote" || type === "reject" ? { type, comment } : { type };
}

function signatureOf({ rollout, command, now }: CommandInputs): Signature | undefined {
  if (rollout.stage === null || (command.type !== "approve" && command.type !== "reject")) return undefined;
  const { name, token, roles } = command.by;
  return {
    stage: rollout.stage,
    by: name,
    token,
    // Only roles that the approval names are kept: the rest of a person's roles is nobody's business.
    roles: roles.filter((role) => approvalRoles(rollout).includes(role)),
    decision: command.type,
    comment: command.comment,
    at: instantText(now),
  };
}

function approvalRoles({ plan, stage }: Rollout): readonly string[] {
  const approval = stage === null ? undefined : plan.stages[stage]?.approval;
  return approval === undefined ? [] : signingRoles(approval);
}

function draftOf(
  { rollout, command, latest, now }: CommandInputs,
  { forced, effects }: Transition,
  next: Rollout,
  because: string,
): DecisionDraft {
  // What it was about: the stage that a promotion leaves, and the attempt that a start begins.
  const about = effects.some(({ type }) => type === "begin_attempt") ? next : rollout;
  const known = latest?.attempt === about.attempt && latest.stage === about.stage ? latest : null;
  return {
    rollout: rollout.id,
    attempt: about.attempt,
    stage: about.stage,
    at: instantText(now),
    by: command.by.name,
    // A command is no verdict: what the evidence said is in the decisions of the controller around it.
    verdict: null,
    cause: null,
    action: command.type,
    forced,
    because,
    guardrails: [],
    bakedSeconds: known?.bakedSeconds ?? 0,
    counts: known?.counts ?? NO_COUNTS,
    nextStep: nextStepOf(next, next.stage === about.stage ? progressOf(known, next) : null, now),
  };
}

/** What the stage still lacks, by the latest look at it; null if there is none. A person's word adds no evidence. */
function progressOf(known: LatestDecision | null, rollout: Rollout): EvidenceProgress | null {
  if (known === null) return null;
  return {
    bakedSeconds: known.bakedSeconds,
    waitsFor: isPass(known, rollout) ? [] : ["the next look at the evidence"],
  };
}

function sentenceOf({ rollout, command }: CommandInputs, { state, forced }: Transition): string {
  const { name } = command.by;
  const from = rollout.percent;
  const to = percentOfStage(rollout.plan, state.stage);
  return `${subject()}${command.comment.trim() === "" ? "." : `: ${command.comment.trim()}`}`;

  function subject(): string {
    switch (command.type) {
      case "start":
        return `${name} started attempt ${state.attempt} at ${to} %`;
      case "retry":
        return `${name} started attempt ${state.attempt} at ${to} %, with fresh statistics`;
      case "pause":
        return `${name} paused it at ${from} %; the safety monitor goes on`;
      case "resume":
        return `${name} resumed it at ${from} %`;
      case "promote":
        return `${name} promoted the canary from ${from} % to ${to} %${forced ? ", against the evidence" : ""}`;
      case "rollback":
        return `${name} rolled back from ${from} %`;
      case "abort":
        return from === 0 ? `${name} called it off` : `${name} ended the attempt at ${from} %`;
      case "approve":
        return `${name} approved stage ${(rollout.stage ?? 0) + 1}`;
      case "reject":
        return `${name} said NO-GO to leaving stage ${(rollout.stage ?? 0) + 1}`;
    }
  }
}
