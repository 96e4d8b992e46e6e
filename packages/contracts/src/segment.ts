import { z } from "zod";
import { attributeCondition } from "./condition.ts";
import { json, segmentKey, text } from "./key.ts";
import { LIMITS } from "./literals.ts";

/** A named, reusable set of conditions, the same in every environment. Segments do not nest. */
export const segmentDraft = z
  .strictObject({
    description: text(LIMITS.descriptionBytes).default(""),
    /** All must hold. */
    when: z.array(attributeCondition).min(1).max(LIMITS.conditionsPerRule),
    version: json.optional(),
  })
  .meta({ id: "SegmentDraft", example: { when: [{ attribute: "email", op: "ends_with", values: ["@example.com"] }] } });
export type SegmentDraft = z.infer<typeof segmentDraft>;

export const segment = z
  .object({
    key: segmentKey,
    description: z.string(),
    when: z.array(attributeCondition),
    version: z.int().min(1),
  })
  .meta({ id: "Segment" });
export type Segment = z.infer<typeof segment>;
