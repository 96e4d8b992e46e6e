import { auditPage, auditQuery, auditVerification } from "@bunting/contracts";
import { badCursor, decodeCursor, encodeCursor } from "../http/cursor.ts";
import { AUDIT_ENTRY, AUDIT_VERIFICATION, pageOf } from "../http/examples.ts";
import type { Router } from "../http/route.ts";
import type { AuditFilter, Ledger } from "../ledger/ledger.ts";
import { inTurns } from "../platform/in-turns.ts";
import type { Scheduler } from "../ports.ts";

const tag = "audit";

interface AuditDeps {
  readonly ledger: Pick<Ledger, "audit" | "verifyInSteps">;
  readonly scheduler: Pick<Scheduler, "soon">;
}

export function auditRoutes(router: Router, { ledger, scheduler }: AuditDeps): void {
  router.add(
    {
      method: "get",
      path: "/api/v1/audit",
      operationId: "listAudit",
      tag,
      summary: "Read who changed what",
      description: "Newest first. A token that is limited to environments sees what concerns them.",
      access: "read",
      query: auditQuery,
      success: { status: 200, description: "One page.", schema: auditPage, example: pageOf(AUDIT_ENTRY) },
    },
    ({ actor, query }) => {
      const before = query.cursor === undefined ? null : parseNumber(decodeCursor(query.cursor));
      if (before === undefined) return { refusal: badCursor() };
      const filter: AuditFilter = {
        before,
        // One more than shown: whether there is a next page.
        limit: query.limit + 1,
        environments: actor.environments,
        ...(query.flag !== undefined && { flag: query.flag }),
        ...(query.environment !== undefined && { environment: query.environment }),
        ...(query.action !== undefined && { action: query.action }),
      };
      const entries = ledger.audit(filter);
      const items = entries.slice(0, query.limit);
      const last = items.at(-1);
      const nextCursor = entries.length > items.length && last ? encodeCursor(String(last.number)) : null;
      return { status: 200, body: { items, nextCursor } };
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/audit/verify",
      operationId: "verifyAudit",
      tag,
      summary: "Verify the chain of audit entries and the stored documents",
      description:
        "Walks every entry, oldest first. Keep `head` outside of the database: somebody who rewrote all of it is found by that alone.",
      access: "verify_audit",
      success: { status: 200, description: "The result.", schema: auditVerification, example: AUDIT_VERIFICATION },
    },
    async () => ({ status: 200, body: await inTurns(ledger.verifyInSteps(), scheduler) }),
  );
}

function parseNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}
