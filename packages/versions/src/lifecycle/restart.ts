/** More than this in a minute is a version that cannot run. */
const RESTARTS_PER_MINUTE = 3;

/** Whether a version that broke may be started once more, by when that was done before. Monotonic ms. */
export function mayRestart(restarts: readonly number[], now: number): boolean {
  return restarts.filter((at) => now - at < 60_000).length < RESTARTS_PER_MINUTE;
}
