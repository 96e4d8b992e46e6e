import type { Flag, FlagKey } from "@bunting/contracts";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { createApp } from "../http/app.ts";
import { FLAG } from "../http/examples.ts";
import type { State } from "../ledger/state.ts";
import { createLogger } from "../ops/log.ts";
import { createMetrics } from "../ops/metrics.ts";
import { flagRoutes } from "./routes.ts";

const TOTAL = 10_000;
const keyOf = (index: number): FlagKey => `flag-${String(index).padStart(5, "0")}` as FlagKey;

/** The routes over a state that nothing changes but the test. */
function createRoutes(flags: Map<FlagKey, Flag>) {
  const state: State = {
    epoch: "e",
    environments: new Map(),
    flags,
    segments: new Map(),
    tokens: new Map(),
    rollouts: new Map(),
    webhooks: new Map(),
  };
  const actor = { token: "t", kind: "viewer", name: "a viewer", environments: null, roles: [], requestId: "" } as const;
  const app = createApp({
    authenticate: () => ({ ok: true, actor }),
    state: () => state,
    clock: createFakeTime().clock,
    random: createSeededRandom(1),
    logger: createLogger("silent", () => {}),
    metrics: createMetrics(new Registry()),
  });
  flagRoutes(app, { ledger: { state, execute: () => ({ ok: false, refusal: { code: "forbidden", detail: "" } }) } });
  return app.hono;
}

describe("10,000 flags", () => {
  it("are listed page by page, each once and in order, also while flags come and go", async () => {
    // Stored in another order than the one they are listed in.
    const flags = new Map<FlagKey, Flag>();
    for (let step = 0; step < TOTAL; step++) {
      const key = keyOf((step * 7_919) % TOTAL);
      flags.set(key, { ...FLAG, key } as unknown as Flag);
    }
    const routes = createRoutes(flags);

    const seen: string[] = [];
    let cursor: string | null = null;
    let pages = 0;
    do {
      const query: string = cursor === null ? "limit=200" : `limit=200&cursor=${cursor}`;
      const response = await routes.request(`/api/v1/flags?${query}`);
      const page = (await response.json()) as { items: Flag[]; nextCursor: string | null };
      seen.push(...page.items.map(({ key }) => key));
      cursor = page.nextCursor;
      pages++;
      if (pages === 5) {
        // Before the cursor: one comes and one goes. Neither shifts what is still to be shown.
        flags.set("aaa" as FlagKey, { ...FLAG, key: "aaa" } as unknown as Flag);
        flags.delete(keyOf(3));
      }
    } while (cursor !== null);

    expect(pages).toBe(TOTAL / 200);
    expect(seen).toEqual(Array.from({ length: TOTAL }, (_, index) => keyOf(index)));
  });
});
