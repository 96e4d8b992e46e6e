import { cp, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createSeededRandom, eventually, startServerProcess } from "@bunting/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { converge, createFlag, headOf, observe, sdkToken, setPercent, stepsBack } from "./observed-client.ts";

const SEED = Number(process.env.BUNTING_TEST_SEED ?? 20261121);

describe("kill -9 of the server in a loop under admin writes", () => {
  it(`keeps what it acknowledged and never takes an SDK back (seed ${SEED})`, { timeout: 240_000 }, async () => {
    const random = createSeededRandom(SEED);
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    for (let flag = 0; flag < 4; flag += 1) await createFlag(server, `flag-${flag}`);
    const clients = Array.from({ length: 20 }, () => observe({ url: server.url, token: sdkToken(server) }));
    onTestFinished(async () => void (await Promise.all(clients.map(({ flags }) => flags.close()))));
    await Promise.all(clients.map(({ flags }) => flags.ready({ timeoutMs: 20_000 })));

    /** Last percentage of each flag that a 200 confirmed, and those that were under way when the process died. */
    const acknowledged = new Map<string, number>();
    const inDoubt = new Map<string, Set<number>>();
    let highest = 0;
    let writes = 0;
    for (let round = 0; round < 6; round += 1) {
      const stopAfter = 5 + random.below(40);
      let count = 0;
      let dying: Promise<unknown> | undefined;
      const writers = Array.from({ length: 4 }, async (_, flag) => {
        const key = `flag-${flag}`;
        while (!dying) {
          const percent = random.below(101);
          const doubts = inDoubt.get(key) ?? new Set();
          inDoubt.set(key, doubts.add(percent));
          const response = await setPercent(server, key, percent).catch(() => null);
          if (response?.status !== 200) return;
          const { position } = (await response.json()) as { position: { revision: number } };
          acknowledged.set(key, percent);
          inDoubt.set(key, new Set());
          highest = Math.max(highest, position.revision);
          writes += 1;
          count += 1;
          if (count >= stopAfter) dying ??= server.kill();
        }
      });
      await Promise.all(writers);
      await Promise.resolve(dying);
      await server.restart();
      const head = await headOf(server);
      expect(head.revision).toBeGreaterThanOrEqual(highest);
      for (const [key, percent] of acknowledged) {
        const response = await server.request("GET", `/api/v1/environments/production/flags/${key}`);
        const { fallthrough } = (await response.json()) as { fallthrough: { split: { on: number } } };
        expect([percent, ...(inDoubt.get(key) ?? [])]).toContain(fallthrough.split.on);
        acknowledged.set(key, fallthrough.split.on);
        inDoubt.set(key, new Set());
      }
    }
    expect(writes).toBeGreaterThan(30);

    // Nobody writes any more: what was lost on the way must be found without the help of a later change.
    await converge(server, clients);
    const { epoch } = await headOf(server);
    for (const client of clients) {
      expect(stepsBack(client)).toEqual([]);
      expect(client.applied.every((position) => position.epoch === epoch)).toBe(true);
    }
    const verification = await server.request("GET", "/api/v1/audit/verify");
    expect(await verification.json()).toMatchObject({ intact: true, damagedRows: [] });
  });
});

describe("an old backup copied back under live SDKs", () => {
  it("begins a new epoch, and no SDK keeps a revision that the database does not have", {
    timeout: 120_000,
  }, async () => {
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    await createFlag(server, "restored", 10);
    const backup = await mkdtemp(path.join(os.tmpdir(), "bunting-backup-"));
    onTestFinished(() => rm(backup, { recursive: true }));
    await server.terminate();
    await cp(server.dataFolder, backup, { recursive: true });
    await server.restart();

    const clients = Array.from({ length: 5 }, () => observe({ url: server.url, token: sdkToken(server) }));
    onTestFinished(async () => void (await Promise.all(clients.map(({ flags }) => flags.close()))));
    await Promise.all(clients.map(({ flags }) => flags.ready({ timeoutMs: 20_000 })));
    for (const percent of [20, 30, 40]) expect((await setPercent(server, "restored", percent)).status).toBe(200);
    await converge(server, clients);
    const before = await headOf(server);

    // As an operator restores it: the database file comes from the backup, everything else stays as it is.
    await server.terminate();
    await cp(path.join(backup, "bunting.db"), path.join(server.dataFolder, "bunting.db"));
    for (const rest of ["bunting.db-wal", "bunting.db-shm"])
      await rm(path.join(server.dataFolder, rest), { force: true });
    await server.restart();

    const after = await headOf(server);
    expect(after.epoch).not.toBe(before.epoch);
    expect(after.revision).toBeGreaterThan(before.revision);
    await converge(server, clients);
    for (const client of clients) {
      expect(stepsBack(client)).toEqual([]);
      expect(client.flags.status().position).toEqual(after);
      const share = Array.from({ length: 2_000 }, (_, user) => client.flags.isEnabled("restored", `u-${user}`));
      expect(share.filter(Boolean).length).toBeLessThan(2_000 * 0.15);
    }
  });
});

describe("a server that is gone for a while", () => {
  it("is found again by every SDK", { timeout: 90_000 }, async () => {
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    await createFlag(server, "steady", 100);
    const client = observe({ url: server.url, token: sdkToken(server), staleAfterMs: 500 });
    onTestFinished(() => client.flags.close());
    await client.flags.ready();
    expect(client.flags.isEnabled("steady", "u-1")).toBe(true);

    await server.kill();
    const stale = await eventually(() => {
      const evaluation = client.flags.evaluate("steady", "u-1");
      return evaluation.reason === "STALE" && evaluation;
    });
    expect(stale).toMatchObject({ value: true, variant: "on" });
    expect(stale.ageMs).toBeGreaterThan(500);
    expect(client.flags.status()).toMatchObject({ stale: true, transport: "none" });

    await server.restart();
    await eventually(() => client.flags.status().state === "live", { withinMs: 40_000 });
    expect(client.flags.evaluate("steady", "u-1")).not.toMatchObject({ reason: "STALE" });
  });
});
