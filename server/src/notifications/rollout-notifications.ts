import type { Decision, Rollout, RolloutNotice, RolloutNotification, RolloutPlan } from "@bunting/contracts";
import { limitText, namedGuardrails, nextOpening } from "@bunting/gating";
import { fromInstant, toInstant } from "../platform/instant.ts";
import type { Announcement } from "./notification.ts";
import { sentenceOf } from "./sentence.ts";

/** A moment in the life of a rollout that people are told of. */
export interface RolloutEvent {
  /** As the machine gives them; `announced` when the rollout is created. */
  readonly notices: readonly (RolloutNotice | "announced")[];
  /** After it. */
  readonly rollout: Rollout;
  /** Null where nothing was judged, as at the creation. */
  readonly decision: Decision | null;
  /** Name of the actor, or `controller`. */
  readonly by: string;
  /** RFC 3339. */
  readonly at: string;
}

/** One announcement per notice, to the webhooks that the plan names, or to all if it names none. Pure. */
export function notificationsOf(event: RolloutEvent): readonly Announcement[] {
  const to = event.rollout.plan.notify;
  return event.notices.map((notice) => ({ notification: notificationOf(notice, event), to }));
}

function notificationOf(
  notice: RolloutEvent["notices"][number],
  { rollout, decision, by, at }: RolloutEvent,
): Omit<RolloutNotification, "id"> {
  const { plan } = rollout;
  const kind = `rollout.${notice}` as const;
  const said = {
    kind,
    at,
    environment: rollout.environment,
    flag: rollout.flag,
    by,
    rollout: {
      id: rollout.id,
      attempt: rollout.attempt,
      state: rollout.state,
      stage: rollout.stage,
      stageCount: plan.stages.length,
      percent: rollout.percent,
      canary: plan.canary,
      control: plan.control,
      startedBy: rollout.startedBy,
      because: rollout.because,
      links: plan.links,
    },
    plan: notice === "announced" || notice === "started" ? announcedPlan(plan) : null,
    decision: decision && pickDecision(decision),
    signature: notice === "approved" || notice === "rejected" ? (rollout.signatures.at(-1) ?? null) : null,
    nextOpeningAt: ENDS.has(notice) ? openingAfter(plan, at) : null,
  };
  return { ...said, text: sentenceOf(said) };
}

/** Ends that are followed by another start, if at all. */
const ENDS: ReadonlySet<string> = new Set(["rolled_back", "killed", "aborted", "stood_down"]);

function announcedPlan(plan: RolloutPlan): NonNullable<RolloutNotification["plan"]> {
  return {
    stages: plan.stages.map(({ percent, bakeSeconds, approval }) => ({
      percent,
      bakeSeconds,
      approval: approval !== undefined,
    })),
    guardrails: namedGuardrails(plan).map(({ guardrail }) => ({
      limit: limitText(guardrail),
      onFail: guardrail.onFail,
      required: guardrail.required,
    })),
    autoPromote: plan.autoPromote,
    autoRollback: plan.autoRollback,
  };
}

function pickDecision(decision: Decision): NonNullable<RolloutNotification["decision"]> {
  const { id, at, verdict, cause, action, forced, because, guardrails, bakedSeconds, counts, nextStep, revision } =
    decision;
  return { id, at, verdict, cause, action, forced, because, guardrails, bakedSeconds, counts, nextStep, revision };
}

function openingAfter(plan: RolloutPlan, at: string): string | null {
  const now = fromInstant(at);
  const opening = nextOpening(plan, now);
  return opening === null || opening.at <= now ? null : toInstant(opening.at);
}
