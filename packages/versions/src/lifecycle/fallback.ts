/** What is known of a version when another one has failed. */
export interface Candidate {
  readonly version: string;
  /** Not failed and not condemned. It need not be loaded. */
  readonly isGood: boolean;
  /** Entities that it has now. */
  readonly entityCount: number;
}

/**
 * Where an entity goes whose version is out of service, best first: to where it was before, for there its state is known to
 * fit; then to the version that serves most, then in the order of declaration.
 */
export function fallbacks(candidates: readonly Candidate[], previous: string | null): readonly string[] {
  return candidates
    .filter(({ isGood }) => isGood)
    .toSorted(
      (a, b) => Number(b.version === previous) - Number(a.version === previous) || b.entityCount - a.entityCount,
    )
    .map(({ version }) => version);
}
