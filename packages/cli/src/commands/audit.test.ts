import { ReadableStream } from "node:stream/web";
import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, TOKEN } from "../test-world.ts";
import type { World } from "../world.ts";

const PROGRESS = [0, 0, 20, 40].map((checked) => ({ progress: { checked, entries: 41 } }));

async function verifying(differences: object, options: readonly string[] = [], differentWorld: Partial<World> = {}) {
  const result = { entries: 41, head: "ab".repeat(32), intact: true, brokenAt: null, damagedRows: [], ...differences };
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    fetch: () => Promise.resolve(linesOf([...PROGRESS, { result }])),
    ...differentWorld,
  });
  return { exitCode: await run(["audit", "verify", ...options], world), out: out(), err: err() };
}

/** Cut where nobody expects it. */
function linesOf(values: readonly object[]): Response {
  const text = values.map((value) => `${JSON.stringify(value)}\n`).join("");
  const bytes = new TextEncoder().encode(text);
  return new Response(ReadableStream.from([bytes.slice(0, 7), bytes.slice(7, 99), bytes.slice(99)]));
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
    const { exitCode, out, err } = await verifying({ damagedRows }, ["--json"]);
    expect(exitCode).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ damagedRows });
    expect(JSON.parse(err)).toMatchObject({ error: { code: "audit_broken" } });
  });

  it("shows on a terminal how far it is, and nothing of that to pipes and programs", async () => {
    const drawn: string[] = [];
    const progress: World["progress"] = (total) => ({
      update: (done, message) => void drawn.push(`${done}/${total} ${message}`),
      end: () => void drawn.push("end"),
    });
    const stderr = { write: () => undefined, isTerminal: true, columns: 100, rows: 40 };
    await verifying({}, [], { progress, stderr });
    const documents = "0/41 stored documents";
    expect(drawn).toEqual([documents, documents, "20/41 20/41 entries", "40/41 40/41 entries", "end"]);

    drawn.length = 0;
    await verifying({}, ["--json"], { progress, stderr });
    expect((await verifying({}, [], { progress })).err).toBe("");
    expect(drawn).toEqual([]);
  });

  it("is not fooled by an answer that breaks off: nothing is intact before the end", async () => {
    const { exitCode, out, err } = await verifying({}, [], { fetch: () => Promise.resolve(linesOf(PROGRESS)) });
    expect({ exitCode, out }).toEqual({ exitCode: 3, out: "" });
    expect(err).toContain("before the audit was walked to its end");
  });
});
