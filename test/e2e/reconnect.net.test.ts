import { describe, expect, it } from "vitest";
import type { Applied } from "./observed-client.ts";
import { runStorm } from "./reconnect-storm.ts";

const SEED = Number(process.env.BUNTING_TEST_SEED ?? 20261121);

/**
 * Where a client passed over a revision, took one twice or went back. From where it joined, the stream brings every single
 * revision in order; polling fetches the whole state, so there only going back is wrong.
 */
function jumps(applied: readonly Applied[]): readonly string[] {
  return applied.flatMap(({ revision, transport }, index) => {
    const before = applied[index - 1]?.revision;
    if (before === undefined || revision === before + 1) return [];
    return transport === "poll" && revision > before ? [] : [`${before} -> ${revision} (${transport})`];
  });
}

describe("1,500 random disconnects while flags change", () => {
  it(`loses, repeats and reorders nothing (seed ${SEED})`, { timeout: 180_000 }, async () => {
    const plan = {
      seed: SEED,
      proxyCount: 50,
      clientsPerProxy: 10,
      resetsPerProxy: 3,
      calmMs: 5_200,
      changesPerSecond: 5,
    };
    await runStorm(plan, ({ clients, disconnects, written, largestBacklogAfterQuiet }) => {
      expect(disconnects).toBeGreaterThanOrEqual(1_400);
      expect(written.length).toBeGreaterThan(20);
      for (const { applied, flags } of clients) {
        expect(jumps(applied)).toEqual([]);
        expect(applied.at(-1)?.revision).toBe(written.at(-1));
        expect(flags.status().counters).toMatchObject({ resyncs: 0, malformed: 0, refused: 0 });
      }
      expect(largestBacklogAfterQuiet).toBeLessThanOrEqual(5);
    });
  });
});
