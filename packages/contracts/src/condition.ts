import { z } from "zod";
import { conditionValue } from "./context.ts";
import { segmentKey, text } from "./key.ts";
import { LIMITS, OPERATORS } from "./literals.ts";

export const operator = z.enum(OPERATORS);
export type Operator = z.infer<typeof operator>;

/**
 * An attribute compared with values: true if one value matches (`not_equals`, `not_in`: if none does). An attribute that is
 * missing or null makes every operator false, the negative ones too, except `exists` with `[false]`.
 */
export const attributeCondition = z
  .strictObject({
    attribute: text(LIMITS.nameBytes).min(1),
    op: operator,
    values: z.array(conditionValue).min(1).max(LIMITS.valuesPerCondition),
  })
  .meta({ id: "AttributeCondition", example: { attribute: "country", op: "in", values: ["FR", "DE"] } });
export type AttributeCondition = z.infer<typeof attributeCondition>;

/** True if all conditions of the segment hold. */
export const segmentCondition = z.strictObject({ segment: segmentKey }).meta({ id: "SegmentCondition" });
export type SegmentCondition = z.infer<typeof segmentCondition>;

export const condition = z.union([attributeCondition, segmentCondition]);
export type Condition = z.infer<typeof condition>;
