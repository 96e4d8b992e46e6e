import type { ConfigurationView, RolloutState, RolloutView } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, sampleConfiguration, sampleFlag, sampleRollout, TOKEN } from "../test-world.ts";

const CONFIGURATION = "/api/v1/environments/production/flags/redis-readthrough";
const mismatch = Response.json(
  { type: "t", title: "t", status: 412, detail: "d", code: "version_mismatch", requestId: "r-1" },
  { status: 412 },
);

/** A server whose configuration is first the one, then the other. */
function serving(states: readonly ConfigurationView[], write: Response, rollouts: readonly RolloutView[] = []) {
  const sent: { method: string | undefined; ifMatch: string | undefined; body: unknown }[] = [];
  const rest = [...states];
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN, BUNTING_ENVIRONMENT: "production" },
    readFile: (path) => (path === "old.json" ? JSON.stringify(sampleConfiguration({ version: 7 })) : undefined),
    fetch: (url, { method, headers, body }) => {
      const { pathname } = new URL(url);
      if (method !== "GET") {
        const ifMatch = (headers as Record<string, string>)["if-match"];
        sent.push({ method, ifMatch, body: JSON.parse(body ?? "") });
        return Promise.resolve(write.clone());
      }
      if (pathname === "/api/v1/flags/redis-readthrough") return Promise.resolve(Response.json(sampleFlag()));
      if (pathname === "/api/v1/audit") return Promise.resolve(Response.json({ items: [entry], nextCursor: null }));
      if (pathname === `${CONFIGURATION}/rollouts`)
        return Promise.resolve(Response.json({ items: rollouts, nextCursor: null }));
      expect(pathname).toBe(CONFIGURATION);
      const state = rest.length > 1 ? rest.shift() : rest[0];
      return Promise.resolve(Response.json(state, { headers: { etag: `"${state?.version}"` } }));
    },
  });
  return { world, out, err, sent };
}

const entry = {
  number: 9,
  at: "2026-01-31T11:58:00.000Z",
  actor: { token: "t", kind: "admin", name: "Grace" },
  action: "patch_configuration",
  object: { kind: "configuration", key: "redis-readthrough", environment: "production" },
  before: null,
  after: null,
  revisions: { production: 319 },
  reason: null,
  requestId: "r",
  previousHash: "a",
  hash: "b",
};

const read = sampleConfiguration({ version: 12 });
const theirs = sampleConfiguration({ version: 13, fallthrough: { split: { on: 60, off: 40 } } });

describe("flag set", () => {
  it("sends a merge patch on condition that nobody changed what was read", async () => {
    const made = sampleConfiguration({ version: 13, fallthrough: { split: { on: 50, off: 50 } } });
    const { world, sent, out } = serving([read], Response.json(made));
    expect(await run(["flag", "set", "redis-readthrough", "--on", "50"], world)).toBe(0);
    expect(sent).toEqual([{ method: "PATCH", ifMatch: '"12"', body: { fallthrough: { split: { on: 50, off: 50 } } } }]);
    expect(out()).toContain("on 25 %  off 75 %");
    expect(out()).toContain("on 50 %  off 50 %");
  });

  it.each<[RolloutState, boolean]>([
    ["running", true],
    ["paused", true],
    ["awaiting_approval", true],
    ["pending", false],
    ["completed", false],
    ["aborted", false],
  ])("says whether a rollout that is %s stands down for it: %s", async (state, standsDown) => {
    const made = sampleConfiguration({ version: 13, fallthrough: { split: { on: 50, off: 50 } } });
    const { world, out } = serving([read], Response.json(made), [sampleRollout({ state })]);
    expect(await run(["flag", "set", "redis-readthrough", "--on", "50"], world)).toBe(0);
    expect(out().includes("Rollout ro-5f1c09a27be4, which was at 25 %, stands down")).toBe(standsDown);
  });

  it("disturbs no rollout by what changes nothing", async () => {
    const { world, out } = serving([read], Response.json(read), [sampleRollout()]);
    expect(await run(["flag", "set", "redis-readthrough", "--on", "25"], world)).toBe(0);
    expect(out()).not.toContain("stands down");
  });

  it("shows what somebody else changed in between, and who", async () => {
    const { world, out, err } = serving([read, theirs], mismatch);
    expect(await run(["flag", "set", "redis-readthrough", "--on", "50"], world)).toBe(1);
    expect(out()).toBe("");
    expect(err()).toContain("- ████████░░░░░░░░░░░░░░░░░░░░░░  on 25 %  off 75 %");
    expect(err()).toContain("+ ██████████████████░░░░░░░░░░░░  on 60 %  off 40 %");
    expect(err()).toContain(
      'changed by Grace at 2026-01-31 11:58:00 UTC (patch_configuration): it has version 13, yours is from "12"',
    );
  });

  it("takes the version in a file for the one that was read", async () => {
    const { world, sent, err } = serving([read], mismatch);
    expect(await run(["flag", "set", "redis-readthrough", "--file", "old.json"], world)).toBe(1);
    expect(sent).toMatchObject([{ method: "PUT", ifMatch: '"7"', body: { version: 7, offVariant: "off" } }]);
    expect(err()).toContain('it has version 12, yours is from "7"');
  });

  it("does not mix a file with other changes", async () => {
    const { world, sent } = serving([read], mismatch);
    expect(await run(["flag", "set", "redis-readthrough", "--file", "old.json", "--on", "5"], world)).toBe(2);
    expect(sent).toEqual([]);
  });
});
