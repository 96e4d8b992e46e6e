import type { Decision, RolloutReport, RolloutView } from "@bunting/contracts";
import { eventually, type ServerProcess, startServerProcess } from "@bunting/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { converge, type ObservedClient, observe, sdkToken } from "./observed-client.ts";

const USERS = Array.from({ length: 20_000 }, (_, index) => `user-${index}`);

const PLAN = {
  canary: "c",
  control: "a",
  stages: [{ percent: 5 }, { percent: 50 }, { percent: 100 }],
  guardrails: [{ metric: "error_rate", max: 0.01, worseThanControl: true }],
  autoPromote: true,
  analysisIntervalSeconds: 5,
};

describe("a rollback", () => {
  it("gives every user back what he had, leaves no canary, and is told; a retry knows nothing of it", {
    timeout: 180_000,
  }, async () => {
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    const ask = <Answer>(method: string, at: string, body?: unknown): Promise<Answer> =>
      answered<Answer>(server.request(method, at, body));
    await createSplit(server);
    const client = observe({ url: server.url, token: sdkToken(server) });
    onTestFinished(() => client.flags.close());
    await client.flags.ready();
    await converge(server, [client]);
    const former = variantsOf(client);
    expect(countOf(former)).toEqual({ a: expect.any(Number), b: expect.any(Number) });

    // Two stages up, so that users of both other variants have the canary; then it fails.
    const { id } = await ask<RolloutView>("POST", "/api/v1/environments/production/flags/layout/rollouts", PLAN);
    await ask("POST", `/api/v1/rollouts/${id}/start`, { comment: "the spring release" });
    await ask("POST", `/api/v1/rollouts/${id}/promote`, { comment: "seen on staging" });
    await converge(server, [client]);
    const promoted = variantsOf(client);
    expect((countOf(promoted).c ?? 0) / USERS.length).toBeCloseTo(0.5, 1);
    use(client, { cFails: true });
    await client.flags.flush();
    const first = await ended(ask, id);
    expect(first).toMatchObject({ state: "rolled_back", percent: 0, attempt: 1 });

    await converge(server, [client]);
    expect(variantsOf(client)).toEqual(former);
    const exposures = use(client, { cFails: true });
    expect(exposures.c).toBeUndefined();
    const entry = await ask<{ fallthrough: unknown }>("GET", "/api/v1/environments/production/flags/layout");
    expect(entry.fallthrough).toEqual({ split: { a: 40, b: 60, c: 0 } });

    // Mended, and once more: nothing of the first attempt is held against it.
    await ask("POST", `/api/v1/rollouts/${id}/retry`, { comment: "the null pointer is mended" });
    await converge(server, [client]);
    const begun = await eventually(async () => {
      const view = await ask<RolloutView>("GET", `/api/v1/rollouts/${id}`);
      return view.guardrails.length > 0 && view;
    });
    expect(begun).toMatchObject({ state: "running", attempt: 2, percent: 5, bakedSeconds: 0, signatures: [] });
    expect(begun.guardrails).toMatchObject([{ verdict: "hold", canary: null, control: null, logEvidence: 0 }]);
    const evidence = await ask<{ items: readonly unknown[] }>("GET", `/api/v1/rollouts/${id}/evidence?attempt=2`);
    expect(evidence.items).toEqual([]);
    use(client, { cFails: false });
    await client.flags.flush();
    const looked = await eventually(
      async () => {
        const { items } = await ask<{ items: readonly Decision[] }>("GET", `/api/v1/rollouts/${id}/decisions?limit=1`);
        return items[0] && items[0].counts.canary.outcomeCount > 0 && items[0];
      },
      { withinMs: 60_000, what: "a look at the evidence of the retry" },
    );
    expect(looked).toMatchObject({ attempt: 2, stage: 0 });
    expect(looked.counts.canary.errorCount).toBe(0);
    await ask("POST", `/api/v1/rollouts/${id}/abort`, { comment: "enough for today" });
    await converge(server, [client]);
    expect(variantsOf(client)).toEqual(former);

    const report = await ask<RolloutReport>("GET", `/api/v1/rollouts/${id}/report`);
    const story = report.decisions.filter(({ action }) => action !== "none" && action !== "notify");
    expect(story.map(({ attempt, action }) => `${attempt}: ${action}`)).toEqual([
      "1: start",
      "1: promote",
      "1: rollback",
      "2: retry",
      "2: abort",
    ]);
    expect(story[1]).toMatchObject({ forced: true, because: expect.stringContaining("seen on staging") });
    expect(story[2]).toMatchObject({ by: "controller", verdict: "fail", forced: false });
    expect(report.incidents).toHaveLength(1);
    const markdown = await (
      await server.request("GET", `/api/v1/rollouts/${id}/report`, undefined, { accept: "text/markdown" })
    ).text();
    for (const words of ["the spring release", "seen on staging", "the null pointer is mended", "enough for today"]) {
      expect(markdown).toContain(words);
    }
  });
});

/** Three variants whose split has been moved to and fro, so that who has which is a matter of history. */
async function createSplit(server: ServerProcess): Promise<void> {
  const variants = { a: { value: "a" }, b: { value: "b" }, c: { value: "c" } };
  const splits = [
    { a: 30, b: 30, c: 40 },
    { a: 70, b: 20, c: 10 },
    { a: 40, b: 60, c: 0 },
  ];
  const production = { enabled: true, offVariant: "a", fallthrough: { split: splits[0] } };
  await answered(
    server.request("POST", "/api/v1/flags", {
      key: "layout",
      type: "string",
      variants,
      environments: { production },
    }),
  );
  for (const split of splits.slice(1)) {
    const headers = { "content-type": "application/merge-patch+json" };
    await answered(
      server.request("PATCH", "/api/v1/environments/production/flags/layout", { fallthrough: { split } }, headers),
    );
  }
}

function variantsOf({ flags }: ObservedClient): readonly (string | null)[] {
  return USERS.map((user) => flags.variant("layout", user));
}

function countOf(variants: readonly (string | null)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const variant of variants) counts[`${variant}`] = (counts[`${variant}`] ?? 0) + 1;
  return counts;
}

/** A request of every user; answers what was served. */
function use({ flags }: ObservedClient, { cFails }: { readonly cFails: boolean }): Record<string, number> {
  const served: (string | null)[] = [];
  for (const user of USERS) {
    const exposure = flags.expose("layout", user);
    served.push(exposure.variant);
    if (cFails && exposure.variant === "c") exposure.error(new Error("The canary burns."));
    else exposure.success();
  }
  return countOf(served);
}

function ended(ask: <Answer>(method: string, at: string) => Promise<Answer>, id: string): Promise<RolloutView> {
  return eventually(
    async () => {
      const view = await ask<RolloutView>("GET", `/api/v1/rollouts/${id}`);
      return view.endedAt !== null && view;
    },
    { withinMs: 30_000, what: "the rollout to end" },
  );
}

async function answered<Answer>(answer: Promise<Response>): Promise<Answer> {
  const response = await answer;
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}
