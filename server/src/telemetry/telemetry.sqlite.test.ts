import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { EnvironmentKey, Flag, FlagKey, TelemetryBatch } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import Database from "better-sqlite3";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { aCell } from "../evidence/evidence-rig.ts";
import { createLogger } from "../ops/log.ts";
import { MINUTE_MS } from "./merge.ts";
import { openTelemetry, type Telemetry, type TelemetryAnswer } from "./telemetry.ts";

const production = "production" as EnvironmentKey;
const staging = "staging" as EnvironmentKey;
const flag = "redis" as FlagKey;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

let folder = "";
let file = "";
let open: Telemetry[] = [];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "bunting-telemetry-"));
  file = path.join(folder, "telemetry.db");
  open = [];
});

afterEach(() => {
  for (const telemetry of open) telemetry.close();
  rmSync(folder, { recursive: true });
});

function start(time = createFakeTime(Date.UTC(2026, 0, 1, 12))) {
  const log: string[] = [];
  const flags = new Map([[flag, aFlag("on", "off")]]);
  const registry = new Registry();
  const telemetry = openTelemetry({
    file,
    state: () => ({ flags }),
    rollout: () => undefined,
    clock: time.clock,
    scheduler: time.scheduler,
    logger: createLogger("debug", (line) => log.push(line)),
    registry,
  });
  open.push(telemetry);
  return { telemetry, time, log, registry, flags };
}

const aFlag = (...variants: string[]): Flag =>
  ({ variants: Object.fromEntries(variants.map((variant) => [variant, {}])), retiredVariants: {} }) as unknown as Flag;

const batch = (sequence: number, more: Partial<TelemetryBatch> = {}): TelemetryBatch => ({
  instance: "i",
  boot: "b",
  sequence,
  from: 0,
  to: 0,
  ageMs: 0,
  cells: [{ flag, variant: "on", exposures: 1 }],
  ...more,
});

const stored = (sequence: number): TelemetryAnswer => ({ type: "stored", sequence });

describe("TE-3 an answer comes after the commit", () => {
  it("and not before, and what was answered is there after a restart", async () => {
    const { telemetry, time } = start();
    let answer: TelemetryAnswer | undefined;
    const recorded = telemetry.record(production, batch(1)).then((given) => (answer = given));
    await time.advanceAsync(10);
    expect(answer).toBeUndefined();
    expect(telemetry.lastSequence(production, "i", "b")).toBe(0);
    await time.advanceAsync(20);
    await recorded;
    expect(answer).toEqual(stored(1));
    telemetry.close();
    const { telemetry: reopened } = start();
    expect(reopened.lastSequence(production, "i", "b")).toBe(1);
    expect(reopened.exposures(production, flag, 0)).toEqual({ on: 1 });
  });

  it("commits what is waiting when it closes", async () => {
    const { telemetry } = start();
    const recorded = telemetry.record(production, batch(1));
    telemetry.close();
    expect(await recorded).toEqual(stored(1));
    expect(await telemetry.record(production, batch(2))).toEqual({ type: "unavailable" });
  });
});

describe("TE-4 batches share a commit", () => {
  it("and one that is sent again while it waits is counted once", async () => {
    const { telemetry, time, registry } = start();
    const answers = [1, 1, 2, 1, 3].map((sequence) => telemetry.record(production, batch(sequence)));
    const others = Array.from({ length: 100 }, (_, index) =>
      telemetry.record(production, batch(1, { instance: `other-${index}` })),
    );
    await time.advanceAsync(100);
    expect(await Promise.all(answers)).toEqual([1, 1, 2, 2, 3].map(stored));
    expect((await Promise.all(others)).every((answer) => answer.type === "stored")).toBe(true);
    expect(telemetry.exposures(production, flag, 0)).toEqual({ on: 103 });
    expect(await registry.metrics()).toContain("bunting_telemetry_commit_seconds_count 1");
  });
});

