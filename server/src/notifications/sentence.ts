import type { RolloutNotification } from "@bunting/contracts";

/** A sentence is read on a phone. The decision has the rest. */
const BECAUSE_CHARACTERS = 1_000;

type Said = Omit<RolloutNotification, "id" | "text">;

/** The whole of a rollout's notification in one sentence: what a phone shows. */
export function sentenceOf(said: Said): string {
  const { flag, environment, by, rollout, decision, signature, nextOpeningAt } = said;
  const what = `${flag} in ${environment}`;
  const share = `${rollout.percent} % ${rollout.canary}`;
  const stage = rollout.stage === null ? "" : ` (stage ${rollout.stage + 1} of ${rollout.stageCount})`;
  const why = lowerFirst(withoutStop(decision?.because ?? rollout.because).slice(0, BECAUSE_CHARACTERS));
  const next = nextOpeningAt === null ? "" : ` The next release window opens at ${nextOpeningAt}.`;
  switch (said.kind) {
    case "rollout.announced":
      return `${by} plans to roll out ${rollout.canary} of ${what} in ${counted(rollout.stageCount, "stage")}.`;
    case "rollout.started":
      return `${by} started attempt ${rollout.attempt} of ${what}: ${share}${stage}.`;
    case "rollout.stage_reached":
      return `${what} reached ${share}${stage}: ${why}.`;
    case "rollout.baking":
      return `${what} is at ${share}${stage}, ${waiting(said)}.`;
    case "rollout.held":
      return `${what} is held at ${share}${stage}: ${why}.`;
    case "rollout.guardrail_failing":
      return `A guardrail of ${what} fails at ${share}${stage}: ${why}.`;
    case "rollout.approval_asked":
      return `${what} at ${share}${stage} asks for approval, ${waiting(said)}.`;
    case "rollout.approval_reminder":
      return `${what} at ${share}${stage} still asks for approval, ${waiting(said)}.`;
    case "rollout.approved":
      return `${signature?.by ?? by} approved ${what} at ${share}${stage}${comment(signature)}.`;
    case "rollout.rejected":
      return `${signature?.by ?? by} rejected ${what} at ${share}${stage}${comment(signature)}.`;
    case "rollout.paused":
      return `${by} paused ${what} at ${share}${stage}: ${why}.`;
    case "rollout.resumed":
      return `${by} resumed ${what} at ${share}${stage}.`;
    case "rollout.rolled_back":
      return `${what} was rolled back to ${rollout.control} by ${by}: ${why}.${next}`;
    case "rollout.killed":
      return `${what} was killed by ${by}: ${why}.${next}`;
    case "rollout.aborted":
      return `${by} aborted the rollout of ${what}: ${why}.${next}`;
    case "rollout.stood_down":
      return `The rollout of ${what} stood down: ${why}.${next}`;
    case "rollout.completed":
      return `${what} is complete: ${share}.`;
  }
}

function waiting({ decision }: Said): string {
  const waitsFor = decision?.nextStep.waitsFor ?? [];
  return waitsFor.length === 0 ? "waiting for nothing" : `waiting for ${waitsFor.join("; ")}`;
}

function comment(signature: Said["signature"]): string {
  return signature === null || signature.comment === "" ? "" : `: ${withoutStop(signature.comment)}`;
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

const withoutStop = (sentence: string): string => sentence.replace(/[.\s]+$/, "");

/** Only words: a name or an abbreviation at the beginning keeps its letter. */
const lowerFirst = (sentence: string): string =>
  sentence.replace(/^[A-Z](?=[a-z]*\s)/, (letter) => letter.toLowerCase());
