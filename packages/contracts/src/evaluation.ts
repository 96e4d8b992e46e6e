import { z } from "zod";
import { json } from "./key.ts";
import { EVALUATION_ERROR_CODES, REASONS } from "./literals.ts";

export const reason = z.enum(REASONS);
export type Reason = z.infer<typeof reason>;

export const evaluationErrorCode = z.enum(EVALUATION_ERROR_CODES);
export type EvaluationErrorCode = z.infer<typeof evaluationErrorCode>;

/** One condition as it was met while a decision was explained. */
export const conditionTrace = z.object({
  condition: z.string(),
  matched: z.boolean(),
  /** Why it could not be judged at all: unknown operator, bad pattern, unknown segment. */
  problem: z.string().optional(),
});
export type ConditionTrace = z.infer<typeof conditionTrace>;

/** One step of the evaluation order, in the order it was taken. The last one decided. */
export const traceStep = z.object({
  step: z.enum(["killed", "disabled", "prerequisite", "pin", "rule", "fallthrough", "error"]),
  /** Rule id, prerequisite key or pinned key. */
  name: z.string().optional(),
  matched: z.boolean(),
  conditions: z.array(conditionTrace).optional(),
  /** Attribute the bucketing key was taken from, and the bucket it hashed to. */
  bucketBy: z.string().optional(),
  bucket: z.int().optional(),
  variant: z.string().optional(),
});
export type TraceStep = z.infer<typeof traceStep>;

/** One flag decided for one context. */
export const evaluationResult = z.object({
  value: json,
  variant: z.string().nullable(),
  reason,
  /** Refines the reason: `killed`, `disabled`, `pin`, `rule:<id>`, `prerequisite:<key>`, `override`, `fallthrough`, … */
  detail: z.string(),
  errorCode: evaluationErrorCode.optional(),
});
export type EvaluationResult = z.infer<typeof evaluationResult>;
