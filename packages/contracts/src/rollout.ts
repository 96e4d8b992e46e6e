import { z } from "zod";
import { serve, toBuckets } from "./configuration.ts";
import { environmentKey, flagKey, instant, ruleId, text, variantKey } from "./key.ts";
import {
  GUARDRAIL_ACTIONS,
  HOLD_CAUSES,
  LIMITS,
  ROLLOUT_COMMANDS,
  ROLLOUT_NOTICES,
  ROLLOUT_STATES,
  VERDICTS,
  WEEKDAYS,
} from "./literals.ts";

/*
 * A rollout: a plan under way through stages. The plan is what a person wrote; everything else is what happened.
 */

const percent = z
  .number()
  .gt(0)
  .max(100)
  .refine((value) => Number.isInteger(toBuckets(value)), { error: "A percentage has at most three decimals." });
const rate = z.number().min(0).max(1);
const seconds = z.int().min(0).max(LIMITS.planSeconds);

/** Names a metric of an application: `track`, `gauge` and guardrails agree on it. */
export const metricKey = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,63}$/, "A metric is named in lower case, digits and underscores.");

// --- guardrails

/** A union of guardrails is told by its closest member: each says what all of them take. */
const METRIC_EXPECTED =
  'Known are error_rate, latency_p50, latency_p95 and latency_p99; a metric of your own has a "kind": "ratio" or "gauge".';
const KIND_EXPECTED = 'A metric of your own has a "kind": "ratio" or "gauge".';

const onFailure = {
  /** Names the guardrail in decisions. Left out: its metric, or `prometheus-1`, `prometheus-2` … in the order of the plan. */
  id: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
      "Up to 64 letters, digits, dots, hyphens and underscores, the first a letter or digit.",
    )
    .optional(),
  /** What a failure does: back to control; stop promoting; tell people and nothing else; kill the flag. */
  onFail: z.enum(GUARDRAIL_ACTIONS).default("rollback"),
  /** How long it must fail without a break before it counts. */
  forSeconds: seconds.default(0),
  /** An informational guardrail is judged, shown and notified, and neither holds nor passes anything. */
  required: z.boolean().default(true),
  /** Limits are inclusive; with this a value at the limit fails. */
  exclusive: z.boolean().default(false),
};

/** Share of outcomes that are errors. At least one limit. */
const errorRateGuardrail = z
  .strictObject({
    metric: z.literal("error_rate", METRIC_EXPECTED),
    /** Absolute limit of the canary, 0-1. */
    max: rate.optional(),
    /** Compares with the control, whatever the absolute rate. */
    worseThanControl: z.boolean().optional(),
    ...onFailure,
  })
  .refine(({ max, worseThanControl }) => max !== undefined || worseThanControl === true, {
    error: "Give max, worseThanControl, or both.",
  });

/** A quantile of the latency of outcomes. At least one limit. */
const latencyGuardrail = z
  .strictObject({
    metric: z.enum(["latency_p50", "latency_p95", "latency_p99"], METRIC_EXPECTED),
    /** Absolute limit of the canary. Sketches are exact to 1 %. */
    maxMs: z.number().positive().max(360_000).optional(),
    /** How much slower than the control. Less than 10 cannot be proven by any amount of traffic. */
    maxIncreasePercent: z.number().min(0).max(10_000).optional(),
    ...onFailure,
  })
  .refine(({ maxMs, maxIncreasePercent }) => maxMs !== undefined || maxIncreasePercent !== undefined, {
    error: "Give maxMs, maxIncreasePercent, or both.",
  });

/** Share of users for whom the application called `track(metric)`: more is better. At least one limit. */
const ratioGuardrail = z
  .strictObject({
    metric: metricKey,
    kind: z.literal("ratio", KIND_EXPECTED),
    minPercentOfControl: z.number().min(1).max(100).optional(),
    /** Absolute limits of the canary, 0-1. */
    min: rate.optional(),
    max: rate.optional(),
    ...onFailure,
  })
  .refine(
    (limits) => limits.minPercentOfControl !== undefined || limits.min !== undefined || limits.max !== undefined,
    {
      error: "Give minPercentOfControl, min or max.",
    },
  );

/**
 * A figure of the whole system, posted by a script: a Lighthouse score, CPU, revenue. Or one of each process, reported by
 * `gauge()`: then the worst of them is judged.
 */
