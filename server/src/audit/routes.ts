import { ReadableStream } from "node:stream/web";
import { type AuditVerificationLine, auditPage, auditQuery, auditVerification } from "@bunting/contracts";
import { badCursor, decodeCursor, encodeCursor } from "../http/cursor.ts";
import { AUDIT_ENTRY, AUDIT_VERIFICATION, pageOf } from "../http/examples.ts";
import type { Router } from "../http/route.ts";
import type { AuditFilter, Ledger } from "../ledger/ledger.ts";
import { aTurn, inTurns } from "../platform/in-turns.ts";
import type { Scheduler } from "../ports.ts";

const tag = "audit";

/** A line of JSON at a time. */
const LINES = "application/x-ndjson";

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
        "Walks every entry, oldest first. Keep `head` outside of the database: somebody who rewrote all of it is found by that alone. " +
        `With \`Accept: ${LINES}\` it says every few ms how far it is, in lines of \`{"progress":{"checked":…,"entries":…}}\`, and ends with \`{"result":…}\`. Whoever hangs up ends it.`,
      access: "verify_audit",
      success: {
        status: 200,
        description: "The result.",
        schema: auditVerification,
        example: AUDIT_VERIFICATION,
        mediaType: LINES,
      },
    },
    async ({ accept }) => {
      const steps = ledger.verifyInSteps();
      if (!accept.includes(LINES)) return { status: 200, body: await inTurns(steps, scheduler) };
      const [newest] = ledger.audit({ before: null, limit: 1, environments: null });
      const lines = progressOf(steps, newest?.number ?? 0, scheduler);
      return { status: 200, body: ReadableStream.from(lines), headers: { "Content-Type": LINES } };
    },
  );
}

/** Verifies no faster than somebody reads: the stream asks for a line when it has room for one. */
async function* progressOf(
  steps: ReturnType<AuditDeps["ledger"]["verifyInSteps"]>,
  entries: number,
  scheduler: AuditDeps["scheduler"],
): AsyncGenerator<Uint8Array> {
  const line = (value: AuditVerificationLine): Uint8Array => Buffer.from(`${JSON.stringify(value)}\n`);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return yield line({ result: value });
    yield line({ progress: { checked: value, entries: Math.max(value, entries) } });
    await aTurn(scheduler);
  }
}

function parseNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}
