import { describe, expect, it } from "vitest";
import { run } from "./run.ts";
import { createTestWorld, samplePending, sampleReceipt, TOKEN } from "./test-world.ts";
import type { World } from "./world.ts";

const partly = (applied: number) =>
  sampleReceipt({
    connected: 3,
    applied,
    pendingCount: 3 - applied,
    complete: applied === 3,
    latencyMs: applied === 0 ? null : { p50: 5, p95: 9, p99: 9, max: 9 },
    pending: ["a", "b", "c"].slice(applied).map((name) => samplePending(name)),
  });
const change = (receipt: unknown) => ({
  environment: "production",
  flags: ["redis-readthrough"],
  position: { epoch: "e", revision: 318 },
  receipt,
});

/** Answers of the server one after the other, the last one for ever. An error is a lost connection. */
async function killing(answers: readonly (object | Error)[], differences: Partial<World> = {}, extra = "") {
  const asked: string[] = [];
  const bar: string[] = [];
  const rest = [...answers];
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN, BUNTING_ENVIRONMENT: "production" },
    fetch: (url, { method }) => {
      asked.push(`${method} ${new URL(url).pathname}`);
      const answer = rest.length > 1 ? rest.shift() : rest[0];
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(Response.json(answer));
    },
    progress: (total) => ({
      update: (done, message) => void bar.push(`${done}/${total}: ${message}`),
      end: () => void bar.push("end"),
    }),
    ...differences,
  });
  const exitCode = await run(`kill redis-readthrough --reason drill --wait 5 ${extra}`.trim().split(" "), world);
  return { exitCode, out: out(), err: err(), asked, bar };
}

describe("waiting for proof", () => {
  it("asks for the receipt of this very revision until everyone has applied it", async () => {
    const { exitCode, asked, out } = await killing([change(partly(0)), partly(1), partly(3)]);
    expect(exitCode).toBe(0);
    expect(asked).toEqual([
      "POST /api/v1/environments/production/flags/redis-readthrough/kill",
      "GET /api/v1/environments/production/receipts/318",
      "GET /api/v1/environments/production/receipts/318",
    ]);
    expect(out).toContain("3/3 instances applied, p50 5 ms, p99 9 ms, max 9 ms");
  });

  it("asks nothing more if the answer to the change is proof already", async () => {
    expect((await killing([change(partly(3))])).asked).toHaveLength(1);
  });

  it("gives up when the time is over, with the names of those that are missing", async () => {
    const { exitCode, out, err } = await killing([change(partly(0)), partly(2)]);
    expect(exitCode).toBe(5);
    expect(out).toMatch(/^c .*connected, silent/m);
    expect(err).toMatch(/not_all_applied {2}1 instance of 3 did not apply revision 318 within 5 s/);
  });

  it("fills a bar on a terminal, and takes it away", async () => {
    const stderr = { write: () => undefined, isTerminal: true, columns: 80, rows: 24 };
    const { bar } = await killing([change(partly(0)), partly(1), partly(3)], { stderr });
    expect(bar).toEqual(["0/3: 0/3 applied", "1/3: 1/3 applied", "3/3: 3/3 applied", "end"]);
  });

  it("takes the bar away as well if a defect ends it", async () => {
    const bar: string[] = [];
    const stderr = { write: () => undefined, isTerminal: true, columns: 80, rows: 24 };
    const progress = () => ({ update: () => undefined, end: () => void bar.push("end") });
    const sleep = () => Promise.reject(new TypeError("defect"));
    await expect(killing([change(partly(0))], { stderr, progress, sleep })).rejects.toThrow("defect");
    expect(bar).toEqual(["end"]);
  });

  it("prints lines elsewhere, at most one a second, and none for a program", async () => {
    const answers = [change(partly(0)), ...Array<object>(4).fill(partly(1)), partly(2), partly(3)];
    const lines = (await killing(answers)).err.split("\n").filter((line) => line.includes("instances applied"));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThanOrEqual(2);
    expect((await killing(answers, {}, "--json")).err).toBe("");
  });

  it("does not call the change undone if the server is lost meanwhile", async () => {
    const { exitCode, out, err } = await killing([change(partly(1)), new TypeError("fetch failed")]);
    expect(exitCode).toBe(5);
    expect(out).toContain("✓ Killed redis-readthrough");
    expect(out).toContain("1/3 instances applied");
    expect(err).toContain("Lost sight of the receipt");
    expect(err).toContain("The change itself is made.");
  });

  it("ends with 5 if the server keeps no receipt of the change any more", async () => {
    const { exitCode, err } = await killing([change(null)]);
    expect(exitCode).toBe(5);
    expect(err).toContain("no longer keeps its receipt");
  });

  it("has nothing to wait for if everything named was killed already", async () => {
    const { exitCode, out } = await killing([{ ...change(null), flags: [] }], {}, "other");
    expect(exitCode).toBe(0);
    expect(out).toContain("They were killed already in production");
  });
});

describe("a reason", () => {
  it("is asked for where somebody can answer, and sent without blanks around it", async () => {
    const sent: unknown[] = [];
    const { world } = createTestWorld({
      env: { BUNTING_TOKEN: TOKEN },
      isInteractive: true,
      ask: () => Promise.resolve("  p99 at 4 s "),
      fetch: (_, { body }) => {
        sent.push(JSON.parse(body ?? ""));
        return Promise.resolve(Response.json(change(partly(3))));
      },
    });
    expect(await run(["kill", "redis-readthrough"], world)).toBe(0);
    expect(sent).toEqual([{ reason: "p99 at 4 s" }]);
  });
});
