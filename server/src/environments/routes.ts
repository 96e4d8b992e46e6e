import {
  type Environment,
  environmentDraft,
  environmentPage,
  environment as environmentSchema,
  pageQuery,
} from "@bunting/contracts";
import { pageByKey } from "../http/cursor.ts";
import { ENVIRONMENT, pageOf } from "../http/examples.ts";
import { answer, carryOut, positionHeader } from "../http/mutation.ts";
import { inEnvironment } from "../http/parameters.ts";
import { type Router, STORAGE_ERRORS } from "../http/route.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { EnvironmentState, State } from "../ledger/state.ts";
import type { Delivery } from "../receipts/delivery.ts";

const tag = "environments";

export function environmentRoutes(router: Router, { ledger, delivery }: { ledger: Ledger; delivery: Delivery }): void {
  const view = (state: State, environment: EnvironmentState): Environment => ({
    key: environment.key,
    name: environment.name,
    createdAt: environment.createdAt,
    archivedAt: environment.archivedAt,
    position: { epoch: state.epoch, revision: environment.revision },
    checksum: environment.checksum,
    flagCount: environment.flags.size,
    connectedInstances: delivery.connectedCount(environment.key),
  });

  router.add(
    {
      method: "get",
      path: "/api/v1/environments",
      operationId: "listEnvironments",
      tag,
      summary: "List the environments that the token covers",
      description: "By key, archived ones included.",
      access: "read",
      query: pageQuery,
      success: { status: 200, description: "One page.", schema: environmentPage, example: pageOf(ENVIRONMENT) },
    },
    ({ actor, query }) => {
      const { state } = ledger;
      const visible = [...state.environments.values()].filter(({ key }) => actor.environments?.includes(key) ?? true);
      const paged = pageByKey(visible, ({ key }) => key, query);
      if (!paged.ok) return { refusal: paged.refusal };
      const items = paged.page.items.map((environment) => view(state, environment));
      return { status: 200, body: { ...paged.page, items } };
    },
  );

  router.add(
    {
      method: "post",
      path: "/api/v1/environments",
      operationId: "createEnvironment",
      tag,
      summary: "Create an environment",
      description: "It starts with every living flag, enabled, with everyone on the off variant.",
      access: "create_environment",
      body: { schema: environmentDraft, example: { key: "canary", name: "Canary" } },
      repeatable: true,
      success: {
        status: 201,
        description: "The environment.",
        schema: environmentSchema,
        example: ENVIRONMENT,
        headers: ["Location", "Bunting-Position"],
      },
      errors: ["environment_exists", "limit_exceeded", ...STORAGE_ERRORS],
    },
    (request) => {
      const { key, name } = request.body;
      return answer(
        carryOut(ledger, request, { type: "create_environment", key, name }, (accepted) => ({
          status: 201,
          body: view(accepted.state, made(accepted.state, key)),
          headers: { Location: `/api/v1/environments/${key}`, ...positionHeader(accepted) },
        })),
      );
    },
  );

  router.addInEnvironment(
    {
      method: "get",
      path: "/api/v1/environments/{environment}",
      operationId: "getEnvironment",
      tag,
      summary: "Read an environment",
      access: "read",
      params: inEnvironment,
      success: { status: 200, description: "The environment.", schema: environmentSchema, example: ENVIRONMENT },
    },
    ({ environment }) => ({ status: 200, body: view(ledger.state, environment) }),
  );

  router.addInEnvironment(
    {
      method: "delete",
      path: "/api/v1/environments/{environment}",
      operationId: "archiveEnvironment",
      tag,
      summary: "Archive an environment",
      description: "Ends its streams. What it held stays readable; its key is never used again.",
      access: "archive_environment",
      params: inEnvironment,
      success: {
        status: 200,
        description: "The environment, archived.",
        schema: environmentSchema,
        example: ENVIRONMENT,
      },
      errors: ["environment_archived", "rollout_exists", ...STORAGE_ERRORS],
    },
    (request) => {
      const { key } = request.environment;
      return answer(
        carryOut(ledger, request, { type: "archive_environment", environment: key }, (accepted) => ({
          status: 200,
          body: view(accepted.state, made(accepted.state, key)),
          headers: {},
        })),
      );
    },
  );
}

function made(state: State, key: EnvironmentState["key"]): EnvironmentState {
  const environment = state.environments.get(key);
  if (!environment) throw new Error("The ledger accepted a command of an environment that is not in its state.");
  return environment;
}
