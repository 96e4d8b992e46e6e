/** What is known of a version that might be unused. */
export interface Usage {
  readonly version: string;
  readonly isServing: boolean;
  readonly entityCount: number;
  /** Percent of the split. */
  readonly trafficPercent: number;
  /** Since when nobody uses it, monotonic ms; null while somebody does. */
  readonly unusedSince: number | null;
}

export interface CollectionLook {
  readonly thresholdMs: number;
  /** Monotonic ms. */
  readonly now: number;
}

/** Since when a version is unused, seen from now. */
export function unusedSince(usage: Usage, now: number): number | null {
  const isUsed = !usage.isServing || usage.entityCount > 0 || usage.trafficPercent > 0;
  return isUsed ? null : (usage.unusedSince ?? now);
}

/** The versions to collect: unused for the threshold. One is always left, so that newcomers have somewhere to be. */
export function decideCollection(usages: readonly Usage[], { thresholdMs, now }: CollectionLook): readonly string[] {
  const due = usages.filter((usage) => {
    const since = unusedSince(usage, now);
    return since !== null && now - since >= thresholdMs;
  });
  const running = usages.filter(({ isServing }) => isServing).length;
  return due.slice(0, Math.max(0, Math.min(due.length, running - 1))).map(({ version }) => version);
}
