import { evaluateRequest, evaluateResponse } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { EVALUATION } from "../http/examples.ts";
import { inEnvironment } from "../http/parameters.ts";
import { type Router, refused } from "../http/route.ts";
import type { Evaluator } from "./evaluator.ts";

export function evaluationRoutes(router: Router, { evaluator }: { evaluator: Evaluator }): void {
  router.addInEnvironment(
    {
      method: "post",
      path: "/api/v1/environments/{environment}/evaluate",
      operationId: "evaluate",
      tag: "evaluation",
      summary: "Evaluate flags for a context, with a trace",
      description:
        "What an SDK would serve, and each step that led there. Nothing is counted and nothing of the context is kept.",
      access: "read",
      params: inEnvironment,
      body: { schema: evaluateRequest, limitBytes: LIMITS.evaluateBodyBytes },
      success: { status: 200, description: "Each flag.", schema: evaluateResponse, example: EVALUATION },
      errors: ["environment_archived"],
    },
    ({ environment, body }) => {
      const evaluated = evaluator.evaluate(environment.key, body.context, body.flags);
      return evaluated
        ? { status: 200, body: evaluated }
        : refused("environment_archived", `The environment ${environment.key} is archived.`);
    },
  );
}
