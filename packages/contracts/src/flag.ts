import { z } from "zod";
import { flagKey, instant, json, text, variantKey } from "./key.ts";
import { FLAG_TYPES, LIFECYCLES, LIMITS } from "./literals.ts";

export const flagType = z.enum(FLAG_TYPES);
export type FlagType = z.infer<typeof flagType>;

export const variant = z.strictObject({
  /** What the application receives: of the flag's type, at most 64 KiB as JSON. */
  value: json,
  description: text(LIMITS.descriptionBytes).optional(),
});
export type Variant = z.infer<typeof variant>;

const metadataValue = z.union([text(LIMITS.descriptionBytes), z.number(), z.boolean()]);

/** Primitives that reach OpenFeature's flag metadata. */
export const metadata = z
  .record(text(LIMITS.nameBytes), metadataValue)
  .refine((value) => Object.keys(value).length <= LIMITS.metadataEntries, {
    error: `At most ${LIMITS.metadataEntries} entries.`,
  });

const variants = z
  .record(variantKey, variant)
  .refine((value) => Object.keys(value).length >= 1, { error: "A flag has at least one variant." })
  .refine((value) => Object.keys(value).length <= LIMITS.variantsPerFlag, {
    error: `At most ${LIMITS.variantsPerFlag} variants.`,
  });

const described = {
  description: text(LIMITS.descriptionBytes),
  owner: text(LIMITS.nameBytes),
  tags: z.array(text(LIMITS.tagBytes).min(1)).max(LIMITS.tagsPerFlag),
  lifecycle: z.enum(LIFECYCLES),
  metadata,
};

/** One decision with typed variants, the same in every environment. */
export const flag = z
  .object({
    key: flagKey,
    type: flagType,
    ...described,
    variants,
    /** Variants that were removed. Their keys may come back only with the same value: a variant's meaning never changes. */
    retiredVariants: z.record(variantKey, variant),
    archivedAt: instant.nullable(),
    createdAt: instant,
    /** Counter of this definition: its ETag, and what a compare-and-set compares. */
    version: z.int().min(1),
  })
  .meta({ id: "Flag" });
export type Flag = z.infer<typeof flag>;

/** A change of a definition as a JSON merge patch. `variants` may add, describe and (by null) retire; values are immutable. */
export const flagPatch = z
  .strictObject({
    ...described,
    metadata: z.record(text(LIMITS.nameBytes), metadataValue.nullable()),
    variants: z.record(variantKey, variant.partial().nullable()),
  })
  .partial()
  .meta({ id: "FlagPatch", example: { description: "Reads sessions through Redis" } });
export type FlagPatch = z.infer<typeof flagPatch>;

/** Without `variants` a boolean flag gets `on` and `off`; every other type must name its own. */
export const flagDraft = z.strictObject({
  key: flagKey,
  type: flagType.default("boolean"),
  description: described.description.default(""),
  owner: described.owner.default(""),
  tags: described.tags.default([]),
  lifecycle: described.lifecycle.default("release"),
  metadata: described.metadata.default({}),
  variants: variants.optional(),
});
