import {
  type EnvironmentKey,
  type FlagChange,
  type FlagKey,
  flagChange,
  killManyRequest,
  killRequest,
  reshuffleRequest,
  restoreRequest,
  waitQuery,
} from "@bunting/contracts";
import { FLAG_CHANGE } from "../http/examples.ts";
import { carryOut, positionHeader, positionOf } from "../http/mutation.ts";
import { inEnvironment, ofFlagInEnvironment } from "../http/parameters.ts";
import { type Reply, type RouteRequest, type Router, STORAGE_ERRORS } from "../http/route.ts";
import type { Accepted, Command } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Delivery } from "../receipts/delivery.ts";
import { receiptOfChange } from "../receipts/receipt-of-change.ts";

const tag = "kill switch";

interface Deps {
  readonly ledger: Ledger;
  readonly delivery: Delivery;
}

const shown = {
  status: 200,
  description: "What changed, where the environment stands now, and who has applied it.",
  schema: flagChange,
  example: FLAG_CHANGE,
  headers: ["Bunting-Position"],
} as const;

/** The commands that act at once, with proof: kill, restore, reshuffle. */
export function killRoutes(router: Router, { ledger, delivery }: Deps): void {
  /** The change is never refused because too many callers wait: it is carried out, and the answer comes without waiting. */
  const carryOutAndWait = async (
    request: Pick<
      RouteRequest<unknown, { waitMs?: number | undefined }, unknown>,
      "actor" | "repeatable" | "query" | "signal"
    >,
    command: Extract<Command, { readonly environment: EnvironmentKey }>,
    flagsOf: (accepted: Accepted) => readonly FlagKey[],
  ): Promise<Reply> => {
    const { environment } = command;
    const carried = carryOut(ledger, request, command, (accepted) => ({
      status: 200,
      body: { environment, flags: flagsOf(accepted), position: positionOf(accepted.state, environment) },
      headers: positionHeader(accepted, environment),
    }));
    if (!carried.ok) return carried.refused;
    const change = carried.made.body as Omit<FlagChange, "receipt">;
    const wait = { waitMs: request.query.waitMs ?? 0, signal: request.signal };
    const receipt = await receiptOfChange({ environment, ...change.position }, wait, { ledger, delivery });
    return { ...carried.made, body: { ...change, receipt } };
  };

  router.addInEnvironment(
    {
      method: "post",
      path: "/api/v1/environments/{environment}/flags/{flag}/kill",
      operationId: "killFlag",
      tag,
      summary: "Kill a flag",
      description:
        "It serves its off variant at once, stronger than anything local, until somebody restores it. With `waitMs` the answer " +
        "waits until every connected instance has applied it, or for that long.",
      access: "kill",
      params: ofFlagInEnvironment,
      query: waitQuery,
      body: { schema: killRequest },
      repeatable: true,
      success: shown,
      errors: ["flag_not_found", "flag_archived", "flag_killed", "environment_archived", ...STORAGE_ERRORS],
    },
    (request) => {
      const { environment, flag } = request.params;
      const { reason } = request.body;
      return carryOutAndWait(request, { type: "kill", environment, target: { flags: [flag] }, reason }, () => [flag]);
    },
  );

  router.addInEnvironment(
    {
      method: "post",
      path: "/api/v1/environments/{environment}/kill",
      operationId: "killFlags",
      tag,
      summary: "Kill several flags in one transaction",
      description:
        "All with a tag, or all that are named. `flags` of the answer are those that were not killed before.",
      access: "kill",
      params: inEnvironment,
      query: waitQuery,
      body: { schema: killManyRequest, example: { tag: "redis", reason: "The cluster fails over" } },
      repeatable: true,
      success: shown,
      errors: [
        "flag_not_found",
        "flag_archived",
        "flag_killed",
        "kill_matches_nothing",
        "environment_archived",
        ...STORAGE_ERRORS,
      ],
    },
    (request) => {
      const { environment } = request.params;
      const { reason, ...target } = request.body;
      return carryOutAndWait(request, { type: "kill", environment, target, reason }, (accepted) =>
        accepted.commits.flatMap(({ kill }) => (kill ?? []).map(({ key }) => key)),
      );
    },
  );

  router.addInEnvironment(
    {
      method: "post",
      path: "/api/v1/environments/{environment}/flags/{flag}/restore",
      operationId: "restoreFlag",
      tag,
      summary: "Undo a kill",
      access: "restore",
      params: ofFlagInEnvironment,
      query: waitQuery,
      body: { schema: restoreRequest, example: { reason: "Fixed in 2026.11.3" } },
      repeatable: true,
      success: shown,
      errors: ["flag_not_found", "flag_archived", "flag_not_killed", "environment_archived", ...STORAGE_ERRORS],
    },
    (request) => {
      const { environment, flag } = request.params;
      return carryOutAndWait(request, { type: "restore", environment, flag, ...request.body }, () => [flag]);
    },
  );

  router.addInEnvironment(
    {
      method: "post",
      path: "/api/v1/environments/{environment}/flags/{flag}/reshuffle",
      operationId: "reshuffleFlag",
      tag,
      summary: "Assign every user anew",
      description:
        "Draws a new salt. With `cohort`, takes or founds that cohort's salt, so its flags reach the same users first.",
      access: "reshuffle",
      params: ofFlagInEnvironment,
      query: waitQuery,
      body: { schema: reshuffleRequest, example: { reason: "A second, independent sample" } },
      repeatable: true,
      success: shown,
      errors: ["flag_not_found", "flag_archived", "environment_archived", ...STORAGE_ERRORS],
    },
    (request) => {
      const { environment, flag } = request.params;
      return carryOutAndWait(request, { type: "reshuffle", environment, flag, ...request.body }, () => [flag]);
    },
  );
}