describe("TE-4 a commit and what waits for one are bounded by what is in the batches", () => {
  const commitCount = async (registry: Registry) =>
    Number(/^bunting_telemetry_commit_seconds_count (\d+)$/m.exec(await registry.metrics())?.[1] ?? 0);
  const cells = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ flag: `flag-${index}`, variant: "on", exposures: 1 }));
  const large = (index: number) => batch(1, { instance: `i-${index}`, cells: cells(LIMITS.telemetryCells) });

  it("so that others have their turn between the commits of large ones", async () => {
    const { telemetry, time, registry } = start();
    const answers = Array.from({ length: 20 }, (_, index) => telemetry.record(production, large(index)));
    await time.advanceAsync(100);
    expect((await Promise.all(answers)).every((answer) => answer.type === "stored")).toBe(true);
    expect(await commitCount(registry)).toBe(4);
  });

  it("and one that is larger than that is committed alone", async () => {
    const { telemetry, time, registry } = start();
    const evidence = Array.from({ length: LIMITS.evidenceCells }, () => aCell());
    const answers = [1, 2, 3].map((sequence) => telemetry.record(production, batch(sequence, { evidence })));
    await time.advanceAsync(100);
    expect(await Promise.all(answers)).toEqual([1, 2, 3].map(stored));
    expect(await commitCount(registry)).toBe(3);
  });

  it("and no more is kept in memory: the rest is not acknowledged, and comes again", async () => {
    const { telemetry, time } = start();
    const answers = Array.from({ length: 600 }, (_, index) => telemetry.record(production, large(index)));
    await time.advanceAsync(1_000);
    const types = (await Promise.all(answers)).map(({ type }) => type);
    expect(types.filter((type) => type === "stored")).toHaveLength(500);
    const again = telemetry.record(production, large(599));
    await time.advanceAsync(100);
    expect(await again).toEqual(stored(1));
  });
});

describe("TE-1 a batch is counted exactly once", () => {
  it("under duplicates, reordering, lost answers and crashes between commit and answer", async () => {
    const seed = Math.floor(Math.random() * 1e9);
    const random = createSeededRandom(seed);
    const time = createFakeTime(Date.UTC(2026, 0, 1, 12));
    let { telemetry } = start(time);
    // Each instance has one batch in flight and counts on; what it was answered may get lost.
    const instances = Array.from({ length: 5 }, (_, index) => ({
      instance: `i-${index}`,
      acknowledged: 0,
      produced: 0,
    }));
    const late: TelemetryBatch[] = [];
    const batchOf = (instance: string, sequence: number): TelemetryBatch =>
      batch(sequence, { instance, cells: [{ flag, variant: sequence % 2 ? "on" : "off", exposures: sequence }] });
    for (let step = 0; step < 400; step++) {
      const sender = random.pick(instances as [(typeof instances)[number]]);
      const next = batchOf(sender.instance, sender.acknowledged + 1);
      const answers = [telemetry.record(production, next)];
      while (random.next() < 0.3) answers.push(telemetry.record(production, next));
      if (random.next() < 0.2) late.push(next);
      if (random.next() < 0.2) void telemetry.record(production, late[random.below(late.length)] ?? next);
      if (random.next() < 0.1) void telemetry.record(production, batchOf(sender.instance, sender.acknowledged + 3));
      if (random.next() < 0.05) {
        // Crash: whatever was committed is, and no answer arrives.
        if (random.next() < 0.5) await time.advanceAsync(50);
        telemetry.close();
        ({ telemetry } = start(time));
        continue;
      }
      await time.advanceAsync(50);
      const answer = await answers[0];
      if (answer?.type === "stored" && random.next() < 0.8)
        sender.acknowledged = Math.max(sender.acknowledged, answer.sequence);
    }
    await time.advanceAsync(100);
    const expected = { on: 0, off: 0 };
    for (const { instance } of instances) {
      const last = telemetry.lastSequence(production, instance, "b");
      for (let sequence = 1; sequence <= last; sequence++) expected[sequence % 2 ? "on" : "off"] += sequence;
    }
    expect(expected.on).toBeGreaterThan(0);
    expect(telemetry.exposures(production, flag, 0), `seed ${seed}`).toEqual(expected);
  });
});

describe("TE-6 a batch that cannot be counted", () => {
  it("takes its number, so that the next one counts", async () => {
    const { telemetry, time } = start();
    const first = telemetry.record(production, batch(1));
    const refused = telemetry.refuse(production, batch(2));
    const third = telemetry.record(production, batch(3));
    await time.advanceAsync(100);
    await refused;
    expect([await first, await third]).toEqual([stored(1), stored(3)]);
    expect(telemetry.exposures(production, flag, 0)).toEqual({ on: 2 });
  });
});

