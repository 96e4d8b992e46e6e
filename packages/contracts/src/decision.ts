import { z } from "zod";
import { instant, json } from "./key.ts";
import { DECISION_ACTIONS } from "./literals.ts";
import { holdCause, rollout, verdict } from "./rollout.ts";

/*
 * One look of the controller at one rollout: what it saw, what each guardrail said, what it did. Replaying the stored inputs
 * gives the same decision.
 */

/** What one guardrail said, with the figures a person would ask for. */
export const guardrailVerdict = z.object({
  id: z.string(),
  /** In words, as in `error_rate <= 1 % and not worse than control`. */
  limit: z.string(),
  required: z.boolean(),
  onFail: z.enum(["rollback", "hold", "alert", "kill"]),
  verdict,
  cause: holdCause.nullable(),
  /** As measured, null where there is none. Rates are 0-1, latencies ms. */
  canary: z.number().nullable(),
  control: z.number().nullable(),
  /** Canary over control, with a confidence sequence at the plan's budget. */
  rateRatio: z.object({ low: z.number().nullable(), estimate: z.number(), high: z.number().nullable() }).nullable(),
  /** Natural log of the e-value of harm; null for limits without a statistic. */
  logEvidence: z.number().nullable(),
  /** Natural log of the e-value of non-inferiority; null where none is asked. */
  logNonInferiority: z.number().nullable(),
  /** Since when it has been failing without a break. */
  failingSince: instant.nullable(),
  explanation: z.string(),
});
export type GuardrailVerdict = z.infer<typeof guardrailVerdict>;

const armCounts = z.object({
  exposureCount: z.int(),
  outcomeCount: z.int(),
  errorCount: z.int(),
  unitCount: z.int(),
});
export type ArmCounts = z.infer<typeof armCounts>;

/** Of the stage that was judged: the evidence that a decision was taken on. */
export const decisionCounts = z.object({
  canary: armCounts,
  control: armCounts,
  /**
   * How much of it is of intervals that not everybody had had the time to report. Only with a failure that waits for nobody, a
   * gross one or open breakers; everything else is decided without such intervals.
   */
  fresh: z.object({ canary: armCounts, control: armCounts }).optional(),
});
export type DecisionCounts = z.infer<typeof decisionCounts>;

export const decisionAction = z.enum(DECISION_ACTIONS);
export type DecisionAction = z.infer<typeof decisionAction>;

/** What the next step is and what it waits for. */
export const nextStep = z.object({
  step: z.enum(["promote", "complete", "none"]),
  /** Not before this, if all evidence keeps coming. */
  notBefore: instant.nullable(),
  /** In words, most important first. */
  waitsFor: z.array(z.string()),
});
export type NextStep = z.infer<typeof nextStep>;

export const decision = z
  .object({
    id: z.string(),
    rollout: z.string(),
    attempt: z.int(),
    stage: z.int().nullable(),
    at: instant,
    /** `controller`, or the name of the person whose command this was. */
    by: z.string(),
    verdict: verdict.nullable(),
    cause: holdCause.nullable(),
    /** What was done about it. */
    action: decisionAction,
    /** A person promoted without a pass of this stage. */
    forced: z.boolean(),
    because: z.string(),
    guardrails: z.array(guardrailVerdict),
    bakedSeconds: z.number(),
    counts: decisionCounts,
    nextStep,
    /** Environment revision of the flag change, if there was one. */
    revision: z.int().nullable(),
    /** Of `node` that decided: logarithms are not bit-identical across engines. */
    engine: z.string(),
  })
  .meta({ id: "Decision" });
export type Decision = z.infer<typeof decision>;

/** A decision with everything it was made of: what `replay` needs. */
export const decisionRecord = decision.extend({ inputs: json }).meta({ id: "DecisionRecord" });
export type DecisionRecord = z.infer<typeof decisionRecord>;

/** A record as it is read. */
export const decisionDocument = decisionRecord
  .extend({
    /**
     * `whole`: `inputs` are all there. `named`: evidence that had settled is named by `through` and `settledCount`, as it was
     * asked for, and `GET …/evidence` lists it. `gone`: evidence that it rests on is no longer kept, so it cannot be decided
     * again. `unreadable`: not at the moment.
     */
    evidence: z.enum(["whole", "named", "gone", "unreadable"]),
  })
  .meta({ id: "DecisionDocument" });
export type DecisionDocument = z.infer<typeof decisionDocument>;

/** One of a list. */
export const listedDecision = decision
  .extend({
    /** As they are stored, if they were asked for: evidence that has settled is named by `through` and not copied. */
    inputs: json.optional(),
  })
  .meta({ id: "ListedDecision" });
export type ListedDecision = z.infer<typeof listedDecision>;

export const rolloutView = rollout
  .extend({
    /** Of the latest decision. */
    nextStep: nextStep.nullable(),
    guardrails: z.array(guardrailVerdict),
    bakedSeconds: z.number(),
    /** What the latest look at this stage was taken on; null: there has been none. */
    counts: decisionCounts.nullable(),
  })
  .meta({ id: "RolloutView" });
export type RolloutView = z.infer<typeof rolloutView>;
