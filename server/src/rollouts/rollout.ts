import type { EnvironmentKey, FlagKey, RolloutState, RolloutView } from "@bunting/contracts";
import type { StoredRollout } from "../ledger/state.ts";

/*
 * Rollouts among rollouts: which one is under way where, and what people see of it.
 */

type Rollouts = ReadonlyMap<string, StoredRollout>;

const LIVE: ReadonlySet<RolloutState> = new Set(["running", "paused", "awaiting_approval"]);
const ENDED: ReadonlySet<RolloutState> = new Set(["completed", "rolled_back", "aborted"]);

/** Its canary gets traffic, and SDKs report evidence on it. */
export function isLive({ rollout }: Pick<StoredRollout, "rollout">): boolean {
  return LIVE.has(rollout.state);
}

export function liveRollouts(rollouts: Rollouts): readonly StoredRollout[] {
  return [...rollouts.values()].filter(isLive);
}

/** The one that is live on a flag: there is at most one. */
export function findLiveRollout(
  rollouts: Rollouts,
  environment: EnvironmentKey,
  flag: FlagKey,
): StoredRollout | undefined {
  return rolloutsOf(rollouts, environment, flag).find(isLive);
}

/** All that are live in an environment, by flag. */
export function liveRolloutsOf(rollouts: Rollouts, environment: EnvironmentKey): ReadonlyMap<FlagKey, StoredRollout> {
  return new Map(
    liveRollouts(rollouts)
      .filter(({ rollout }) => rollout.environment === environment)
      .map((stored) => [stored.rollout.flag, stored]),
  );
}

/** The one on a flag that has not ended, be it live or not yet started, apart from `except`. */
export function findUnendedRollout(
  rollouts: Rollouts,
  { environment, flag }: { readonly environment: EnvironmentKey; readonly flag: FlagKey },
  except: string | null = null,
): StoredRollout | undefined {
  return rolloutsOf(rollouts, environment, flag).find(
    ({ rollout }) => rollout.id !== except && !ENDED.has(rollout.state),
  );
}

/** Newest first. */
export function rolloutsOf(rollouts: Rollouts, environment: EnvironmentKey, flag: FlagKey): readonly StoredRollout[] {
  return [...rollouts.values()]
    .filter(({ rollout }) => rollout.environment === environment && rollout.flag === flag)
    .reverse();
}

/** With what the latest look said of the stage that it is in now. */
export function viewOf({ rollout, latestAnalysis, nextStep }: StoredRollout): RolloutView {
  const { attempt, stage } = rollout;
  const look = latestAnalysis?.attempt === attempt && latestAnalysis.stage === stage ? latestAnalysis : null;
  return {
    ...rollout,
    nextStep,
    guardrails: look?.guardrails ?? [],
    bakedSeconds: look?.bakedSeconds ?? 0,
    counts: look?.counts ?? null,
  };
}
