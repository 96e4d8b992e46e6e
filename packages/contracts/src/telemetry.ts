import { z } from "zod";
import { breakerReport, evidenceCell, gaugeReport } from "./evidence.ts";
import { text } from "./key.ts";
import { LIMITS } from "./literals.ts";

const count = z.int().min(0);

/** How often one variant of one flag was served, since the batch before. */
export const telemetryCell = z.object({
  flag: text(LIMITS.keyCharacters).min(1),
  variant: text(LIMITS.keyCharacters).min(1),
  exposures: count,
});
export type TelemetryCell = z.infer<typeof telemetryCell>;

/**
 * What one process counted. Identity is `(instance, boot, sequence)`; a batch never changes once it has a sequence, is sent
 * until acknowledged, and is counted exactly once. `from` and `to` (Unix ms) describe and decide nothing: the server places
 * a batch by its receipt time minus `ageMs`, which the SDK measures on its monotonic clock.
 */
export const telemetryBatch = z
  .object({
    instance: z.string().min(1).max(LIMITS.instanceNameCharacters),
    boot: z.string().min(1).max(LIMITS.instanceNameCharacters),
    sequence: z.int().min(1),
    from: z.int().min(0),
    to: z.int().min(0),
    ageMs: count,
    cells: z.array(telemetryCell).max(LIMITS.telemetryCells),
    /** Evaluations of flags that the ruleset does not have, by the name the application used. */
    unknown: z
      .array(z.object({ flag: text(LIMITS.keyCharacters), evaluations: count }))
      .max(LIMITS.telemetryUnknownFlags)
      .optional(),
    /** What running rollouts are judged by. */
    evidence: z.array(evidenceCell).max(LIMITS.evidenceCells).optional(),
    breakers: z.array(breakerReport).max(LIMITS.breakersPerBatch).optional(),
    gauges: z.array(gaugeReport).max(LIMITS.gaugesPerBatch).optional(),
    /** Flags that a local override forces in this process: its traffic on them is no evidence. */
    overridden: z.array(text(LIMITS.keyCharacters).min(1)).max(LIMITS.telemetryUnknownFlags).optional(),
    /** Evaluations that a limit kept out of `cells` and `unknown`. */
    dropped: count.optional(),
    /** Exposures, outcomes and calls of `track` of running rollouts that a limit, or lateness, kept out of `evidence`. */
    evidenceDropped: count.optional(),
  })
  .meta({ id: "TelemetryBatch" });
export type TelemetryBatch = z.infer<typeof telemetryBatch>;
