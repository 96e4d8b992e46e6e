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
import type { Produced, ServiceEntry } from "./evidence-service.ts";
import { evidenceOf, exposuresOf, report, totals } from "./evidence-totals.ts";
import { sdkToken } from "./observed-client.ts";

const SEED = Number(process.env.BUNTING_TEST_SEED ?? 20261122);
const ROOT = path.resolve(import.meta.dirname, "../..");
const FLAG = "exact";

/** One life of one application process. */
interface Life {
  readonly child: Child;
  readonly journal: string;
}

interface Journal {
  /** Each once, in the order of their sequences. */
  readonly batches: readonly TelemetryBatch[];
  /** Batches that went out more than once. */
  readonly resentCount: number;
  /** The last sequence that was acknowledged on a stream; 0 if none was. */
  readonly acknowledged: number;
  /** Null: it was killed. */
  readonly produced: Produced | null;
}

describe("TE-40 TE-100 what applications produce is what the server counts", () => {
  it(`with kill -9 of the server and of the SDK's own process (seed ${SEED})`, { timeout: 240_000 }, async () => {
    const random = createSeededRandom(SEED);
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    const folder = await mkdtemp(path.join(os.tmpdir(), "bunting-sdk-exact-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const rollout = await startRollout(server);

    const lives: Life[] = [];
    const live = async (instance: number): Promise<Life> => {
      const journal = path.join(folder, `${instance}-${lives.length}.jsonl`);
      const orders = { url: server.url, token: sdkToken(server), journal, flag: FLAG, instance: `shop-${instance}` };
      const child = await startChild({
        command: process.execPath,
        args: [
          "--conditions=@bunting/source",
          "--import",
          "tsx",
          "test/e2e/evidence-service.ts",
          JSON.stringify({ ...orders, seed: random.below(2 ** 31) }),
        ],
        cwd: ROOT,
      });
      onTestFinished(() => void child.end("SIGKILL"));
      const life = { child, journal };
      lives.push(life);
      return life;
    };

    let running = await Promise.all([0, 1].map(live));
    const more = async (count: number): Promise<void> => {
      const before = await Promise.all(running.map(batchCount));
      await eventually(
        async () =>
          (await Promise.all(running.map(batchCount))).every((now, index) => now >= (before[index] ?? 0) + count),
        { withinMs: 60_000, what: `everybody to report ${count} times more` },
      );
    };
    for (let round = 0; round < 6; round += 1) {
      await more(2 + random.below(2));
      // At no agreed moment: batches are under way, and neither side says goodbye.
      if (round % 2 === 0) {
        // Once as it comes; then with a batch under way. A process that has one sends no other, so one sent before the
        // server was suspended serves as well as one sent after.
        if (round > 0) {
          server.suspend();
          await eventually(async () => (await Promise.all(running.map(isWaiting))).includes(true), {
            withinMs: 60_000,
            what: "somebody to wait for a server that does not answer",
          });
        }
        await server.restart();
      } else {
        const victim = random.below(running.length);
        await running[victim]?.child.end("SIGKILL");
        const reborn = await live(victim);
        running = running.map((life, index) => (index === victim ? reborn : life));
      }
    }
    await more(2);
    const ends = await Promise.all(running.map(({ child }) => child.end("SIGTERM")));
    const printed = running.map(({ child }) => child.output()).join("");
    expect({ ends, printed }).toMatchObject({ ends: ends.map(() => ({ code: 0, signal: null })) });

    const durable: TelemetryBatch[] = [];
    let resentCount = 0;
    for (const { journal } of lives) {
      const { batches, resentCount: resent, produced } = await readJournal(journal);
      resentCount += resent;
      const [first] = batches;
      if (!first) continue;
      expect(batches.map(({ sequence }) => sequence)).toEqual(batches.map((_, index) => index + 1));
      // The first batch once more: it counts if it never arrived, and else says what is durable.
      const stored = await report(server, first);
      // Of a killed process all but the batch that was under way: the next is made when the one before is durable.
      expect(batches.length - stored).toBeLessThanOrEqual(produced === null ? 1 : 0);
      if (produced !== null) expect(countedIn(batches)).toEqual(produced);
      durable.push(...batches.slice(0, stored));
    }
    expect(resentCount, "batches that a restart found under way").toBeGreaterThan(0);
    expect(durable.length).toBeGreaterThan(30);
    const expected = totals(durable.flatMap(({ evidence = [] }) => evidence));
    expect(totals(await evidenceOf(server, rollout))).toEqual(expected);
    expect(await exposuresOf(server, FLAG)).toEqual({
      on: expected["on exposureCount"],
      off: expected["off exposureCount"],
    });
    expect(durable.map(({ dropped = 0, evidenceDropped = 0 }) => dropped + evidenceDropped)).toEqual(
      durable.map(() => 0),
    );
  });
});

async function startRollout(server: ServerProcess): Promise<string> {
  const made = await server.request("POST", "/api/v1/flags", { key: FLAG });
  expect(made.status).toBe(201);
  const plan = {
    canary: "on",
    control: "off",
    stages: [{ percent: 50 }, { percent: 100 }],
    guardrails: [{ metric: "conversion", kind: "ratio", min: 0.01, onFail: "alert" }],
  };
  const created = await server.request("POST", `/api/v1/environments/production/flags/${FLAG}/rollouts`, plan);
  expect(created.status).toBe(201);
  const { id } = (await created.json()) as { id: string };
  const started = await server.request("POST", `/api/v1/rollouts/${id}/start`, { comment: "counts" });
  expect(started.status).toBe(200);
  return id;
}

/** In the application's own words. */
function countedIn(batches: readonly TelemetryBatch[]): Produced {
  const counted: Record<string, Record<"exposures" | "outcomes" | "errors" | "events", number>> = {};
  for (const { variant, exposureCount, outcomeCount, errorCount, metrics } of batches.flatMap(
    ({ evidence = [] }) => evidence,
  )) {
    counted[variant] ??= { exposures: 0, outcomes: 0, errors: 0, events: 0 };
    const counts = counted[variant];
    counts.exposures += exposureCount;
    counts.outcomes += outcomeCount;
    counts.errors += errorCount;
    counts.events += metrics?.["conversion" as keyof typeof metrics]?.eventCount ?? 0;
  }
  return counted;
}

/** Whether its last batch has not been acknowledged. */
async function isWaiting({ journal }: Life): Promise<boolean> {
  const { batches, acknowledged } = await readJournal(journal);
  return (batches.at(-1)?.sequence ?? 0) > acknowledged;
}

async function batchCount({ journal }: Life): Promise<number> {
  return (await readJournal(journal)).batches.length;
}

async function readJournal(file: string): Promise<Journal> {
  if (!existsSync(file)) return { batches: [], resentCount: 0, acknowledged: 0, produced: null };
  const lines = (await readFile(file, "utf8")).split("\n").slice(0, -1);
  const entries = lines.map((line) => JSON.parse(line) as ServiceEntry);
  const sent = entries.flatMap((entry) => ("batch" in entry ? [entry.batch] : []));
  const batches = [...new Map(sent.map((batch) => [batch.sequence, batch])).values()];
  const acknowledged = entries.flatMap((entry) => ("acknowledged" in entry ? [entry.acknowledged] : [])).at(-1) ?? 0;
  const produced = entries.flatMap((entry) => ("produced" in entry ? [entry.produced] : [])).at(-1) ?? null;
  return { batches, resentCount: sent.length - batches.length, acknowledged, produced };
}
