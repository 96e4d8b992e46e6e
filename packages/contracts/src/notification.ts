import { z } from "zod";
import { decision } from "./decision.ts";
import { environmentKey, flagKey, instant, variantKey } from "./key.ts";
import { LIMITS, NOTIFICATION_KINDS } from "./literals.ts";
import { rolloutState, signature } from "./rollout.ts";

/*
 * What people are told: one notification per event, the same at every webhook. Fields are added, never renamed or removed.
 */

const ROLLOUT_KINDS = NOTIFICATION_KINDS.filter((kind) => kind.startsWith("rollout.")) as Extract<
  (typeof NOTIFICATION_KINDS)[number],
  `rollout.${string}`
>[];

const event = {
  /** One per event. Deliveries have ids of their own. */
  id: z.string(),
  at: instant,
  /** Everything in one sentence. */
  text: z.string(),
};

/** Who did it: the name of a token, or `controller`. */
const by = z.string();

/** The plan as far as somebody who is told of it beforehand needs it. */
const announcedPlan = z.object({
  stages: z.array(z.object({ percent: z.number(), bakeSeconds: z.int(), approval: z.boolean() })),
  /** Limits in words, and what a failure does. */
  guardrails: z.array(z.object({ limit: z.string(), onFail: z.string(), required: z.boolean() })),
  autoPromote: z.boolean(),
  autoRollback: z.boolean(),
});

export const rolloutNotification = z
  .object({
    ...event,
    kind: z.enum(ROLLOUT_KINDS),
    environment: environmentKey,
    flag: flagKey,
    by,
    rollout: z.object({
      id: z.string(),
      attempt: z.int(),
      state: rolloutState,
      /** Counted from 0; null before the start. */
      stage: z.int().nullable(),
      stageCount: z.int(),
      /** The canary's share now. */
      percent: z.number(),
      canary: variantKey,
      control: variantKey,
      startedBy: z.string().nullable(),
      because: z.string(),
      links: z.record(z.string(), z.string()),
    }),
    /** Only when it is announced or started. */
    plan: announcedPlan.nullable(),
    /** What was decided and on which figures; null where nothing was judged. */
    decision: decision
      .pick({
        id: true,
        at: true,
        verdict: true,
        cause: true,
        action: true,
        forced: true,
        because: true,
        guardrails: true,
        bakedSeconds: true,
        counts: true,
        nextStep: true,
        revision: true,
      })
      .nullable(),
    /** Who approved or rejected, with the comment. */
    signature: signature.nullable(),
    /** After an end: when a release window opens next. Null: at once, or not within five weeks. */
    nextOpeningAt: instant.nullable(),
  })
  .meta({ id: "RolloutNotification" });
export type RolloutNotification = z.infer<typeof rolloutNotification>;

export const flagNotification = z
  .object({
    ...event,
    kind: z.enum(["flag.killed", "flag.restored"]),
    environment: environmentKey,
    by,
    /** The first of them, in the order of the alphabet. */
    flags: z.array(flagKey).max(LIMITS.flagsPerNotification),
    flagCount: z.int(),
    reason: z.string(),
  })
  .meta({ id: "FlagNotification" });
export type FlagNotification = z.infer<typeof flagNotification>;

/** Asked for by somebody, to see that a webhook works. */
export const testNotification = z
  .object({ ...event, kind: z.literal("webhook.test"), by })
  .meta({ id: "TestNotification" });
export type TestNotification = z.infer<typeof testNotification>;

export const notification = z
  .discriminatedUnion("kind", [rolloutNotification, flagNotification, testNotification])
  .meta({ id: "Notification" });
export type Notification = z.infer<typeof notification>;
