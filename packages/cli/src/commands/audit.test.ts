import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, TOKEN } from "../test-world.ts";

async function verifying(differences: object, ...options: string[]) {
  const result = { entries: 41, head: "ab".repeat(32), intact: true, brokenAt: null, damagedRows: [], ...differences };
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    fetch: () => Promise.resolve(Response.json(result)),
  });
  return { exitCode: await run(["audit", "verify", ...options], world), out: out(), err: err() };
}

describe("audit verify", () => {
  it("ends with 0 and the head if everything fits", async () => {
    const { exitCode, out } = await verifying({});
    expect(exitCode).toBe(0);
    expect(out).toContain("41 entries");
    expect(out).toContain("ab".repeat(32));
  });

  it("ends with 1 and the first entry that does not fit", async () => {
    const { exitCode, out, err } = await verifying({ intact: false, brokenAt: 17 });
    expect(exitCode).toBe(1);
    expect(out).toContain("broken at entry 17");
    expect(err).toContain("audit_broken  Entry 17 does not follow");
  });

  it("ends with 1 for a damaged document although the chain is intact, in JSON as well", async () => {
    const damagedRows = [{ table: "flags", key: "redis-readthrough" }];
    expect((await verifying({ intact: false, damagedRows })).out).toContain("damaged: flags redis-readthrough");
    const { exitCode, out, err } = await verifying({ damagedRows }, "--json");
    expect(exitCode).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ damagedRows });
    expect(JSON.parse(err)).toMatchObject({ error: { code: "audit_broken" } });
  });
});
