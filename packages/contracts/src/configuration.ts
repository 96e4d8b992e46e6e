import { z } from "zod";
import { type Condition, condition } from "./condition.ts";
import { flagKey, instant, json, ruleId, text, variantKey } from "./key.ts";
import { BUCKET_COUNT, LIMITS } from "./literals.ts";

/**
 * A distribution over variants in percent: 0 to 100 with up to three decimals each, together exactly 100. Whether the sum
 * holds is checked in thousandths, so 33.333 + 33.333 + 33.334 does.
 */
export const split = z
  .record(variantKey, z.number().min(0).max(100))
  .refine((weights) => Object.values(weights).every((percent) => Number.isInteger(toBuckets(percent))), {
    error: "A percentage has at most three decimals.",
  })
  .refine((weights) => bucketsOf(weights) === BUCKET_COUNT, {
    error: ({ input }) =>
      `The percentages of a split add up to exactly 100; these make ${+((bucketsOf(input as object) * 100) / BUCKET_COUNT).toFixed(3)}.`,
  })
  .meta({ id: "Split", example: { on: 25, off: 75 } });
export type Split = z.infer<typeof split>;

function bucketsOf(weights: object): number {
  return Object.values(weights).reduce((sum: number, percent: number) => sum + toBuckets(percent), 0);
}

/** Percent to buckets. 0.001 % is one bucket; anything finer comes back as a fraction, which {@link split} refuses. */
export function toBuckets(percent: number): number {
  const exact = percent * (BUCKET_COUNT / 100);
  const rounded = Math.round(exact);
  return Math.abs(exact - rounded) < 1e-6 ? rounded : exact;
}

function isPattern(condition: Condition): boolean {
  return "op" in condition && condition.op === "matches";
}

export const serve = z.union([z.strictObject({ variant: variantKey }), z.strictObject({ split })]);
export type Serve = z.infer<typeof serve>;

export const rule = z
  .strictObject({
    id: ruleId,
    /** All must hold. None: the rule holds for everyone. */
    when: z.array(condition).max(LIMITS.conditionsPerRule),
    serve,
  })
  .meta({ id: "Rule" });
export type Rule = z.infer<typeof rule>;

export const prerequisite = z.strictObject({
  flag: flagKey,
  variants: z.array(variantKey).min(1).max(LIMITS.variantsPerFlag),
});
export type Prerequisite = z.infer<typeof prerequisite>;

export const kill = z.object({
  /** Name of the actor's token. */
  by: z.string(),
  at: instant,
  reason: text(LIMITS.reasonBytes),
});
export type Kill = z.infer<typeof kill>;

/** What a caller may write of a configuration. */
const writable = {
  enabled: z.boolean(),
  offVariant: variantKey,
  /** Attributes tried in order for the bucketing key. The first that is a non-empty string or a number counts. */
  bucketBy: z.array(text(LIMITS.nameBytes).min(1)).min(1).max(LIMITS.bucketByAttributes),
  /** Targeting keys forced to a variant. */
  pins: z
    .record(variantKey, z.array(text(LIMITS.bucketingKeyBytes).min(1)))
    .refine(
      (pins) => Object.values(pins).reduce((count, keys) => count + keys.length, 0) <= LIMITS.pinsPerConfiguration,
      {
        error: `At most ${LIMITS.pinsPerConfiguration} pins.`,
      },
    )
    .refine((pins) => new Set(Object.values(pins).flat()).size === Object.values(pins).flat().length, {
      error: "A targeting key can be pinned to one variant only.",
    }),
  prerequisites: z.array(prerequisite).max(LIMITS.prerequisitesPerConfiguration),
  rules: z
    .array(rule)
    .max(LIMITS.rulesPerConfiguration)
    .refine((rules) => new Set(rules.map(({ id }) => id)).size === rules.length, {
      error: "Rule ids are unique within a configuration.",
    })
    .refine(
      (rules) => rules.flatMap(({ when }) => when).filter(isPattern).length <= LIMITS.patternConditionsPerConfiguration,
      {
        error: `At most ${LIMITS.patternConditionsPerConfiguration} conditions with matches.`,
      },
    ),
  fallthrough: serve,
};

/** One flag's settings in one environment. */
export const configuration = z
  .object({
    ...writable,
    killed: kill.nullable(),
    /** 32-bit number that decorrelates this flag's assignments from others'. Only `reshuffle` changes it. */
    salt: z.uint32(),
    /** Flags of one cohort share their salt, so the same users come first in each. */
    cohort: z.string().nullable(),
    /** Counter of this configuration: its ETag, and what a compare-and-set compares. Not the environment's revision. */
    version: z.int().min(1),
  })
  .meta({ id: "Configuration" });
export type Configuration = z.infer<typeof configuration>;

/**
 * A whole configuration as a caller writes it (PUT). The fields that only commands change (`killed`, `salt`, `cohort`,
 * `version`) may be sent back as they were read; another value is refused with `field_immutable`.
 */
export const configurationDraft = z
  .strictObject({
    ...writable,
    killed: json.optional(),
    salt: json.optional(),
    cohort: json.optional(),
    version: json.optional(),
  })
  .meta({ id: "ConfigurationDraft" });
export type ConfigurationDraft = z.infer<typeof configurationDraft>;

/** The settings of an environment when a flag is created: anything left out takes its default. */
export const initialConfiguration = z
  .strictObject({ ...writable, cohort: text(LIMITS.nameBytes).min(1) })
  .partial()
  .meta({ id: "InitialConfiguration" });
export type InitialConfiguration = z.infer<typeof initialConfiguration>;
