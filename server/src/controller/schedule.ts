import type { StoredRollout } from "../ledger/state.ts";

/*
 * When a live rollout is looked at. Nothing of this is stored: a controller that starts knows of no look and so looks at
 * everything at once. All times are monotonic, so a clock that is set back or forward moves no look.
 */

/** What a controller remembers of a rollout while it runs. */
export interface Attention {
  /** When it was looked at last. */
  readonly lookedAt: number;
  /** The rollout's version after that look. */
  readonly version: number;
  /** When evidence was last looked through for a gross failure. */
  readonly watchedAt: number;
  /** When it was attended to at all. */
  readonly attendedAt: number;
  /** A look is under way, which takes several turns. */
  readonly isLooking: boolean;
  /** Evidence has come in since. */
  readonly hasNews: boolean;
  /** Something went wrong: it is left alone until then, whatever else happens. */
  readonly notBefore: number;
}

/** `look`: a whole analysis, whose decision is stored. `watch`: is the canary failing grossly? */
export type Due = "look" | "watch";

/** A gross failure is seen within a second of the batch that shows it, however many batches come in a second. */
const WATCH_SPACING_MS = 1_000;

/** @param configurationVersion of the flag, now */
export function dueOf(
  { rollout }: Pick<StoredRollout, "rollout">,
  configurationVersion: number,
  attention: Attention,
  now: number,
): Due | null {
  if (now < attention.notBefore) return null;
  const isWatchDue = attention.hasNews && now - attention.watchedAt >= WATCH_SPACING_MS;
  // A gross failure does not wait until a day of evidence has been added up.
  if (attention.isLooking) return isWatchDue ? "watch" : "look";
  // A person did something: what follows from it is not put off to the next interval.
  if (attention.version !== rollout.version || rollout.configurationVersion !== configurationVersion) return "look";
  if (now - attention.lookedAt >= rollout.plan.analysisIntervalSeconds * 1_000) return "look";
  return isWatchDue ? "watch" : null;
}
