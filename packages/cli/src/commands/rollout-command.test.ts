import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, sampleDecision, sampleReceipt, sampleRollout, TOKEN } from "../test-world.ts";
import type { World } from "../world.ts";

const ID = "ro-5f1c09a27be4";
const promoted = {
  rollout: sampleRollout({ stage: 3, percent: 50 }),
  decision: sampleDecision({ action: "promote", by: "Ana", because: "Ana promoted the canary from 25 % to 50 %." }),
  position: { epoch: "e", revision: 318 },
  receipt: sampleReceipt(),
};

/** A server that knows one rollout, and gives one answer to every command. */
function serving(answer: unknown, differences: Partial<World> = {}) {
  const sent: { path: string; body: unknown }[] = [];
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN, BUNTING_ENVIRONMENT: "production" },
    fetch: (url, { method, body }) => {
      const path = new URL(url).pathname;
      if (method === "POST") sent.push({ path, body: JSON.parse(body ?? "null") });
      if (path.includes("/receipts/")) return Promise.resolve(Response.json(sampleReceipt()));
      return Promise.resolve(Response.json(method === "GET" ? sampleRollout() : answer));
    },
    ...differences,
  });
  return { world, out, err, sent };
}

describe("a command to a rollout", () => {
  it("goes to the rollout with its comment, and says what the log says of it", async () => {
    const { world, out, sent } = serving(promoted);
    expect(await run(["rollout", "promote", ID, "--comment", "night is over"], world)).toBe(0);
    expect(sent).toEqual([{ path: `/api/v1/rollouts/${ID}/promote`, body: { comment: "night is over" } }]);
    expect(out()).toContain("✓ Ana promoted the canary from 25 % to 50 %.");
    expect(out()).toContain("running, 50 % of on against off");
    expect(out()).not.toContain("instances applied"); // As of the commit it would read like a failure.
  });

  it("with --wait proves that every instance has applied it", async () => {
    const { world, out } = serving(promoted);
    expect(await run(["rollout", "promote", ID, "--wait"], world)).toBe(0);
    expect(out()).toContain("2,413/2,413 instances applied");
  });

  it("with --wait ends with 5 if somebody is missing", async () => {
    const incomplete = sampleReceipt({ complete: false, applied: 1, pendingCount: 2412 });
    const fetch: World["fetch"] = (url, { method }) =>
      Promise.resolve(
        Response.json(
          new URL(url).pathname.includes("/receipts/")
            ? incomplete
            : method === "GET"
              ? sampleRollout()
              : { ...promoted, receipt: incomplete },
        ),
      );
    const { world } = serving(promoted, { fetch });
    expect(await run(["rollout", "rollback", ID, "--wait", "1"], world)).toBe(5);
  });

  it("waits for nothing where the flag was not changed", async () => {
    const { world, out } = serving({ ...promoted, receipt: null });
    expect(await run(["rollout", "pause", ID, "--wait"], world)).toBe(0);
    expect(out()).not.toContain("instances");
  });

  it("that says NO-GO takes a reason: asked for, or refused", async () => {
    const silent = serving(promoted);
    expect(await run(["rollout", "reject", ID], silent.world)).toBe(2);
    expect(silent.err()).toContain('Add --comment "…"');
    expect(silent.sent).toEqual([]);
    const asked = serving(promoted, { isInteractive: true, ask: () => Promise.resolve("tickets") });
    expect(await run(["rollout", "reject", ID], asked.world)).toBe(0);
    expect(asked.sent).toMatchObject([{ body: { comment: "tickets" } }]);
  });

  it("that is refused ends with 1 and says what to do", async () => {
    const refused = {
      type: "t",
      title: "t",
      status: 409,
      detail: "It is completed.",
      code: "rollout_not_live",
      requestId: "r",
    };
    const fetch: World["fetch"] = (_, { method }) =>
      Promise.resolve(method === "GET" ? Response.json(sampleRollout()) : Response.json(refused, { status: 409 }));
    const { world, err } = serving(promoted, { fetch });
    expect(await run(["rollout", "rollback", ID], world)).toBe(1);
    expect(err()).toContain("rollout_not_live  It is completed.");
  });
});

describe("the checklist", () => {
  const checklist = [
    { item: "Dashboards are imported", by: "Ana", at: "2026-01-31T11:00:00.000Z" },
    { item: "Staging is signed", by: null, at: null },
  ];

  it("is ticked item by item, and shows who ticked what", async () => {
    const { world, out, sent } = serving(sampleRollout({ checklist }));
    expect(await run(["rollout", "tick", ID, "Dashboards are imported"], world)).toBe(0);
    expect(sent).toEqual([
      { path: `/api/v1/rollouts/${ID}/checklist`, body: { item: "Dashboards are imported", ticked: true } },
    ]);
    expect(out()).toBe("✓ Dashboards are imported  Ana\n○ Staging is signed\n");
  });

  it("can be unticked", async () => {
    const { world, sent } = serving(sampleRollout({ checklist }));
    await run(["rollout", "tick", ID, "Staging is signed", "--undo"], world);
    expect(sent).toMatchObject([{ body: { ticked: false } }]);
  });
});

describe("a gauge", () => {
  it("is posted to the environment", async () => {
    const { world, out, sent } = serving({
      environment: "production",
      metric: "score",
      value: -0.5,
      at: "2026-01-31T11:00:00.000Z",
    });
    expect(await run(["gauge", "post", "score", "--", "-0.5"], world)).toBe(0);
    expect(sent).toEqual([{ path: "/api/v1/environments/production/gauges", body: { metric: "score", value: -0.5 } }]);
    expect(out()).toBe("✓ score is -0.5 in production.\n");
  });
});
