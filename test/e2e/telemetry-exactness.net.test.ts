import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { TelemetryBatch } from "@bunting/contracts";
import {
  type Child,
  createSeededRandom,
  eventually,
  type ServerProcess,
  startChild,
  startServerProcess,
} from "@bunting/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import type { JournalEntry } from "./evidence-generator.ts";
import { evidenceOf, exposuresOf, report, totals } from "./evidence-totals.ts";
import { sdkToken } from "./observed-client.ts";

const SEED = Number(process.env.BUNTING_TEST_SEED ?? 20261121);
const ROOT = path.resolve(import.meta.dirname, "../..");

/** One life of one reporting process. */
interface Life {
  readonly child: Child;
  readonly journal: string;
}

interface Journal {
  readonly batches: readonly TelemetryBatch[];
  readonly acknowledged: number;
}

describe("TE-100 totals are exact", () => {
  it(`with 30 % of batches lost, doubled and reordered, and kill -9 on both sides (seed ${SEED})`, {
    timeout: 240_000,
  }, async () => {
    const random = createSeededRandom(SEED);
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    const folder = await mkdtemp(path.join(os.tmpdir(), "bunting-exact-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const rollout = await createRollout(server);

    const lives: Life[] = [];
    const live = async (instance: number): Promise<Life> => {
      const journal = path.join(folder, `${instance}-${lives.length}.jsonl`);
      const orders = {
        url: server.url,
        token: sdkToken(server),
        journal,
        rollout,
        instance: `shop-${instance}`,
        boot: `boot-${lives.length}`,
        seed: random.below(2 ** 31),
      };
      const child = await startChild({
        command: process.execPath,
        args: [
          "--conditions=@bunting/source",
          "--import",
          "tsx",
          "test/e2e/evidence-generator.ts",
          JSON.stringify(orders),
        ],
        cwd: ROOT,
      });
      onTestFinished(() => void child.end("SIGKILL"));
      const life = { child, journal };
      lives.push(life);
      return life;
    };

    let running = await Promise.all([0, 1, 2].map(live));
    for (let round = 0; round < 4; round += 1) {
      const before = await acknowledgedBy(lives);
      await eventually(async () => (await acknowledgedBy(lives)) >= before + 20 + random.below(20), {
        withinMs: 60_000,
        what: "batches to be acknowledged",
      });
      // At no agreed moment: batches are under way on both sides.
      if (round % 2 === 0) await server.restart();
      else {
        const victim = random.below(running.length);
        await running[victim]?.child.end("SIGKILL");
        const reborn = await live(victim);
        running = running.map((life, index) => (index === victim ? reborn : life));
      }
    }
    await eventually(
      async () => (await Promise.all(running.map((life) => acknowledgedBy([life])))).every((count) => count > 2),
      {
        withinMs: 60_000,
        what: "everyone to have been heard",
      },
    );
    const ends = await Promise.all(running.map(({ child }) => child.end("SIGTERM")));
    const printed = running.map(({ child }) => child.output()).join("");
    expect({ ends, printed }).toMatchObject({ ends: ends.map(() => ({ code: 0, signal: null })) });

    // What is durable of each life: no less than it was told, and of what it wrote down.
    const durable: TelemetryBatch[] = [];
    for (const { journal } of lives) {
      const { batches, acknowledged } = await readJournal(journal);
      const [first] = batches;
      if (!first) continue;
      // The first batch once more: it counts if it never arrived, and else says what is durable.
      const stored = await report(server, first);
      expect(stored).toBeGreaterThanOrEqual(acknowledged);
      expect(stored).toBeLessThanOrEqual(batches.length);
      durable.push(...batches.slice(0, stored));
    }
    expect(durable.length).toBeGreaterThan(80);
    const expected = totals(durable.flatMap(({ evidence = [] }) => evidence));
    expect(totals(await evidenceOf(server, rollout))).toEqual(expected);

    // Everything again, from the first batch on, changes nothing.
    for (const batch of durable) await report(server, batch);
    expect(totals(await evidenceOf(server, rollout))).toEqual(expected);
    expect(await exposuresOf(server, "exact")).toEqual({
      on: expected["on exposureCount"],
      off: expected["off exposureCount"],
    });
    expect(await shownExposures(server, rollout)).toEqual(await exposuresOf(server, "exact"));
  });
});

async function createRollout(server: ServerProcess): Promise<string> {
  const made = await server.request("POST", "/api/v1/flags", { key: "exact" });
  expect(made.status).toBe(201);
  const plan = { canary: "on", control: "off", stages: [{ percent: 5 }, { percent: 50 }] };
  const created = await server.request("POST", "/api/v1/environments/production/flags/exact/rollouts", plan);
  expect(created.status).toBe(201);
  const { id } = (await created.json()) as { id: string };
  // Evidence of both stages is reported, and only of what was served it is taken.
  for (const command of ["start", "promote"]) {
    const answer = await server.request("POST", `/api/v1/rollouts/${id}/${command}`, { comment: "to be counted" });
    expect(answer.status).toBe(200);
  }
  return id;
}

/** The same from the series of hours. */
async function shownExposures(server: ServerProcess, rollout: string): Promise<Record<string, number>> {
  const response = await server.request("GET", `/api/v1/rollouts/${rollout}/metrics?resolution=1h`);
  const { variants } = (await response.json()) as { variants: Record<string, { total: { exposureCount: number } }> };
  return Object.fromEntries(Object.entries(variants).map(([variant, { total }]) => [variant, total.exposureCount]));
}

async function acknowledgedBy(lives: readonly Life[]): Promise<number> {
  const journals = await Promise.all(lives.map(({ journal }) => readJournal(journal)));
  return journals.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
}

async function readJournal(file: string): Promise<Journal> {
  if (!existsSync(file)) return { batches: [], acknowledged: 0 };
  const lines = (await readFile(file, "utf8")).split("\n").slice(0, -1);
  const entries = lines.map((line) => JSON.parse(line) as JournalEntry);
  const batches = entries.flatMap((entry) => ("batch" in entry ? [entry.batch] : []));
  const acknowledged = entries.flatMap((entry) => ("acknowledged" in entry ? [entry.acknowledged] : []));
  return { batches, acknowledged: acknowledged.at(-1) ?? 0 };
}