describe("TE-114 what SDKs dropped is counted", () => {
  it("once for each batch, exposures and evidence apart", async () => {
    const { telemetry, time, registry } = start();
    const reports = [
      batch(1, { dropped: 3 }),
      batch(1, { dropped: 3 }),
      batch(2, { dropped: 2, evidenceDropped: 7 }),
      batch(4, { dropped: 100 }),
    ];
    const answers = reports.map((report) => telemetry.record(production, report));
    await time.advanceAsync(100);
    await Promise.all(answers);
    const metrics = await registry.metrics();
    expect(metrics).toContain('bunting_telemetry_dropped_total{what="exposures"} 5');
    expect(metrics).toContain('bunting_telemetry_dropped_total{what="evidence"} 7');
  });
});

describe("TE-5 a batch of a forgotten boot", () => {
  it("is refused by name if it is old", async () => {
    const { telemetry, time } = start();
    const answer = telemetry.record(production, batch(5, { ageMs: HOUR_MS + 1 }));
    await time.advanceAsync(50);
    expect(await answer).toEqual({ type: "refused", code: "telemetry_too_old" });
  });
});

describe("TE-8 windows and boots are kept for their time", () => {
  const countAt = async (telemetry: Telemetry, time: ReturnType<typeof createFakeTime>, sequence: number) => {
    const recorded = telemetry.record(production, batch(sequence));
    await time.advanceAsync(50);
    await recorded;
  };

  it("answers to the minute for a day and to the hour before", async () => {
    const { telemetry, time } = start();
    await countAt(telemetry, time, 1);
    const first = time.clock.now();
    await time.advanceAsync(10 * MINUTE_MS);
    await countAt(telemetry, time, 2);
    expect(telemetry.exposures(production, flag, first + 5 * MINUTE_MS)).toEqual({ on: 1 });
    expect(telemetry.exposures(production, flag, first)).toEqual({ on: 2 });
    time.jumpWallClock(2 * DAY_MS);
    await time.advanceAsync(MINUTE_MS);
    expect(telemetry.exposures(production, flag, first)).toEqual({ on: 2 }); // from the hours
    expect(telemetry.exposures(production, flag, time.clock.now() - HOUR_MS)).toEqual({});
    telemetry.close();
    const database = new Database(file, { readonly: true });
    expect(database.prepare("SELECT COUNT(*) FROM exposure WHERE window_ms = ?").pluck().get(MINUTE_MS)).toBe(0);
    database.close();
  });

  it("also where the last day was asked for a moment ago", async () => {
    const { telemetry, time } = start();
    await countAt(telemetry, time, 1);
    await time.advanceAsync(40 * MINUTE_MS);
    await countAt(telemetry, time, 2);
    time.jumpWallClock(DAY_MS - MINUTE_MS);
    await time.advanceAsync(MINUTE_MS);
    expect(telemetry.exposures(production, flag, time.clock.now() - DAY_MS - 100)).toEqual({ on: 1 });
  });

  it("forgets hours after 90 days and boots after seven", async () => {
    const { telemetry, time } = start();
    await countAt(telemetry, time, 1);
    time.jumpWallClock(6 * DAY_MS);
    await time.advanceAsync(MINUTE_MS);
    expect(telemetry.lastSequence(production, "i", "b")).toBe(1);
    time.jumpWallClock(2 * DAY_MS);
    await time.advanceAsync(2 * HOUR_MS + 10 * MINUTE_MS);
    expect(telemetry.lastSequence(production, "i", "b")).toBe(0);
    expect(telemetry.exposures(production, flag, 0)).toEqual({ on: 1 });
    time.jumpWallClock(84 * DAY_MS);
    await time.advanceAsync(MINUTE_MS);
    expect(telemetry.exposures(production, flag, 0)).toEqual({});
  });
});

