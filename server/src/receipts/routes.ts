import { environmentKey, instancePage, pageQuery, receipt as receiptSchema, waitQuery } from "@bunting/contracts";
import { z } from "zod";
import { pageByKey } from "../http/cursor.ts";
import { INSTANCE, pageOf, RECEIPT } from "../http/examples.ts";
import { inEnvironment } from "../http/parameters.ts";
import { type Router, refused } from "../http/route.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Delivery } from "./delivery.ts";

const tag = "receipts";

const ofRevision = z.object({
  environment: environmentKey,
  revision: z
    .string()
    .regex(/^[0-9]{1,15}$/)
    .transform(Number),
});

interface ReceiptSlice {
  readonly delivery: Delivery;
  readonly telemetry: Pick<Telemetry, "overridden">;
}

export function receiptRoutes(router: Router, { delivery, telemetry }: ReceiptSlice): void {
  router.addInEnvironment(
    {
      method: "get",
      path: "/api/v1/environments/{environment}/receipts/{revision}",
      operationId: "getReceipt",
      tag,
      summary: "Read who has applied a revision",
      description:
        "With `waitMs`, waits until everyone who was connected at the commit has, or for that long; not at all while too many wait.",
      access: "read",
      params: ofRevision,
      query: waitQuery,
      success: { status: 200, description: "The receipt.", schema: receiptSchema, example: RECEIPT },
      errors: ["receipt_expired"],
    },
    async ({ environment, params: { revision }, query, signal }) => {
      const waitMs = query.waitMs ?? 0;
      if (waitMs > 0 && delivery.receipt(environment.key, revision)) {
        await delivery.waitForReceipt(environment.key, revision, waitMs, signal);
      }
      const receipt = delivery.receipt(environment.key, revision);
      if (!receipt) return refused("receipt_expired", `There is no receipt of revision ${revision}.`);
      return { status: 200, body: receipt };
    },
  );

  router.addInEnvironment(
    {
      method: "get",
      path: "/api/v1/environments/{environment}/instances",
      operationId: "listInstances",
      tag,
      summary: "List the SDK instances of an environment",
      description: "By instance and boot: those with a stream, those that poll, and those that left a moment ago.",
      access: "read",
      params: inEnvironment,
      query: pageQuery,
      success: { status: 200, description: "One page.", schema: instancePage, example: pageOf(INSTANCE) },
    },
    ({ environment, query }) => {
      const nameOf = ({ instance, boot }: { readonly instance: string; readonly boot: string }) =>
        `${instance}\n${boot}`;
      const known = delivery.instances(environment.key);
      const paged = pageByKey(known, (instance) => `${nameOf(instance)}\n${instance.session}`, query);
      if (!paged.ok) return { refusal: paged.refusal };
      const overridden = new Map(telemetry.overridden(environment.key).map((boot) => [nameOf(boot), boot.flags]));
      const items = paged.page.items.map(({ session: _session, ...item }) => ({
        ...item,
        overridden: overridden.get(nameOf(item)) ?? [],
      }));
      return { status: 200, body: { ...paged.page, items } };
    },
  );
}
