import { z } from "zod";
import { json } from "./key.ts";
import { LIMITS } from "./literals.ts";

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/**
 * The subject of an evaluation as it crosses HTTP: a targeting key and attributes. Lists match a condition if one of their
 * elements does; nested objects are reached by an attribute that is a JSON pointer (`/address/city`).
 */
export const context = z
  .record(z.string(), json)
  .refine((value) => Object.keys(value).length <= LIMITS.contextAttributes, {
    error: `At most ${LIMITS.contextAttributes} attributes.`,
  })
  .meta({ id: "Context", example: { key: "u-1", country: "FR", plan: "pro" } });
export type Context = z.infer<typeof context>;

/** What a condition compares with. */
export const conditionValue = z.union([z.string(), z.number(), z.boolean()]);
export type ConditionValue = z.infer<typeof conditionValue>;

export type Scalar = z.infer<typeof scalar>;