describe("TE-8, TE-1 a boot is not forgotten while a batch of it may come again", () => {
  it.each([
    ["jumps ahead", 0, 30 * DAY_MS],
    ["was behind and is put right", -30 * DAY_MS, 30 * DAY_MS],
  ])("when the clock %s", async (_title, before, jump) => {
    const { telemetry, time } = start();
    time.jumpWallClock(before);
    await time.advanceAsync(10 * MINUTE_MS);
    const recorded = telemetry.record(production, batch(1));
    await time.advanceAsync(50);
    expect(await recorded).toEqual(stored(1));
    time.jumpWallClock(jump);
    await time.advanceAsync(HOUR_MS - 50);
    const again = telemetry.record(production, batch(1, { ageMs: HOUR_MS }));
    await time.advanceAsync(50);
    expect(await again).toEqual(stored(1));
    expect(telemetry.exposures(production, flag, 0)).toEqual({ on: 1 });
  });

  it("when the clock was ahead an hour ago", async () => {
    const { telemetry, time } = start();
    time.jumpWallClock(30 * DAY_MS);
    await time.advanceAsync(10 * MINUTE_MS);
    time.jumpWallClock(-30 * DAY_MS);
    for (let hour = 0; hour < 3; hour += 1) {
      const recorded = telemetry.record(production, batch(hour + 1));
      await time.advanceAsync(HOUR_MS - 100);
      const again = telemetry.record(production, batch(hour + 1, { ageMs: HOUR_MS }));
      await time.advanceAsync(50);
      expect([await recorded, await again]).toEqual([stored(hour + 1), stored(hour + 1)]);
    }
    expect(telemetry.exposures(production, flag, 0)).toEqual({ on: 3 });
  });
});

describe("TE-9 unknown flags are capped", () => {
  it("at a thousand names for each environment, also after a restart", async () => {
    let { telemetry, time } = start();
    const report = async (environment: EnvironmentKey, sequence: number, from: number, count: number) => {
      const unknown = Array.from({ length: count }, (_, index) => ({ flag: `ghost-${from + index}`, evaluations: 1 }));
      const recorded = telemetry.record(environment, batch(sequence, { cells: [], unknown }));
      await time.advanceAsync(50);
      await recorded;
    };
    for (let part = 0; part < 11; part++) await report(production, part + 1, part * 100, 100);
    await report(staging, 1, 0, 1);
    telemetry.close();
    ({ telemetry, time } = start(time));
    await report(production, 12, 2_000, 5);
    await report(production, 13, 0, 1);
    const counted = new Map(telemetry.unknown(production).flags.map(({ flag, count }) => [flag, count]));
    expect(counted.size).toBe(1_001);
    expect(counted.get("__other__")).toBe(105);
    expect(counted.get("ghost-0")).toBe(2);
    expect(telemetry.unknown(staging).flags).toEqual([{ flag: "ghost-0", count: 1, lastAt: expect.any(Number) }]);
  });
});

describe("TE-9, TE-106 names are listed as long as nobody knows them", () => {
  const cells = [
    { flag: "ghost", variant: "on", exposures: 1 },
    { flag: "spirit", variant: "on", exposures: 1 },
    { flag, variant: "blue", exposures: 1 },
    { flag, variant: "green", exposures: 1 },
  ];
  const report = async ({ telemetry, time }: ReturnType<typeof start>, more: Partial<TelemetryBatch>) => {
    const recorded = telemetry.record(production, batch(1, more));
    await time.advanceAsync(50);
    await recorded;
  };
  const names = (telemetry: Telemetry) => {
    const { flags, variants } = telemetry.unknown(production);
    return [flags.map((one) => one.flag), variants.map((one) => one.variant)];
  };

  it("and not once a flag or variant of that name was made", async () => {
    const started = start();
    await report(started, { cells });
    expect(names(started.telemetry)).toEqual([
      ["ghost", "spirit"],
      ["blue", "green"],
    ]);
    started.flags.set("ghost" as FlagKey, aFlag("on"));
    started.flags.set(flag, aFlag("on", "off", "blue"));
    expect(names(started.telemetry)).toEqual([["spirit"], ["green"]]);
  });

  it("and ninety days after they were used last, when their place is another's", async () => {
    const started = start();
    const { telemetry, time } = started;
    const ghosts = (count: number, name: string) =>
      Array.from({ length: count }, (_, index) => ({ flag: `${name}-${index}`, variant: "on", exposures: 1 }));
    const strangers = Array.from({ length: 1_000 }, (_, index) => ({ flag, variant: `v-${index}`, exposures: 1 }));
    await report(started, { boot: "1", cells: ghosts(1_000, "ghost") });
    await report(started, { boot: "2", cells: strangers });
    time.jumpWallClock(80 * DAY_MS);
    await report(started, { boot: "3", cells: [...ghosts(1, "ghost"), ...strangers.slice(0, 1)] });
    time.jumpWallClock(11 * DAY_MS);
    await time.advanceAsync(MINUTE_MS);
    expect(names(telemetry)).toEqual([["ghost-0"], ["v-0"]]);
    await report(started, { boot: "4", cells });
    expect(names(telemetry)).toEqual([
      ["ghost", "ghost-0", "spirit"],
      ["blue", "green", "v-0"],
    ]);
  });
});

