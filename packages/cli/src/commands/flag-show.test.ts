import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, sampleConfiguration, sampleFlag, TOKEN } from "../test-world.ts";

const ENVIRONMENT = {
  key: "production",
  name: "Production",
  createdAt: "2026-01-01T00:00:00.000Z",
  archivedAt: null,
  position: { epoch: "e", revision: 318 },
  checksum: "000000000000",
  flagCount: 1,
  connectedInstances: 3,
};

async function shown(differences: object) {
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    fetch: (url) => Promise.resolve(answers(sampleFlag(differences))[new URL(url).pathname] ?? MISSING.clone()),
  });
  const code = await run(["flag", "show", "redis-readthrough"], world);
  expect({ code, err: err() }).toMatchObject({ code: 0 });
  return out();
}

const MISSING = Response.json(
  { type: "t", title: "t", status: 404, detail: "d", code: "not_found", requestId: "r" },
  { status: 404 },
);

function answers(flag: object): Record<string, Response> {
  return {
    "/api/v1/flags/redis-readthrough": Response.json(flag),
    "/api/v1/environments": Response.json({ items: [ENVIRONMENT], nextCursor: null }),
    "/api/v1/environments/production/flags/redis-readthrough": Response.json(sampleConfiguration()),
  };
}

describe("flag show", () => {
  it("shows who gets what where the flag is served", async () => {
    expect(await shown({})).toContain("on 25 %");
  });

  it("shows no allocation of an archived flag, for nobody is served it", async () => {
    const out = await shown({ archivedAt: "2026-01-31T11:00:00.000Z" });
    expect(out).toContain("Nobody is served it");
    expect(out).not.toContain("production");
  });
});
