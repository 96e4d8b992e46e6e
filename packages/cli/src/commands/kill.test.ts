import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, sampleConfiguration, samplePending, sampleReceipt, TOKEN } from "../test-world.ts";

const CONFIGURATION = "/api/v1/environments/production/flags/redis-readthrough";
const MARK = { by: "Grace", at: "2026-01-31T02:50:00.000Z", reason: "p99 at 4 s" };

/** A server that refuses to kill the flag a second time. */
function killedAlready(receipt: object | undefined, killed: object | null = MARK) {
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    fetch: (url, { method }) => {
      const { pathname } = new URL(url);
      if (method === "POST") return Promise.resolve(refused("flag_killed", 409));
      if (pathname === CONFIGURATION) return Promise.resolve(Response.json(sampleConfiguration({ killed })));
      expect(pathname).toBe("/api/v1/environments/production/receipts/318");
      return Promise.resolve(receipt ? Response.json(receipt) : refused("receipt_not_found", 404));
    },
  });
  return { world, out, err };
}

function refused(code: string, status: number): Response {
  return Response.json(
    { type: "t", title: "t", status, detail: "redis-readthrough …", code, requestId: "r" },
    { status },
  );
}

const kill = ["kill", "redis-readthrough", "--reason", "p99", "--wait", "1"];

describe("killing what is killed already", () => {
  it("is no error, says who did it why, and proves that it is applied", async () => {
    const { world, out } = killedAlready(sampleReceipt());
    expect(await run(kill, world)).toBe(0);
    expect(out()).toMatch(
      /^✓ redis-readthrough was killed already in production, by Grace at 2026-01-31 02:50:00 UTC: p99 at 4 s\n2,413\/2,413/,
    );
  });

  it("ends with 5 as long as an instance has not applied it", async () => {
    const pending = { applied: 2412, pendingCount: 1, pending: [samplePending("web-7")], complete: false };
    const { world, out, err } = killedAlready(sampleReceipt(pending));
    expect(await run(kill, world)).toBe(5);
    expect(out()).toContain("web-7");
    expect(err()).toContain("not_all_applied");
  });

  it("ends with 5 where the server keeps no receipt any more", async () => {
    const { world, err } = killedAlready(undefined);
    expect(await run(kill, world)).toBe(5);
    expect(err()).toContain("no longer keeps its receipt");
  });

  it("asks for no proof without --wait", async () => {
    const { world, out } = killedAlready(undefined);
    expect(await run(kill.slice(0, 4), world)).toBe(0);
    expect(out()).toContain("Add --wait for proof");
  });

  it("is refused if somebody restored it meanwhile", async () => {
    const { world, err } = killedAlready(sampleReceipt(), null);
    expect(await run(kill, world)).toBe(1);
    expect(err()).toContain("flag_killed");
  });
});

describe("restoring", () => {
  it("says where to look at who gets what, and that a rollout does not go on by itself", async () => {
    const { world, out } = createTestWorld({
      env: { BUNTING_TOKEN: TOKEN },
      fetch: () =>
        Promise.resolve(
          Response.json({
            environment: "production",
            flags: ["redis-readthrough"],
            position: { epoch: "e", revision: 319 },
            receipt: null,
          }),
        ),
    });
    expect(await run(["restore", "redis-readthrough", "--reason", "fixed"], world)).toBe(0);
    expect(out()).toContain("Restored redis-readthrough in production, revision 319.");
    expect(out()).toContain("bunting flag show redis-readthrough --env production");
    expect(out()).toContain("A rollout that the kill ended stays ended.");
  });
});
