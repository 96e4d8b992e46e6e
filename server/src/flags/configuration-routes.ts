import {
  type ConfigurationView,
  configurationPage,
  configurationView,
  type FlagKey,
  pageQuery,
  patchConfigurationRequest,
  putConfigurationRequest,
} from "@bunting/contracts";
import { pageByKey } from "../http/cursor.ts";
import { CONFIGURATION, CONFIGURATION_DRAFT, pageOf } from "../http/examples.ts";
import { answer, carryOut, type Made, positionHeader, positionOf } from "../http/mutation.ts";
import { inEnvironment, ofFlagInEnvironment } from "../http/parameters.ts";
import { etag, expectedVersion } from "../http/precondition.ts";
import { type Router, refused, STORAGE_ERRORS } from "../http/route.ts";
import type { Accepted } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { EnvironmentState, State, StoredConfiguration } from "../ledger/state.ts";

const tag = "configurations";

const EDIT_ERRORS = [
  "flag_not_found",
  "flag_archived",
  "environment_archived",
  "field_immutable",
  "limit_exceeded",
  "variant_unknown",
  "prerequisite_invalid",
  "prerequisite_cycle",
  "condition_invalid",
  "segment_unknown",
  ...STORAGE_ERRORS,
] as const;

const shownAs = {
  status: 200,
  description: "The configuration.",
  schema: configurationView,
  example: CONFIGURATION,
} as const;

/** Configurations: how a flag is decided in one environment. */
export function configurationRoutes(router: Router, { ledger }: { ledger: Pick<Ledger, "state" | "execute"> }): void {
  router.addInEnvironment(
    {
      method: "get",
      path: "/api/v1/environments/{environment}/flags",
      operationId: "listConfigurations",
      tag,
      summary: "List the configurations of living flags",
      description: "By flag key.",
      access: "read",
      params: inEnvironment,
      query: pageQuery,
      success: { status: 200, description: "One page.", schema: configurationPage, example: pageOf(CONFIGURATION) },
    },
    ({ environment, query }) => {
      const { state } = ledger;
      const living = [...environment.configurations].filter(([key]) => state.flags.get(key)?.archivedAt === null);
      const paged = pageByKey(living, ([key]) => key, query);
      if (!paged.ok) return { refusal: paged.refusal };
      const items = paged.page.items.map(([key, stored]) => view(state, environment, key, stored));
      return { status: 200, body: { ...paged.page, items } };
    },
  );

  router.addInEnvironment(
    {
      method: "get",
      path: "/api/v1/environments/{environment}/flags/{flag}",
      operationId: "getConfiguration",
      tag,
      summary: "Read a configuration",
      access: "read",
      params: ofFlagInEnvironment,
      success: { ...shownAs, headers: ["ETag"] },
      errors: ["flag_not_found"],
    },
    ({ environment, params }) => {
      const stored = environment.configurations.get(params.flag);
      if (!stored) return refused("flag_not_found", `There is no flag ${params.flag} in ${environment.key}.`);
      const headers = { ETag: etag(stored.configuration.version) };
      return { status: 200, body: view(ledger.state, environment, params.flag, stored), headers };
    },
  );

  router.addInEnvironment(
    {
      method: "put",
      path: "/api/v1/environments/{environment}/flags/{flag}",
      operationId: "putConfiguration",
      tag,
      summary: "Replace a configuration",
      description: "An operator may change percentages only.",
      access: "put_configuration",
      params: ofFlagInEnvironment,
      body: { schema: putConfigurationRequest, example: CONFIGURATION_DRAFT },
      ifMatch: "required",
      success: { ...shownAs, headers: ["ETag", "Bunting-Position"] },
      errors: EDIT_ERRORS,
    },
    (request) => {
      if (request.ifMatch.kind === "absent") {
        return refused("precondition_required", "Send the ETag of the configuration you have read in If-Match.");
      }
      const {
        flag: _flag,
        environment: _environment,
        updatedAt: _updatedAt,
        position: _position,
        ...draft
      } = request.body;
      const command = {
        type: "put_configuration",
        ...request.params,
        draft,
        ifVersion: expectedVersion(request.ifMatch),
      } as const;
      return answer(
        carryOut(ledger, request, command, (accepted) => shown(accepted, request.environment, request.params.flag)),
      );
    },
  );

  router.addInEnvironment(
    {
      method: "patch",
      path: "/api/v1/environments/{environment}/flags/{flag}",
      operationId: "patchConfiguration",
      tag,
      summary: "Change a configuration",
      description:
        "A JSON merge patch (RFC 7396): what is left out stays, null removes, lists are replaced. That goes for a split too: " +
        "a variant that the patch does not name keeps its share. An operator may change percentages only.",
      access: "patch_configuration",
      params: ofFlagInEnvironment,
      body: { schema: patchConfigurationRequest, mediaTypes: ["application/json", "application/merge-patch+json"] },
      ifMatch: "optional",
      success: { ...shownAs, headers: ["ETag", "Bunting-Position"] },
      errors: EDIT_ERRORS,
    },
    (request) => {
      const ifVersion = expectedVersion(request.ifMatch);
      const command = { type: "patch_configuration", ...request.params, patch: request.body, ifVersion } as const;
      return answer(
        carryOut(ledger, request, command, (accepted) => shown(accepted, request.environment, request.params.flag)),
      );
    },
  );
}

function shown(accepted: Accepted, { key }: EnvironmentState, flag: FlagKey): Made {
  const environment = accepted.state.environments.get(key);
  const stored = environment?.configurations.get(flag);
  if (!environment || !stored)
    throw new Error("The ledger accepted a command of a configuration that is not in its state.");
  return {
    status: 200,
    body: view(accepted.state, environment, flag, stored),
    headers: { ETag: etag(stored.configuration.version), ...positionHeader(accepted, key) },
  };
}

function view(
  state: State,
  environment: EnvironmentState,
  flag: FlagKey,
  stored: StoredConfiguration,
): ConfigurationView {
  const { configuration, updatedAt } = stored;
  return {
    ...configuration,
    flag,
    environment: environment.key,
    updatedAt,
    position: positionOf(state, environment.key),
  };
}