const gaugeGuardrail = z
  .strictObject({
    metric: metricKey,
    kind: z.literal("gauge", KIND_EXPECTED),
    min: z.number().optional(),
    max: z.number().optional(),
    /** An older value is no value. */
    maxAgeSeconds: seconds.default(300),
    ...onFailure,
  })
  .refine(({ min, max }) => min !== undefined || max !== undefined, { error: "Give min, max, or both." });

/**
 * The value of an instant query that gives one. A query that fails, or gives several, is a measurement error: it holds, and never
 * passes or fails.
 */
const prometheusGuardrail = z
  .strictObject({
    source: z.literal("prometheus"),
    query: text(LIMITS.queryBytes).min(1),
    min: z.number().optional(),
    max: z.number().optional(),
    ...onFailure,
  })
  .refine(({ min, max }) => min !== undefined || max !== undefined, { error: "Give min, max, or both." });

export const guardrail = z
  .union([errorRateGuardrail, latencyGuardrail, ratioGuardrail, gaugeGuardrail, prometheusGuardrail])
  .meta({ id: "Guardrail", example: { metric: "error_rate", max: 0.01, worseThanControl: true, onFail: "rollback" } });
export type Guardrail = z.infer<typeof guardrail>;

// --- plan

/** Who must agree before the stage is left. `true` is one signature of anyone who may approve. */
export const approval = z.union([
  z.literal(true),
  z.strictObject({
    /** One signature of each. A role is a token's. */
    roles: z.array(text(LIMITS.nameBytes).min(1)).min(1).max(8).optional(),
    signatures: z.int().min(1).max(8).default(1),
    /** Whoever started the rollout may not be the only one. */
    byOthers: z.boolean().default(false),
    /** After this long without an answer people are told again. */
    remindAfterSeconds: seconds.min(60).optional(),
  }),
]);
export type Approval = z.infer<typeof approval>;

export const stage = z.strictObject({
  /** The canary's share of the scope's traffic. */
  percent,
  /** Least time in the stage, counted in evidence received. */
  bakeSeconds: seconds.default(300),
  /** Asked for when everything else allows the next stage. */
  approval: approval.optional(),
  /** For this stage alone, beside the plan's. */
  guardrails: z.array(guardrail).max(LIMITS.guardrailsPerPlan).optional(),
});
export type Stage = z.infer<typeof stage>;

/** `HH:MM`. `to` is the first minute that no longer counts; `24:00` is midnight at the end of the day. */
const timeOfDay = z
  .string()
  .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/, "A time of day is written as 09:00, from 00:00 to 24:00.");

/** A time of the week in an IANA zone. */
export const weeklyWindow = z
  .strictObject({
    timezone: z.string().min(1).max(64),
    days: z.array(z.enum(WEEKDAYS)).min(1).max(WEEKDAYS.length),
    from: timeOfDay.default("00:00"),
    to: timeOfDay.default("24:00"),
  })
  .meta({
    id: "WeeklyWindow",
    example: { timezone: "Europe/Paris", days: ["tue", "wed", "thu"], from: "14:00", to: "17:00" },
  });
export type WeeklyWindow = z.infer<typeof weeklyWindow>;

