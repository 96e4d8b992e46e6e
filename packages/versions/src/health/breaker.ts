/** Outcomes of one second. */
interface Slot {
  readonly second: number;
  readonly processed: number;
  readonly failed: number;
}

/** The last seconds of a version. Immutable. */
export type Outcomes = readonly Slot[];

export const NO_OUTCOMES: Outcomes = [];

/** How far back the breaker looks. */
const BREAKER_WINDOW_SECONDS = 10;

/** Below this many outcomes a rate says nothing: one failure of ten is 10 %. */
export const BREAKER_MINIMUM = 20;

/** @param nowMs Monotonic. */
export function addOutcomes(
  outcomes: Outcomes,
  { processed, failed }: { readonly processed: number; readonly failed: number },
  nowMs: number,
): Outcomes {
  const second = Math.floor(nowMs / 1_000);
  const kept = outcomes.filter((slot) => slot.second > second - BREAKER_WINDOW_SECONDS && slot.second !== second);
  const current = outcomes.find((slot) => slot.second === second);
  return [
    ...kept,
    { second, processed: processed + (current?.processed ?? 0), failed: failed + (current?.failed ?? 0) },
  ];
}

/** Failed of processed, 0 to 1, over the window; 0 where nothing was processed. */
export function errorRate(outcomes: Outcomes): number {
  const { processed, failed } = total(outcomes);
  return processed === 0 ? 0 : failed / processed;
}

/** Whether the version is to be taken out of service: more than `maxErrorRate` failed, of enough to tell. */
export function isTripped(outcomes: Outcomes, maxErrorRate: number): boolean {
  return total(outcomes).processed >= BREAKER_MINIMUM && errorRate(outcomes) > maxErrorRate;
}

function total(outcomes: Outcomes): { readonly processed: number; readonly failed: number } {
  return outcomes.reduce(
    (sum, { processed, failed }) => ({ processed: sum.processed + processed, failed: sum.failed + failed }),
    { processed: 0, failed: 0 },
  );
}
