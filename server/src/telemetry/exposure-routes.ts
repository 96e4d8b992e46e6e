import { exposuresResponse } from "@bunting/contracts";
import { z } from "zod";
import { EXPOSURES } from "../http/examples.ts";
import { ofFlagInEnvironment } from "../http/parameters.ts";
import { type Router, refused } from "../http/route.ts";
import type { Clock } from "../ports.ts";
import type { Telemetry } from "./telemetry.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

const since = z.object({ sinceMs: z.coerce.number().int().min(0).optional() });

export function exposureRoutes(router: Router, { telemetry, clock }: { telemetry: Telemetry; clock: Clock }): void {
  router.addInEnvironment(
    {
      method: "get",
      path: "/api/v1/environments/{environment}/flags/{flag}/exposures",
      operationId: "getExposures",
      tag: "configurations",
      summary: "Count how often each variant was served",
      description:
        "As the SDKs report it, since `sinceMs` (Unix ms; a day ago, if left out): to the minute for a day, to the hour before.",
      access: "read",
      params: ofFlagInEnvironment,
      query: since,
      success: { status: 200, description: "The counts.", schema: exposuresResponse, example: EXPOSURES },
      errors: ["flag_not_found"],
    },
    ({ environment, params, query }) => {
      const { flag } = params;
      if (!environment.configurations.has(flag)) {
        return refused("flag_not_found", `There is no flag ${flag} in ${environment.key}.`);
      }
      const sinceMs = query.sinceMs ?? Math.max(0, Math.floor(clock.now() - DAY_MS));
      const variants = telemetry.exposures(environment.key, flag, sinceMs);
      return { status: 200, body: { flag, environment: environment.key, sinceMs, variants } };
    },
  );
}
