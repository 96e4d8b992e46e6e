import { type RolloutState, type RolloutView, rolloutPage, rolloutView } from "@bunting/contracts";
import { EXIT_CODES } from "./exit-code.ts";
import { Failure } from "./failure.ts";
import { paths } from "./paths.ts";
import type { Session } from "./session.ts";

/** A rollout by its id, or by the key of its flag: people remember flags. */
export async function findRollout(session: Session, name: string): Promise<RolloutView> {
  const { client } = session;
  const named = await client.find(paths.rollout(name), rolloutView);
  if (named) return named.value;
  const environment = session.environment();
  const ofFlag = await rolloutsOfFlag(session, environment, name);
  const meant = pickRollout(ofFlag);
  if (meant) return meant;
  throw new Failure(EXIT_CODES.refused, {
    code: "rollout_not_found",
    detail: `No rollout has the id ${name}, and there is none of a flag ${name} in ${environment}.`,
    remedy: "`bunting rollout list` shows what there is.",
  });
}

/** None where there is no such flag. */
export async function rolloutsOfFlag(
  { client }: Pick<Session, "client">,
  environment: string,
  flag: string,
): Promise<RolloutView[]> {
  try {
    return await client.list(paths.rolloutsOfFlag(environment, flag), rolloutPage);
  } catch (error) {
    if (error instanceof Failure && error.report.code === "flag_not_found") return [];
    throw error;
  }
}

/** Of several on one flag: the one that has not ended, of which there is at most one; else the newest. */
export function pickRollout(rollouts: readonly RolloutView[]): RolloutView | undefined {
  const newestFirst = rollouts.toSorted((a, b) => b.createdAt.localeCompare(a.createdAt));
  return newestFirst.find(({ state }) => !hasEnded(state)) ?? newestFirst[0];
}

export function hasEnded(state: RolloutState): boolean {
  return state === "completed" || state === "rolled_back" || state === "aborted";
}
