import {
  createFlagRequest,
  type Flag,
  type FlagKey,
  flagPage,
  flagQuery,
  flag as flagSchema,
  patchFlagRequest,
} from "@bunting/contracts";
import { pageByKey } from "../http/cursor.ts";
import { FLAG, pageOf } from "../http/examples.ts";
import { answer, carryOut, type Made, positionHeader } from "../http/mutation.ts";
import { ofFlag } from "../http/parameters.ts";
import { etag, expectedVersion } from "../http/precondition.ts";
import { type Router, refused, STORAGE_ERRORS } from "../http/route.ts";
import type { Accepted } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";

const tag = "flags";

/** Definitions: what a flag is, in every environment. */
export function flagRoutes(router: Router, { ledger }: { ledger: Pick<Ledger, "state" | "execute"> }): void {
  router.add(
    {
      method: "get",
      path: "/api/v1/flags",
      operationId: "listFlags",
      tag,
      summary: "List flags",
      description: "By key. `archived=true` lists the archived ones instead of the living.",
      access: "read",
      query: flagQuery,
      success: { status: 200, description: "One page.", schema: flagPage, example: pageOf(FLAG) },
    },
    ({ query }) => {
      const wanted = [...ledger.state.flags.values()].filter((flag) => isWanted(flag, query));
      const paged = pageByKey(wanted, ({ key }) => key, query);
      return paged.ok ? { status: 200, body: paged.page } : { refusal: paged.refusal };
    },
  );

  router.add(
    {
      method: "post",
      path: "/api/v1/flags",
      operationId: "createFlag",
      tag,
      summary: "Create a flag",
      description:
        "In every environment at once. Without `variants` a boolean flag gets `on` and `off`. An environment that is not named " +
        "in `environments` starts enabled, with everyone on the off variant.",
      access: "create_flag",
      body: { schema: createFlagRequest },
      repeatable: true,
      success: {
        status: 201,
        description: "The flag.",
        schema: flagSchema,
        example: FLAG,
        headers: ["ETag", "Location", "Bunting-Position"],
      },
      errors: [
        "environment_not_found",
        "flag_exists",
        "limit_exceeded",
        "variant_type_mismatch",
        "variant_unknown",
        "prerequisite_invalid",
        "prerequisite_cycle",
        "condition_invalid",
        "segment_unknown",
        ...STORAGE_ERRORS,
      ],
    },
    (request) =>
      answer(
        carryOut(ledger, request, { type: "create_flag", draft: request.body }, (accepted) => {
          const { status, body, headers } = shown(accepted, request.body.key, 201);
          return { status, body, headers: { ...headers, Location: `/api/v1/flags/${request.body.key}` } };
        }),
      ),
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/flags/{flag}",
      operationId: "getFlag",
      tag,
      summary: "Read a flag",
      description: "Archived ones too: `archivedAt` tells.",
      access: "read",
      params: ofFlag,
      success: { status: 200, description: "The flag.", schema: flagSchema, example: FLAG, headers: ["ETag"] },
      errors: ["flag_not_found"],
    },
    ({ params }) => {
      const flag = ledger.state.flags.get(params.flag);
      if (!flag) return refused("flag_not_found", `There is no flag ${params.flag}.`);
      return { status: 200, body: flag, headers: { ETag: etag(flag.version) } };
    },
  );

  router.add(
    {
      method: "patch",
      path: "/api/v1/flags/{flag}",
      operationId: "patchFlag",
      tag,
      summary: "Change a flag's definition",
      description:
        "A JSON merge patch. `variants` may add and describe variants and, by null, retire them; a variant's value never changes.",
      access: "patch_flag",
      params: ofFlag,
      body: { schema: patchFlagRequest, mediaTypes: ["application/json", "application/merge-patch+json"] },
      ifMatch: "optional",
      success: {
        status: 200,
        description: "The flag.",
        schema: flagSchema,
        example: FLAG,
        headers: ["ETag", "Bunting-Position"],
      },
      errors: [
        "flag_not_found",
        "flag_archived",
        "limit_exceeded",
        "variant_in_use",
        "variant_type_mismatch",
        "variant_value_immutable",
        ...STORAGE_ERRORS,
      ],
    },
    (request) => {
      const { flag } = request.params;
      const ifVersion = expectedVersion(request.ifMatch);
      const command = { type: "patch_flag", flag, patch: request.body, ifVersion } as const;
      return answer(carryOut(ledger, request, command, (accepted) => shown(accepted, flag, 200)));
    },
  );

  router.add(
    {
      method: "delete",
      path: "/api/v1/flags/{flag}",
      operationId: "archiveFlag",
      tag,
      summary: "Archive a flag",
      description: "SDKs no longer receive it. Its key stays taken for ever.",
      access: "archive_flag",
      params: ofFlag,
      ifMatch: "optional",
      success: {
        status: 200,
        description: "The flag, archived.",
        schema: flagSchema,
        example: FLAG,
        headers: ["ETag", "Bunting-Position"],
      },
      errors: ["flag_not_found", "flag_archived", "flag_in_use", "rollout_exists", ...STORAGE_ERRORS],
    },
    (request) => {
      const { flag } = request.params;
      const command = { type: "archive_flag", flag, ifVersion: expectedVersion(request.ifMatch) } as const;
      return answer(carryOut(ledger, request, command, (accepted) => shown(accepted, flag, 200)));
    },
  );
}

function isWanted(
  flag: Flag,
  { archived, tag, search }: { archived: "true" | "false"; tag?: string | undefined; search?: string | undefined },
): boolean {
  if ((flag.archivedAt !== null) !== (archived === "true")) return false;
  if (tag !== undefined && !flag.tags.includes(tag)) return false;
  if (search === undefined) return true;
  const text = search.toLowerCase();
  return flag.key.toLowerCase().includes(text) || flag.description.toLowerCase().includes(text);
}

function shown(accepted: Accepted, key: FlagKey, status: 200 | 201): Made {
  const flag = accepted.state.flags.get(key);
  if (!flag) throw new Error("The ledger accepted a command of a flag that is not in its state.");
  return { status, body: flag, headers: { ETag: etag(flag.version), ...positionHeader(accepted) } };
}
