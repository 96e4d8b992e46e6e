import { describe, expect, it } from "vitest";
import { pickRollout } from "./rollout-reference.ts";
import { run } from "./run.ts";
import { createTestWorld, sampleRollout, TOKEN } from "./test-world.ts";

const problem = (code: string) =>
  Response.json({ type: "t", title: "t", status: 404, detail: "d", code, requestId: "r" }, { status: 404 });

/** A server that knows no rollout of that id, and these of the flag. */
function serving(ofFlag: Response) {
  const asked: string[] = [];
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN, BUNTING_ENVIRONMENT: "production" },
    fetch: (url) => {
      const { pathname } = new URL(url);
      asked.push(pathname);
      if (pathname.endsWith("/flags/redis-readthrough/rollouts")) return Promise.resolve(ofFlag.clone());
      if (pathname.endsWith("/decisions")) return Promise.resolve(Response.json({ items: [], nextCursor: null }));
      if (pathname.endsWith("/ro-5f1c09a27be4")) return Promise.resolve(Response.json(sampleRollout()));
      return Promise.resolve(problem("rollout_not_found"));
    },
  });
  return { world, out, err, asked };
}

describe("a rollout is named", () => {
  it("by its id, or by the flag that it is of", async () => {
    const page = Response.json({ items: [sampleRollout()], nextCursor: null });
    const byFlag = serving(page);
    expect(await run(["rollout", "status", "redis-readthrough"], byFlag.world)).toBe(0);
    const byId = serving(page);
    expect(await run(["rollout", "status", "ro-5f1c09a27be4"], byId.world)).toBe(0);
    expect(byFlag.out()).toBe(byId.out());
    expect(byId.asked.some((path) => path.includes("/flags/"))).toBe(false);
  });

  it("in vain where neither is there, with one word about both", async () => {
    for (const answer of [problem("flag_not_found"), Response.json({ items: [], nextCursor: null })]) {
      const { world, err } = serving(answer);
      expect(await run(["rollout", "status", "redis-readthrough"], world)).toBe(1);
      expect(err()).toContain("rollout_not_found");
      expect(err()).toContain("bunting rollout list");
    }
  });
});

it("of several on a flag, the one that has not ended is meant; else the newest", () => {
  const at = (day: number, state: string) =>
    sampleRollout({ id: `ro-${day}`, state, createdAt: `2026-01-0${day}T00:00:00.000Z` });
  expect(pickRollout([at(1, "completed"), at(3, "aborted"), at(2, "paused")])?.id).toBe("ro-2");
  expect(pickRollout([at(1, "completed"), at(3, "aborted"), at(2, "rolled_back")])?.id).toBe("ro-3");
  expect(pickRollout([])).toBeUndefined();
});