export const rolloutPlan = z
  .strictObject({
    canary: variantKey,
    control: variantKey,
    scope: z
      .union([z.strictObject({ fallthrough: z.literal(true) }), z.strictObject({ rule: ruleId })])
      .default({ fallthrough: true }),
    /** Percentages rise. */
    stages: z
      .array(stage)
      .min(1)
      .max(LIMITS.stagesPerPlan)
      .refine((stages) => stages.every(({ percent }, index) => percent > (stages[index - 1]?.percent ?? 0)), {
        error: "Each stage has a higher percentage than the one before.",
      }),
    guardrails: z.array(guardrail).max(LIMITS.guardrailsPerPlan).default([]),
    /** Outcomes in each arm before a stage is judged. */
    minSamples: z.int().min(0).default(100),
    analysisIntervalSeconds: z.int().min(5).max(3600).default(60),
    /** Without it every advance waits for a person. */
    autoPromote: z.boolean().default(false),
    /** Without it a failure holds and tells people. */
    autoRollback: z.boolean().default(true),
    /** Chance of a rollback without a regression, per attempt, however often it looks. */
    falseAlarmBudget: z.number().min(0.0001).max(0.2).default(0.01),
    /** Chance of promoting a canary that is at the margin, per stage. */
    falsePromotionBudget: z.number().min(0.001).max(0.2).default(0.05),
    /** Harm that a promotion may risk, as a share of all errors of the fleet: sets the margin of non-inferiority. */
    harmBudgetRate: z.number().min(0.01).max(1).default(0.25),
    /**
     * `evidence`: limits are judged by sequential tests; `threshold`: by the values as measured, as the classic canary
     * controllers do.
     */
    decideBy: z.enum(["evidence", "threshold"]).default("evidence"),
    /** After this long in a stage a pass needs no proof of non-inferiority, only no sign of harm. null: never. */
    maxStageSeconds: z.int().min(60).max(LIMITS.planSeconds).nullable().default(1800),
    /** A canary that has reported nothing for ten minutes. */
    onNoData: z.enum(["hold", "rollback"]).default("hold"),
    /** The only times promotion and start may happen. None: always. */
    windows: z.array(weeklyWindow).max(16).default([]),
    /** Times in which they may not, though a window is open. */
    freezes: z.array(weeklyWindow).max(16).default([]),
    /** Names of webhooks. */
    notify: z.array(text(LIMITS.nameBytes).min(1)).max(8).default([]),
    /** While a stage bakes. */
    noticeEverySeconds: z.int().min(60).optional(),
    /** Each item is ticked by name before the start. */
    checklist: z.array(text(LIMITS.nameBytes).min(1)).max(32).default([]),
    /** Dashboards and documents, by name. */
    links: z
      .record(text(LIMITS.nameBytes), z.url({ protocol: /^https?$/ }).max(LIMITS.urlBytes))
      .refine((links) => Object.keys(links).length <= LIMITS.linksPerPlan, `At most ${LIMITS.linksPerPlan} links.`)
      .default({}),
  })
  .refine(({ canary, control }) => canary !== control, {
    error: "Canary and control are two variants.",
    path: ["control"],
  })
  .meta({ id: "RolloutPlan" });
export type RolloutPlan = z.infer<typeof rolloutPlan>;
/** The plan as a person writes it, defaults left out. */
export type RolloutPlanInput = z.input<typeof rolloutPlan>;

// --- what happened

export const rolloutState = z.enum(ROLLOUT_STATES);
export type RolloutState = z.infer<typeof rolloutState>;

export const rolloutCommand = z.enum(ROLLOUT_COMMANDS);
export type RolloutCommand = z.infer<typeof rolloutCommand>;

export const rolloutNotice = z.enum(ROLLOUT_NOTICES);
export type RolloutNotice = z.infer<typeof rolloutNotice>;

export const verdict = z.enum(VERDICTS);
export type Verdict = z.infer<typeof verdict>;

export const holdCause = z.enum(HOLD_CAUSES);
export type HoldCause = z.infer<typeof holdCause>;

export const signature = z.object({
  stage: z.int(),
  by: z.string(),
  token: z.string(),
  roles: z.array(z.string()),
  decision: z.enum(["approve", "reject"]),
  comment: z.string(),
  at: instant,
});
export type Signature = z.infer<typeof signature>;

/** Where one attempt stands. Statistics are of one attempt; a retry starts with none. */
export const rollout = z
  .object({
    id: z.string(),
    environment: environmentKey,
    flag: flagKey,
    plan: rolloutPlan,
    state: rolloutState,
    /** 1, 2, 3 … */
    attempt: z.int().min(1),
    /** Index in `plan.stages`; null before the start. */
    stage: z.int().nullable(),
    /** The canary's share now. */
    percent: z.number(),
    /** The configuration's version that this rollout wrote last. Another one there means that a human has changed it. */
    configurationVersion: z.int().nullable(),
    /** What the scope served before this attempt: a rollback restores it, and every stage is a share of it. */
    formerServe: serve.nullable(),
    startedAt: instant.nullable(),
    /** Who started this attempt. */
    startedBy: z.string().nullable(),
    stageStartedAt: instant.nullable(),
    /** When the stage's approval was asked for; null while it is not. */
    askedAt: instant.nullable(),
    endedAt: instant.nullable(),
    /** Why it is where it is, in one sentence. */
    because: z.string(),
    /** Of this attempt, oldest first. Of several by one person for one stage the last one counts. */
    signatures: z.array(signature),
    checklist: z.array(z.object({ item: z.string(), by: z.string().nullable(), at: instant.nullable() })),
    latestDecision: z.string().nullable(),
    createdBy: z.string(),
    createdAt: instant,
    version: z.int().min(1),
  })
  .meta({ id: "Rollout" });
export type Rollout = z.infer<typeof rollout>;
