import type { Decision, RolloutView } from "@bunting/contracts";
import { createSeededRandom, eventually, startServerProcess } from "@bunting/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { converge, createFlag, observe, sdkToken, stepsBack } from "./observed-client.ts";

const SEED = Number(process.env.BUNTING_TEST_SEED ?? 20261121);

/** A quick one: what takes time is that evidence has to be ten seconds old. */
const PLAN = {
  canary: "on",
  control: "off",
  stages: [
    { percent: 10, bakeSeconds: 10 },
    { percent: 50, bakeSeconds: 10 },
    { percent: 100, bakeSeconds: 10 },
  ],
  guardrails: [{ metric: "error_rate", max: 0.01 }],
  autoPromote: true,
  decideBy: "threshold",
  analysisIntervalSeconds: 5,
};

describe("kill -9 of the server while a rollout runs", () => {
  it(`skips no step and doubles none, and every SDK ends where the server is (seed ${SEED})`, {
    timeout: 300_000,
  }, async () => {
    const random = createSeededRandom(SEED);
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    await createFlag(server, "sturdy");
    const clients = Array.from({ length: 4 }, (_, index) =>
      observe({ url: server.url, token: sdkToken(server), instance: `client-${index}` }),
    );
    onTestFinished(async () => void (await Promise.all(clients.map(({ flags }) => flags.close()))));
    await Promise.all(clients.map(({ flags }) => flags.ready({ timeoutMs: 20_000 })));
    let user = 0;
    const traffic = setInterval(() => {
      for (const { flags } of clients) {
        for (let count = 0; count < 10; count += 1) {
          user += 1;
          flags.run("sturdy", `user-${user}`, { on: () => {}, off: () => {} });
        }
      }
    }, 50);
    onTestFinished(() => clearInterval(traffic));

    const ask = async <Answer>(method: string, at: string, body?: unknown): Promise<Answer> => {
      const response = await server.request(method, at, body);
      if (!response.ok) throw new Error(`${at}: ${response.status} ${await response.text()}`);
      return (await response.json()) as Answer;
    };
    const { id } = await ask<RolloutView>("POST", "/api/v1/environments/production/flags/sturdy/rollouts", PLAN);
    await ask("POST", `/api/v1/rollouts/${id}/start`, { comment: "" });

    const view = () => ask<RolloutView>("GET", `/api/v1/rollouts/${id}`);
    let seen = await view();
    let killCount = 0;
    while (seen.endedAt === null && killCount < 6) {
      const target = numberOf(seen) + random.below(4);
      await eventually(
        async () => {
          const now = await view();
          return now.endedAt !== null || numberOf(now) >= target;
        },
        { withinMs: 60_000, what: `decision ${target}` },
      );
      await server.kill();
      killCount += 1;
      await server.restart();
      const before = seen;
      seen = await view();
      expect(seen.stage).toBeGreaterThanOrEqual(before.stage ?? 0);
      expect(seen.version).toBeGreaterThanOrEqual(before.version);
    }
    expect(killCount).toBeGreaterThanOrEqual(3);
    const ended = await eventually(
      async () => {
        const now = await view();
        return now.endedAt !== null && now;
      },
      { withinMs: 150_000, everyMs: 250, what: "the rollout to end" },
    );

    expect(ended).toMatchObject({ state: "completed", attempt: 1, stage: 2, percent: 100 });
    const { items } = await ask<{ items: readonly Decision[] }>(
      "GET",
      `/api/v1/rollouts/${id}/decisions?only=changes&limit=100`,
    );
    const decisions = items.toReversed();
    const steps = decisions.filter(({ action }) => action === "start" || action === "promote" || action === "complete");
    expect(steps.map(({ action, stage }) => [action, stage])).toEqual([
      ["start", expect.anything()],
      ["promote", 0],
      ["promote", 1],
      ["complete", 2],
    ]);
    const revisions = steps.flatMap(({ revision }) => revision ?? []);
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    expect(new Set(revisions).size).toBe(revisions.length);
    for (const step of steps.slice(1)) expect(step).toMatchObject({ verdict: "pass", forced: false });

    await converge(server, clients);
    for (const client of clients) {
      expect(stepsBack(client)).toEqual([]);
      expect(client.flags.isEnabled("sturdy", "anybody")).toBe(true);
    }
    expect(await ask("GET", "/api/v1/audit/verify")).toMatchObject({ intact: true, damagedRows: [] });
  });
});

/** How many decisions there have been: the end of the latest one's id. */
function numberOf({ latestDecision }: RolloutView): number {
  return Number(latestDecision?.split(".").at(-1) ?? 0);
}
