import { exportResponse } from "@bunting/contracts";
import { EXPORT } from "../http/examples.ts";
import type { Router } from "../http/route.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Clock } from "../ports.ts";
import { exportOf } from "./export.ts";

export function exportRoutes(router: Router, { ledger, clock }: { ledger: Pick<Ledger, "state">; clock: Clock }): void {
  router.add(
    {
      method: "get",
      path: "/api/v1/export",
      operationId: "export",
      tag: "export",
      summary: "Export everything a person configured",
      description: "Without secrets, in a stable order. A token that is limited to environments gets theirs.",
      access: "export",
      success: { status: 200, description: "The export.", schema: exportResponse, example: EXPORT },
    },
    ({ actor }) => ({ status: 200, body: exportOf(ledger.state, actor.environments, clock.now()) }),
  );
}