describe("TE-10 a damaged database", () => {
  it("is put aside at start, and counting begins anew", async () => {
    writeFileSync(file, "this is no database, and long enough to be taken for a damaged one".repeat(100));
    const { telemetry, time, log } = start();
    const recorded = telemetry.record(production, batch(1));
    await time.advanceAsync(50);
    expect(await recorded).toEqual(stored(1));
    expect(readdirSync(folder)).toContain("telemetry.db.damaged-1");
    expect(log.join("")).toContain("damaged");
  });

  it("is put aside while running, too", async () => {
    const { telemetry: first, time } = start();
    const recorded = first.record(production, batch(1));
    await time.advanceAsync(50);
    await recorded;
    first.close();
    // The third page is the index by which boots are found: the file opens, and fails at the first batch.
    const handle = openSync(file, "r+");
    writeSync(handle, Buffer.alloc(4_096, 0x55), 0, 4_096, 2 * 4_096);
    closeSync(handle);
    const { telemetry, time: later } = start(time);
    const refused = telemetry.record(production, batch(2));
    await later.advanceAsync(50);
    expect(await refused).toEqual({ type: "unavailable" });
    await later.advanceAsync(1_000);
    const again = telemetry.record(production, batch(2));
    await later.advanceAsync(50);
    expect(await again).toEqual(stored(2));
    expect(readdirSync(folder)).toContain("telemetry.db.damaged-1");
  });

  it("ends telemetry if it cannot even be put aside, and says so once", async () => {
    const { telemetry: first, time } = start();
    const recorded = first.record(production, batch(1));
    await time.advanceAsync(50);
    await recorded;
    first.close();
    const handle = openSync(file, "r+");
    writeSync(handle, Buffer.alloc(4_096, 0x55), 0, 4_096, 2 * 4_096);
    closeSync(handle);
    const { telemetry, time: later, log } = start(time);
    rmSync(file);
    const refused = telemetry.record(production, batch(2));
    await later.advanceAsync(50);
    expect(await refused).toEqual({ type: "unavailable" });
    expect(log.at(-1)).toContain("telemetry is off until the next start");

    const lineCount = log.length;
    expect(telemetry.lastSequence(production, "i", "b")).toBe(0);
    expect(telemetry.withEvidence(() => "read")).toBeNull();
    await later.advanceAsync(2_000);
    expect(await telemetry.record(production, batch(2))).toEqual({ type: "unavailable" });
    expect(log).toHaveLength(lineCount);
  });

  it("is not taken over from another process that has it open", () => {
    start();
    expect(() => start()).toThrow(/Another server is using/);
  });

  it("leaves batches unacknowledged while it cannot be written, and goes on afterwards", async () => {
    const { telemetry, time } = start();
    // A number SQLite cannot take for what it is: the whole commit fails.
    const poisoned = telemetry.record(production, batch(1, { sequence: Number.NaN }));
    const innocent = telemetry.record(production, batch(1, { instance: "j" }));
    await time.advanceAsync(50);
    expect([await poisoned, await innocent]).toEqual([{ type: "unavailable" }, { type: "unavailable" }]);
    expect(await telemetry.record(production, batch(1, { instance: "j" }))).toEqual({ type: "unavailable" }); // still pausing
    await time.advanceAsync(1_000);
    const again = telemetry.record(production, batch(1, { instance: "j" }));
    await time.advanceAsync(50);
    expect(await again).toEqual(stored(1));
    expect(telemetry.exposures(production, flag, 0)).toEqual({ on: 1 });
  });
});
