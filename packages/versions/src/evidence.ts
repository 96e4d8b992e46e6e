import type { ResolvedOptions } from "./options.ts";

/** What became of entities that one version had in one batch. */
export interface Outcome {
  readonly version: string;
  readonly entities: readonly string[];
  readonly isFailed: (index: number) => boolean;
  /** For the whole batch: an entity waits for all the others of its batch. */
  readonly latencyMs: number;
}

export interface Evidence {
  report(outcome: Outcome): void;
}

/**
 * Tells the flag's rollout how versions do, as any application of the SDK does: an exposure per entity, charged to the version
 * that had it, with its outcome. Of a large batch only some are told, next time others: an even sample of successes and
 * failures alike, so rates stay what they are and the evidence costs the same for 100 entities and for 100,000.
 */
export function createEvidence({ flag, limits }: Pick<ResolvedOptions, "flag" | "limits">): Evidence {
  if (flag === null) return { report() {} };
  const { flags, key } = flag;
  let next = 0;
  return {
    report({ version, entities, isFailed, latencyMs }) {
      const count = Math.min(entities.length, limits.evidencePerBatch);
      for (let told = 0; told < count; told += 1) {
        const index = (next + told) % entities.length;
        const exposure = flags.expose(key, entities[index], { served: version });
        if (isFailed(index)) exposure.error(undefined, latencyMs);
        else exposure.success(latencyMs);
      }
      next += count;
    },
  };
}
