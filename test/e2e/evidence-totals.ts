import type { EvidenceCell, EvidenceRow, TelemetryBatch } from "@bunting/contracts";
import type { ServerProcess } from "@bunting/testkit";
import { expect } from "vitest";
import { sdkToken } from "./observed-client.ts";

/* What a server has counted of a rollout, added up in a form in which two countings can be compared. */

/** By variant and count, everything added up; groups, bins and rungs each by themselves. */
export function totals(cells: readonly EvidenceCell[]): Record<string, number> {
  const sums: Record<string, number> = {};
  const add = (name: string, count: number): void => {
    if (count !== 0) sums[name] = (sums[name] ?? 0) + count;
  };
  for (const cell of cells) {
    const { variant, groups, sketch, ladder, metrics = {} } = cell;
    for (const name of [
      "exposureCount",
      "unitCount",
      "outcomeCount",
      "errorCount",
      "unitErrorCount",
      "uncheckedCount",
    ] as const) {
      add(`${variant} ${name}`, cell[name]);
    }
    for (const [group, ...counts] of groups) {
      for (const [index, count] of counts.entries()) add(`${variant} group ${group}.${index}`, count);
    }
    for (const [bin, count] of sketch) add(`${variant} bin ${bin}`, count);
    for (const [group, rung, count] of ladder) add(`${variant} rung ${group}.${rung}`, count);
    for (const [metric, { groups: units, ...counts }] of Object.entries(metrics)) {
      for (const [name, count] of Object.entries(counts)) add(`${variant} ${metric} ${name}`, count);
      for (const [group, count] of units) add(`${variant} ${metric} group ${group}`, count);
    }
  }
  return sums;
}

/** Every sum that the server keeps of a rollout. */
export async function evidenceOf(server: ServerProcess, rollout: string): Promise<EvidenceRow[]> {
  const rows: EvidenceRow[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const response = await server.request("GET", `/api/v1/rollouts/${rollout}/evidence?limit=50${query}`);
    const page = (await response.json()) as { items: EvidenceRow[]; nextCursor: string | null };
    rows.push(...page.items);
    cursor = page.nextCursor;
  }
  return rows;
}

/** By variant, the exposures that the server counted of a flag in production. */
export async function exposuresOf(server: ServerProcess, flag: string): Promise<Record<string, number>> {
  const response = await server.request("GET", `/api/v1/environments/production/flags/${flag}/exposures`);
  return ((await response.json()) as { variants: Record<string, number> }).variants;
}

/** Sends a batch and answers the sequence that is durable. */
export async function report(server: ServerProcess, batch: TelemetryBatch): Promise<number> {
  const response = await fetch(`${server.url}/sdk/v1/telemetry`, {
    method: "POST",
    headers: { authorization: `Bearer ${sdkToken(server)}`, "content-type": "application/json" },
    body: JSON.stringify(batch),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { sequence: number }).sequence;
}
