import { createTestFlags } from "@bunting/sdk/testing";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createVersionedModuleOn } from "./create-versioned-module.ts";
import * as badStart from "./fixtures/bad-start.ts";
import type { Counted, CountInput, Fault } from "./fixtures/counting.ts";
import * as v1 from "./fixtures/counting-v1.ts";
import * as v2 from "./fixtures/counting-v2.ts";
import * as mended from "./fixtures/counting-v2-mended.ts";
import * as picky from "./fixtures/counting-v2-picky.ts";
import * as v3 from "./fixtures/counting-v3.ts";
import * as v4 from "./fixtures/counting-v4.ts";
import * as v5 from "./fixtures/counting-v5.ts";
import * as empty from "./fixtures/empty.ts";
import * as incomplete from "./fixtures/incomplete.ts";
import * as misnamed from "./fixtures/misnamed.ts";
import * as neverReady from "./fixtures/never-ready.ts";
import type { VersionedModuleOptions } from "./options.ts";
import { createSimulatedThreads } from "./simulated-threads.ts";
import type { ModuleEvents, VersionedModule } from "./types.ts";

/* The public API, with threads that are simulated and time that is. Real threads are in isolation.net.test.ts. */

const FILES = { v1, v2, v3, v4, v5, mended, picky, badStart, empty, incomplete, misnamed, neverReady };
const ENTITIES = Array.from({ length: 100 }, (_, index) => `player-${index}`);

interface Scene {
  readonly logic: VersionedModule<CountInput>;
  readonly told: { readonly [Name in keyof ModuleEvents]: ModuleEvents[Name][] };
  readonly threads: ReturnType<typeof createSimulatedThreads>;
  /** Lets time pass until the promise has settled. */
  done<Result>(work: Promise<Result>): Promise<Result>;
  pass(ms: number): Promise<void>;
  counts(): Record<string, number>;
}

function scene(options: Partial<VersionedModuleOptions> = {}, moreFiles: Readonly<Record<string, object>> = {}): Scene {
  const time = createFakeTime();
  const threads = createSimulatedThreads({ time, random: createSeededRandom(1) }, { ...FILES, ...moreFiles });
  const logic = createVersionedModuleOn<CountInput>(threads, {
    versions: { v1: "v1", v2: "v2", v3: "v3" },
    ...options,
  });
  const told: Scene["told"] = {
    load: [],
    unload: [],
    reload: [],
    move: [],
    failure: [],
    rollback: [],
    promote: [],
    problem: [],
  };
  for (const name of Object.keys(told) as (keyof ModuleEvents)[]) {
    logic.on(name, (event) => (told[name] as unknown[]).push(event));
  }
  return {
    logic,
    told,
    threads,
    async done(work) {
      const settled = Promise.race([
        work.then(
          () => true,
          () => true,
        ),
        Promise.resolve(false),
      ]);
      let isOver = await settled;
      void work.then(
        () => (isOver = true),
        () => (isOver = true),
      );
      for (let spent = 0; !isOver && spent < 20_000; spent += 1) await time.advanceAsync(1);
      return await work;
    },
    pass: (ms) => time.advanceAsync(ms),
    counts() {
      const counts: Record<string, number> = {};
      for (const entity of logic.entities()) {
        const at = logic.versionOf(entity) ?? "nowhere";
        counts[at] = (counts[at] ?? 0) + 1;
      }
      return counts;
    },
  };
}

async function populated(
  options: Partial<VersionedModuleOptions> = {},
  load: readonly string[] = ["v1", "v2"],
  moreFiles: Readonly<Record<string, object>> = {},
): Promise<Scene> {
  const made = scene(options, moreFiles);
  for (const version of load) await made.done(made.logic.loadModuleVersion(version));
  const drafts = ENTITIES.map((entity) => ({ entity, state: { count: 0, sum: 0, trail: ["v1"] } }));
  await made.done(made.logic.addEntities(drafts));
  return made;
}

const fault = (version: string, kind: Fault): CountInput => ({ amount: 1, fault: { version, kind } });

describe("loading and unloading", () => {
  it.each([
    ["a file that is not there", { v2: "nowhere" }, "load_failed"],
    ["an initialize that throws", { v2: "badStart" }, "load_failed"],
    ["a file without createModule", { v2: "empty" }, "bad_exports"],
    ["a module without its functions", { v2: "incomplete" }, "bad_exports"],
    ["another version's file", { v2: "misnamed" }, "version_mismatch"],
    ["an initialize that never ends", { v2: "neverReady" }, "load_timeout"],
  ])("refuses %s", async (_what, versions, code) => {
    const { logic, done, told, threads } = scene({ versions: { v1: "v1", ...versions } });
    await done(logic.loadModuleVersion("v1"));
    await expect(done(logic.loadModuleVersion("v2"))).rejects.toMatchObject({ code });
    expect(told.failure).toMatchObject([{ version: "v2", code }]);
    expect(logic.getLoadedVersions()).toEqual(["v1"]);
    expect(threads.running).toHaveLength(1);
  });

  it("knows which versions there are, and takes a new one with its file", async () => {
    const { logic, done } = scene();
    await expect(done(logic.loadModuleVersion("v4"))).rejects.toMatchObject({ code: "version_unknown" });
    await done(logic.loadModuleVersion("v4", "v4"));
    expect(logic.isVersionLoaded("v4")).toBe(true);
    expect(() => logic.getVersionMetrics("v9")).toThrow(expect.objectContaining({ code: "version_unknown" }));
  });

  it("does not unload what is used, unless it is told to, and then brings everybody elsewhere", async () => {
    const { logic, done, counts, told } = await populated();
    await done(logic.setTrafficSplit({ v1: 70, v2: 30 }));
    await expect(done(logic.unloadModuleVersion("v3"))).rejects.toMatchObject({ code: "version_not_loaded" });
    await expect(done(logic.unloadModuleVersion("v2"))).rejects.toMatchObject({ code: "version_in_use" });
    await done(logic.unloadModuleVersion("v2", { force: true }));
    expect(told.unload).toMatchObject([{ version: "v2", cause: "unloaded", freedBytes: 1_000 }]);
    const late = Array.from({ length: 20 }, (_, index) => `late-${index}`);
    const state = { count: 0, sum: 0, trail: ["v1"] };
    await done(logic.addEntities(late.map((entity) => ({ entity, state }))));
    await done(logic.removeEntities(late));
    await done(logic.settled());
    expect(logic.getLoadedVersions()).toEqual(["v1"]);
    expect(counts()).toEqual({ v1: 100 });
    await done(logic.loadModuleVersion("v2"));
    await done(logic.settled());
    expect(counts()).toEqual({ v1: 70, v2: 30 });
  });
});

describe("hot patch and configuration", () => {
  const halves = async (options: Partial<VersionedModuleOptions> = {}): Promise<Scene> => {
    const made = await populated(options);
    await made.done(made.logic.setTrafficSplit({ v1: 50, v2: 50 }));
    await made.done(made.logic.process({ amount: 1 }));
    return made;
  };
  const sumsOf = async ({ logic, done }: Scene): Promise<Record<number, number>> => {
    const sums: Record<number, number> = {};
    for (const { sum } of (await done(logic.getState())).values() as Iterable<Counted>)
      sums[sum] = (sums[sum] ?? 0) + 1;
    return sums;
  };

  it("is taken by the running version, which keeps its thread", async () => {
    const { logic, done, told } = await halves();
    expect(await done(logic.applyPatch("v1", "known", { orReload: "nowhere" }))).toBeNull();
    await expect(done(logic.applyPatch("v1", "unknown"))).rejects.toMatchObject({ code: "patch_refused" });
    await expect(done(logic.updateConfig({}))).rejects.toMatchObject({ code: "patch_refused" });
    await expect(done(logic.applyPatch("v3", "known"))).rejects.toMatchObject({ code: "version_not_loaded" });
    expect(told.load).toHaveLength(2);
    expect(told.reload).toEqual([]);
  });

  it("that is refused puts a new thread behind the same version, and every state is carried over", async () => {
    const made = await halves({ limits: { moveSlice: 7 } });
    const { logic, done, counts, told, threads } = made;
    const before = await done(logic.getState());
    const report = await done(logic.applyPatch("v2", "unknown", { orReload: "mended" }));
    expect(report).toMatchObject({ version: "v2", entityCount: 50 });
    expect(report?.downtimeMs).toBeGreaterThan(0);
    expect(told.reload).toEqual([report]);
    expect(told.move.map(({ movedCount }) => movedCount).reduce((sum, count) => sum + count, 0)).toBe(50);
    expect(threads.running.map(({ version }) => version).sort()).toEqual(["v1", "v2"]);
    expect(counts()).toEqual({ v1: 50, v2: 50 });
    expect(await done(logic.getState())).toEqual(before);
    await done(logic.process({ amount: 1 }));
    expect(await sumsOf(made)).toEqual({ 2: 50, 11: 50 });
    // It is what this version is now, for whoever loads it again too.
    await done(logic.unloadModuleVersion("v2", { force: true }));
    await done(logic.loadModuleVersion("v2"));
    await done(logic.settled());
    await done(logic.process({ amount: 1 }));
    expect(await sumsOf(made)).toEqual({ 3: 50, 21: 50 });
  });

  it.each([
    ["does not load", "badStart", "load_failed"],
    ["is another version's", "v3", "version_mismatch"],
    ["refuses a state", "picky", "migration_refused"],
  ])("keeps the old thread if the new file %s", async (_what, url, code) => {
    const made = await halves();
    const { logic, done, counts, told, threads } = made;
    const names = logic.entities().filter((entity) => logic.versionOf(entity) === "v1");
    if (names.includes("player-42")) await done(logic.pinEntity("player-42", "v2"));
    await expect(done(logic.reloadModuleVersion("v2", url))).rejects.toMatchObject({ code });
    expect(counts()).toMatchObject({ v2: expect.toSatisfy((count: number) => count >= 50) });
    expect(told.failure).toEqual([]);
    expect(told.reload).toEqual([]);
    expect(threads.running).toHaveLength(2);
    await done(logic.process({ amount: 1 }));
    expect(await sumsOf(made)).toEqual({ 2: 100 });
  });

  it("loses nobody when the old thread breaks while its states are read", async () => {
    const made = await halves({ checkpointEveryMs: 0 });
    const { logic, done, counts, told, threads } = made;
    await done(logic.process({ amount: 1 }));
    threads.fate = ({ type }) => (type === "drain" ? "crash_before" : "answer");
    const reload = logic.reloadModuleVersion("v2", "mended");
    await expect(done(reload)).rejects.toMatchObject({ code: "migration_refused" });
    expect(told.rollback).toMatchObject([{ from: "v2", to: { v1: 50 }, cause: "exited", lostBatchCount: 0 }]);
    expect(counts()).toEqual({ v1: 100 });
    expect(threads.running).toHaveLength(1);
    threads.fate = () => "answer";
    expect(await sumsOf(made)).toEqual({ 2: 100 });
  });

  it("is safe at once: a thread that breaks right after the reload loses nothing", async () => {
    const made = await halves();
    const { logic, done, threads, told } = made;
    await done(logic.reloadModuleVersion("v2"));
    threads.running.find(({ version }) => version === "v2")?.crash();
    expect(await sumsOf(made)).toEqual({ 1: 100 });
    expect(told.rollback).toMatchObject([{ from: "v2", to: { v1: 50 }, cause: "exited", lostBatchCount: 0 }]);
  });

  it("that needs a new load reaches every version through new threads, where that is asked for", async () => {
    const made = await halves();
    await made.done(made.logic.updateConfig({ gravity: 9.8 }, { orReload: true }));
    expect(made.told.reload.map(({ version, entityCount }) => `${version} ${entityCount}`).sort()).toEqual([
      "v1 50",
      "v2 50",
    ]);
    expect(await sumsOf(made)).toEqual({ 1: 100 });
  });
});

describe("dependencies", () => {
  const onPhysics = { createModule: () => ({ ...v1.createModule(), getDependencies: () => ["physics"] }) };
  const onLogic = { createModule: () => ({ ...v1.createModule(), getDependencies: () => ["logic"] }) };

  it("that are missing are refused at the load, and known afterwards where they are there", async () => {
    const { logic, done, threads } = scene({ versions: { v1: "onPhysics", v2: "v2" } }, { onPhysics });
    await expect(done(logic.loadModuleVersion("v1"))).rejects.toMatchObject({ code: "dependency_missing" });
    expect(threads.running).toEqual([]);
    await done(logic.loadModuleVersion("v2"));
    expect(logic.getDependencies("v2")).toEqual([]);
    const physics = { on: () => () => {} };
    const complete = scene({ versions: { v1: "onPhysics" }, dependencies: { physics } }, { onPhysics });
    await complete.done(complete.logic.loadModuleVersion("v1"));
    expect(complete.logic.getDependencies("v1")).toEqual(["physics"]);
  });

  it("that are loaded again have those that build on them loaded again, and those that build on these", async () => {
    const physics = await populated({}, ["v1"]);
    const logic = await populated(
      { versions: { v1: "onPhysics", v2: "v2" }, dependencies: { physics: physics.logic } },
      ["v1", "v2"],
      { onPhysics },
    );
    const scores = await populated({ versions: { v1: "onLogic" }, dependencies: { logic: logic.logic } }, ["v1"], {
      onLogic,
    });
    await physics.done(physics.logic.reloadModuleVersion("v1"));
    await logic.pass(100);
    await scores.pass(100);
    const reloads = [physics, logic, scores].map(({ told }) => told.reload.map(({ version }) => version));
    expect(reloads).toEqual([["v1"], ["v1"], ["v1"]]);
    expect(scores.counts()).toEqual({ v1: 100 });
    await logic.done(logic.logic.close());
    await physics.done(physics.logic.reloadModuleVersion("v1"));
    expect(logic.told.problem).toEqual([]);
  });
});

describe("the split", () => {
  it.each([
    [{ v1: 90 }, "split_invalid"],
    [{ v1: 110, v2: -10 }, "split_invalid"],
    [{ v1: 99.9999, v2: 0.0001 }, "split_invalid"],
    [{ v1: 90, v9: 10 }, "split_invalid"],
    [{ v1: 90, v3: 10 }, "version_not_loaded"],
  ])("%j is refused as %s", async (split, code) => {
    const { logic, done, counts } = await populated();
    await expect(done(logic.setTrafficSplit(split as Record<string, number>))).rejects.toMatchObject({ code });
    expect(counts()).toEqual({ v1: 100 });
  });

  it("moves exactly the difference, and reports it", async () => {
    const { logic, done, counts, told } = await populated();
    await done(logic.setTrafficSplit({ v1: 90, v2: 10 }));
    await done(logic.setTrafficSplit({ v1: 70, v2: 30 }));
    expect(counts()).toEqual({ v1: 70, v2: 30 });
    expect(told.move.map(({ from, to, movedCount }) => `${movedCount} ${from} ${to}`)).toEqual([
      "10 v1 v2",
      "20 v1 v2",
    ]);
    expect(logic.getTrafficSplit()).toEqual({ v1: 70, v2: 30 });
    expect(logic.getVersionMetrics("v2")).toMatchObject({ trafficPercent: 30, entityCount: 30, life: "ready" });
  });

  it("pins single entities, and lets go of them", async () => {
    const { logic, done, counts } = await populated();
    await done(logic.pinEntity("player-7", "v2"));
    expect(logic.versionOf("player-7")).toBe("v2");
    await done(logic.setTrafficSplit({ v1: 100 }));
    expect(counts()).toEqual({ v1: 99, v2: 1 });
    await done(logic.pinEntity("player-7", null));
    expect(counts()).toEqual({ v1: 100 });
    await expect(done(logic.pinEntity("nobody", "v2"))).rejects.toMatchObject({ code: "entity_unknown" });
  });

  it("of a flag is followed, its versions loaded when they get a share", async () => {
    const logicFlag = (fallthrough: string | Record<string, number>) => ({
      variants: { v1: "v1", v2: "v2", v3: "v3" },
      fallthrough,
      pins: { v3: ["player-3"] },
    });
    const flags = createTestFlags({ "game-logic": logicFlag("v1") });
    const { logic, done, counts, pass } = await populated({ flags, flag: "game-logic" }, ["v1"]);
    await done(logic.settled());
    await pass(50);
    expect(counts()).toEqual({ v1: 99, v3: 1 });
    flags.set("game-logic", logicFlag({ v1: 20, v2: 80 }));
    await pass(200);
    await done(logic.settled());
    expect(counts()).toEqual({ v1: 20, v2: 79, v3: 1 });
    expect(logic.getTrafficSplit()).toEqual({ v1: 20, v2: 80 });
    await expect(done(logic.setTrafficSplit({ v1: 100 }))).rejects.toMatchObject({ code: "no_control" });
    flags.remove("game-logic");
    await pass(200);
    await done(logic.settled());
    expect(counts()).toEqual({ v1: 100 });
  });
});

describe("moving state", () => {
  it("leaves an entity where it was if its migration fails, and the others go", async () => {
    const { logic, done, counts, told } = await populated();
    await done(logic.process({ amount: 1 }));
    await done(logic.process({ amount: -5 }, { entities: ["player-1", "player-2"] }));
    await done(logic.setTrafficSplit({ v2: 100 }));
    expect(counts()).toEqual({ v1: 2, v2: 98 });
    expect(told.move).toMatchObject([{ refusedCount: 2, refusal: expect.stringContaining("makes no sense") }]);
    const states = await done(logic.getState(["player-1"]));
    expect(states.get("player-1")).toEqual({ count: 2, sum: -4, trail: ["v1"] });
  });

  it("is not tried again with whoever was refused until its route changes", async () => {
    const { logic, done, told } = await populated();
    await done(logic.process({ amount: -5 }, { entities: ["player-1"] }));
    await done(logic.setTrafficSplit({ v2: 100 }));
    await done(logic.pinEntity("player-2", "v1"));
    expect(told.move.map(({ movedCount, refusedCount }) => [movedCount, refusedCount])).toEqual([
      [99, 1],
      [1, 0],
    ]);
    await done(logic.process({ amount: 5 }, { entities: ["player-1"] }));
    await done(logic.setTrafficSplit({ v1: 100 }));
    await done(logic.setTrafficSplit({ v2: 100 }));
    expect(logic.versionOf("player-1")).toBe("v2");
  });

  it("keeps what was read of whoever was refused: nothing of it is lost if its version breaks afterwards", async () => {
    const { logic, done, told, threads } = await populated();
    await done(logic.process({ amount: -5 }));
    await done(logic.setTrafficSplit({ v2: 100 }));
    threads.running.find(({ version }) => version === "v1")?.crash();
    const states = [...(await done(logic.getState())).values()] as Counted[];
    expect(new Set(states.map(({ sum }) => sum))).toEqual(new Set([-5]));
    expect(told.rollback).toMatchObject([{ from: "v1", lostBatchCount: 0 }]);
  });

  it("goes by way of another version where there is no direct migration", async () => {
    const { logic, done, counts } = await populated({ versions: { v1: "v1", v2: "v2", v5: "v5" } }, ["v1", "v5"]);
    await done(logic.setTrafficSplit({ v1: 50, v5: 50 }));
    expect(counts()).toEqual({ v1: 50, v5: 50 });
    const states = [...(await done(logic.getState())).values()] as Counted[];
    expect(states.filter(({ trail }) => trail.join() === "v1,v2,v5")).toHaveLength(50);
  });

  it("by hand is all or nothing, and the share goes along", async () => {
    const { logic, done, counts } = await populated();
    await done(logic.process({ amount: -5 }, { entities: ["player-1"] }));
    await expect(done(logic.migrateState("v1", "v2"))).rejects.toMatchObject({ code: "migration_refused" });
    expect(counts()).toEqual({ v1: 100 });
    await done(logic.process({ amount: 5 }, { entities: ["player-1"] }));
    expect(await done(logic.migrateState("v1", "v2"))).toMatchObject({ from: "v1", to: "v2", movedCount: 100 });
    await done(logic.settled());
    expect(counts()).toEqual({ v2: 100 });
    expect(logic.getTrafficSplit()).toEqual({ v1: 0, v2: 100 });
    await expect(done(logic.migrateState("v2", "v3"))).rejects.toMatchObject({ code: "version_not_loaded" });
  });
});

describe("rolling back", () => {
  it("brings everybody back with a migration, and says how long it took", async () => {
    const { logic, done, counts, told } = await populated();
    await done(logic.setTrafficSplit({ v1: 20, v2: 80 }));
    await done(logic.process({ amount: 3 }));
    const report = await done(logic.rollback("v1", { maxDowntimeMs: 1_000 }));
    expect(report).toMatchObject({
      to: { v1: 80 },
      cause: null,
      entityCount: 80,
      isWithinLimit: true,
      restoredFromSavedCount: 0,
    });
    expect(told.rollback).toEqual([report]);
    expect(counts()).toEqual({ v1: 100 });
    expect(logic.getTrafficSplit()).toEqual({ v1: 100 });
    const states = [...(await done(logic.getState())).values()] as Counted[];
    expect(new Set(states.map(({ sum }) => sum))).toEqual(new Set([3]));
  });

  it("takes longer than allowed: that is reported, and everybody is back nevertheless", async () => {
    const { logic, done, counts } = await populated();
    await done(logic.setTrafficSplit({ v1: 20, v2: 80 }));
    const report = await done(logic.rollback("v1", { maxDowntimeMs: 0 }));
    expect(report).toMatchObject({ entityCount: 80, isWithinLimit: false });
    expect(report.downtimeMs).toBeGreaterThan(0);
    expect(counts()).toEqual({ v1: 100 });
  });

  it("restores what was saved where there is no migration back, and counts it", async () => {
    const { logic, done, counts } = await populated({ versions: { v1: "v1", v4: "v4" } }, ["v1", "v4"]);
    await done(logic.process({ amount: 1 }));
    await done(logic.setTrafficSplit({ v1: 50, v4: 50 }));
    await done(logic.process({ amount: 1 }));
    expect(await done(logic.rollback("v1"))).toMatchObject({ entityCount: 50, restoredFromSavedCount: 50 });
    expect(counts()).toEqual({ v1: 100 });
    const states = [...(await done(logic.getState())).values()] as Counted[];
    expect(states.map(({ sum }) => sum).sort((a, b) => a - b)).toEqual([...Array(50).fill(1), ...Array(50).fill(2)]);
  });

  it("loads the version if it was collected, and says so if somebody could not come back", async () => {
    const { logic, done, counts } = await populated({ versions: { v1: "v1", v4: "v4" } }, ["v1", "v4"]);
    await done(logic.setTrafficSplit({ v4: 100 }));
    const added = { entity: "late", state: { count: 0, sum: 0, trail: ["v4"] } };
    await done(logic.addEntities([added], { stateOf: "v4" }));
    await done(logic.unloadModuleVersion("v1"));
    await expect(done(logic.rollback("v1"))).rejects.toMatchObject({ code: "rollback_incomplete" });
    expect(counts()).toEqual({ v1: 100, v4: 1 });
  });
});

describe("who is brought back by whom", () => {
  it("a kill, or a rollback on the server, restores what was saved where there is no migration back", async () => {
    const flag = (fallthrough: string | Record<string, number>) => ({ variants: { v1: "v1", v4: "v4" }, fallthrough });
    const flags = createTestFlags({ logic: flag({ v1: 50, v4: 50 }) });
    const made = await populated({ flags, flag: "logic", versions: { v1: "v1", v4: "v4" } }, ["v1", "v4"]);
    const { logic, done, pass, counts, told } = made;
    await done(logic.settled());
    await done(logic.process({ amount: 1 }));
    // Some fewer, and v4 goes on: whoever cannot go back keeps what it has.
    flags.set("logic", flag({ v1: 60, v4: 40 }));
    await pass(100);
    expect(counts()).toEqual({ v1: 50, v4: 50 });
    flags.set("logic", flag("v1"));
    await pass(100);
    await done(logic.settled());
    expect(counts()).toEqual({ v1: 100 });
    expect(told.move.at(-1)).toMatchObject({ from: "v4", to: "v1", movedCount: 50, restoredFromSavedCount: 50 });
  });

  it("the last rollback counts, also there and back again", async () => {
    const { logic, done, counts } = await populated();
    await done(logic.setTrafficSplit({ v1: 50, v2: 50 }));
    await done(logic.rollback("v1"));
    await done(logic.rollback("v2"));
    await done(logic.settled());
    expect(counts()).toEqual({ v2: 100 });
  });

  it("a migration by hand holds until the flag changes", async () => {
    const flag = (v2: number) => ({ variants: { v1: "v1", v2: "v2" }, fallthrough: { v1: 100 - v2, v2 } });
    const flags = createTestFlags({ logic: flag(50) });
    const { logic, done, pass, counts } = await populated({ flags, flag: "logic" });
    await done(logic.settled());
    await done(logic.migrateState("v1", "v2"));
    await pass(1_000);
    expect(counts()).toEqual({ v2: 100 });
    flags.set("logic", flag(30));
    await pass(1_000);
    await done(logic.settled());
    expect(counts()).toEqual({ v1: 70, v2: 30 });
  });
});

describe("a version that fails", () => {
  it("makes the states of its entities even with the others': the next failure loses nothing", async () => {
    const { logic, done, threads, told } = await populated({ versions: { v1: "v1", v2: "v2" } });
    await done(logic.setTrafficSplit({ v1: 50, v2: 50 }));
    await done(logic.process(fault("v2", "throw")));
    threads.running.find(({ version }) => version === "v1")?.crash();
    const states = [...(await done(logic.getState())).values()] as Counted[];
    expect(new Set(states.map(({ count }) => count))).toEqual(new Set([1]));
    expect(told.rollback.map(({ lostBatchCount }) => lostBatchCount)).toEqual([0, 0]);
  });

  it("is kept in service by the circuit breaker where nobody else takes its entities: better than none", async () => {
    const { logic, done, counts, told } = await populated({ versions: { v1: "v1" } }, ["v1"]);
    await done(logic.process(fault("v1", "fail_some")));
    expect(told.failure).toMatchObject([{ version: "v1", code: "error_rate" }]);
    expect(logic.getVersionMetrics("v1")).toMatchObject({ life: "ready", entityCount: 100 });
    expect(counts()).toEqual({ v1: 100 });
    expect(await done(logic.process({ amount: 1 }))).toMatchObject({ processedCount: 100, failed: [] });
  });

  it("is taken out by the circuit breaker above 5 % errors, and its entities leave with the state they have", async () => {
    const { logic, done, counts, told } = await populated();
    await done(logic.setTrafficSplit({ v1: 50, v2: 50 }));
    const { failed } = await done(logic.process(fault("v2", "fail_some")));
    expect(failed).toHaveLength(10);
    expect(told.failure).toMatchObject([{ version: "v2", code: "error_rate" }]);
    expect(told.rollback).toMatchObject([{ from: "v2", to: { v1: 50 }, cause: "error_rate", lostBatchCount: 0 }]);
    expect(counts()).toEqual({ v1: 100 });
    expect(logic.isVersionLoaded("v2")).toBe(false);
    const states = [...(await done(logic.getState())).values()] as Counted[];
    expect(states.filter(({ count }) => count === 1)).toHaveLength(90);
    await done(logic.loadModuleVersion("v2"));
    await done(logic.settled());
    expect(counts()).toEqual({ v1: 50, v2: 50 });
  });

  it.each([
    [900, true],
    [1_500, false],
  ])("says of %i ms without a version whether that was within a second", async (deadlineMs, isWithinLimit) => {
    const { logic, done, told, threads } = await populated({ limits: { deadlineMs } });
    await done(logic.setTrafficSplit({ v1: 50, v2: 50 }));
    let stallCount = 0;
    threads.fate = ({ type }) => (type === "process" && (stallCount += 1) === 1 ? "stall" : "answer");
    await done(logic.process({ amount: 1 }));
    expect(told.rollback).toMatchObject([{ cause: "stalled", isWithinLimit }]);
    expect(told.rollback[0]?.downtimeMs).toBeGreaterThanOrEqual(deadlineMs);
  });

  it("is started again where it is the only one, but not for ever", async () => {
    const { logic, done, told, counts } = await populated({ versions: { v1: "v1" }, checkpointEveryMs: 0 }, ["v1"]);
    await done(logic.process({ amount: 1 }));
    const { failed } = await done(logic.process(fault("v1", "throw")));
    expect(failed).toHaveLength(100);
    expect(told.failure.map(({ code }) => code)).toEqual(Array(4).fill("process_threw"));
    expect(counts()).toEqual({ nowhere: 100 });
    await done(logic.loadModuleVersion("v1"));
    expect(counts()).toEqual({ v1: 100 });
    const states = [...(await done(logic.getState())).values()] as Counted[];
    expect(new Set(states.map(({ count }) => count))).toEqual(new Set([1]));
  });

  it("is evidence for the flag's rollout: an outcome per entity of the batch, charged to the version that had it", async () => {
    const told: string[] = [];
    const test = createTestFlags({ logic: { variants: { v1: "v1", v2: "v2" }, fallthrough: { v1: 50, v2: 50 } } });
    let flushes = 0;
    const flags = {
      place: test.place,
      on: test.on,
      expose: (_key: string, user: unknown, options?: { served?: string | undefined }) => ({
        variant: null,
        value: null,
        success: () => void told.push(`${options?.served} success ${String(user)}`),
        error: () => void told.push(`${options?.served} error ${String(user)}`),
      }),
      gauge: test.gauge,
      flush: () => Promise.resolve(void (flushes += 1)),
    };
    const { logic, done } = await populated({ flags, flag: "logic", limits: { evidencePerBatch: 20 } });
    await done(logic.settled());
    expect(flushes).toBeGreaterThan(0);
    flushes = 0;
    await done(logic.process(fault("v2", "throw")));
    const of = (text: string) => told.filter((one) => one.startsWith(text));
    expect(of("v2 error")).toHaveLength(20);
    expect(of("v2 success")).toHaveLength(0);
    expect(of("v1 success")).toHaveLength(40);
    expect(flushes).toBeGreaterThan(0);
    flushes = 0;
    await done(logic.loadModuleVersion("v2"));
    expect(flushes).toBeGreaterThan(0);
    await done(logic.settled());
    flushes = 0;
    await done(logic.process(fault("v2", "fail_some")));
    expect(flushes).toBeGreaterThan(0);
  });

  it("says how often it broke by a gauge of its flag and version, again and again until somebody has mended it", async () => {
    const variants = { v1: "v1", v2: "v2" };
    const flags = createTestFlags({ "game.Logic": { variants, fallthrough: { v1: 50, v2: 50 } } });
    let heard = 0;
    const said = (): readonly string[] => {
      const news = flags.reported.slice(heard);
      heard = flags.reported.length;
      return news.map(({ metric, value }) => `${metric} ${value}`);
    };
    const options = { flags, flag: "game.Logic", versions: { v1: "v1", v2: "v2" } };
    const { logic, done, pass } = await populated(options);
    await done(logic.settled());
    const allWell = ["failures_game_logic_v1 0", "failures_game_logic_v2 0"];
    expect(new Set(said())).toEqual(new Set(allWell));
    await pass(3_500_000);
    expect(said()).toEqual([]);
    await pass(101_000);
    expect(said()).toEqual(allWell);

    await done(logic.process(fault("v2", "throw")));
    expect(said()).toContain("failures_game_logic_v2 1");
    for (let second = 0; second < 3; second += 1) {
      await pass(1_000);
      expect(new Set(said())).toEqual(new Set(["failures_game_logic_v2 1"]));
    }

    await done(logic.loadModuleVersion("v2"));
    expect(said().at(-1)).toBe("failures_game_logic_v2 0");
    await done(logic.settled());
    await done(logic.process(fault("v2", "fail_some")));
    expect(said().at(-1)).toBe("failures_game_logic_v2 1");
    await done(logic.reloadModuleVersion("v1"));
    expect(said()).toContain("failures_game_logic_v1 0");
    await done(logic.rollback("v2").catch(() => {}));
    expect(said()).toContain("failures_game_logic_v2 0");
    await pass(1_000);
    expect(said()).toEqual([]);
    // For twenty seconds the server judges by what was said before as well.
    await pass(18_000);
    expect(said()).toEqual([]);
    await pass(2_000);
    expect(said()).toEqual(allWell);
    await pass(60_000);
    expect(said()).toEqual([]);
  });

  it("says twenty seconds after it was mended that nothing is wrong, whatever else it has said so for meanwhile", async () => {
    const logic = (share: number) => ({
      variants: { v1: "v1", v2: "v2" },
      fallthrough: { v1: 100 - share, v2: share },
    });
    const flags = createTestFlags({ logic: logic(50) });
    const world = await populated({ flags, flag: "logic", versions: { v1: "v1", v2: "v2" } });
    await world.done(world.logic.settled());
    await world.done(world.logic.process(fault("v2", "throw")));
    await world.done(world.logic.loadModuleVersion("v2"));
    flags.set("logic", logic(60));
    await world.pass(11_000);
    const before = flags.reported.length;
    await world.pass(7_000);
    expect(flags.reported.slice(before)).toEqual([]);
    await world.pass(3_000);
    expect(flags.reported.slice(before)).toContainEqual({ metric: "failures_logic_v2", value: 0 });
  });

  it("says so anew ten seconds after a change of the flag, because an attempt that began with it counts no value of before", async () => {
    const flags = createTestFlags({ logic: { variants: { v1: "v1", v2: "v2" }, fallthrough: { v1: 100, v2: 0 } } });
    const { logic, done, pass } = await populated({ flags, flag: "logic", versions: { v1: "v1", v2: "v2" } });
    await done(logic.settled());
    await pass(60_000);
    const before = flags.reported.length;
    flags.set("logic", { variants: { v1: "v1", v2: "v2" }, fallthrough: { v1: 90, v2: 10 } });
    await pass(9_000);
    expect(flags.reported.slice(before)).toEqual([]);
    await pass(2_000);
    expect(flags.reported.slice(before)).toEqual([
      { metric: "failures_logic_v1", value: 0 },
      { metric: "failures_logic_v2", value: 0 },
    ]);
  });

  it("counts as broken too where it was started again by itself, or could not be loaded", async () => {
    const flags = createTestFlags({ logic: { variants: { v1: "v1", v2: "v2" }, fallthrough: "v1" } });
    const { logic, done } = await populated({ flags, flag: "logic", versions: { v1: "v1", v2: "badStart" } }, ["v1"]);
    await done(logic.process(fault("v1", "throw")));
    const last = new Map(flags.reported.map(({ metric, value }) => [metric, value]));
    expect(last.get("failures_logic_v1")).toBeGreaterThan(0);
    await expect(done(logic.loadModuleVersion("v2"))).rejects.toMatchObject({ code: "load_failed" });
    expect(flags.reported.at(-1)).toMatchObject({ metric: "failures_logic_v2" });
    expect(flags.reported.at(-1)?.value).toBeGreaterThan(0);
  });

  it("tells at the start that nothing is broken, by a name that a gauge can have, however long flag and version are called", async () => {
    const [flag, version] = ["Flag-".repeat(25), "2026.11-".repeat(15)];
    const flags = createTestFlags({ [flag]: { variants: { [version]: "x" }, fallthrough: version } });
    let flushes = 0;
    const flush = () => Promise.resolve(void (flushes += 1));
    scene({ flags: { ...flags, flush }, flag, versions: { [version]: "v1" } });
    expect(flushes).toBe(1);
    const [metric = ""] = flags.reported.map(({ metric: name }) => name);
    expect(metric).toMatch(/^failures_flag_flag_[a-z0-9_]*_2026_11_[a-z0-9_]*$/);
    expect(metric).toHaveLength(64);
  });
});

describe("a split that changes back while entities are on their way", () => {
  it.each(Array.from({ length: 12 }, (_, ms) => ms))("leaves nobody behind, %i ms later", async (ms) => {
    const logicFlag = (fallthrough: string) => ({ variants: { v1: "v1", v2: "v2" }, fallthrough });
    const flags = createTestFlags({ logic: logicFlag("v1") });
    const { logic, done, pass, counts } = await populated({ flags, flag: "logic", limits: { moveSlice: 40 } });
    flags.set("logic", logicFlag("v2"));
    await pass(ms);
    flags.set("logic", logicFlag("v1"));
    await done(logic.settled());
    expect(counts()).toEqual({ v1: 100 });
    expect(await done(logic.process({ amount: 1 }))).toMatchObject({ processedCount: 100, byVersion: { v1: 100 } });
  });
});

describe("an entity that a version refused", () => {
  it("is offered to it again once it has been elsewhere", async () => {
    const { logic, done, told } = await populated({ versions: { v1: "v1", v3: "v3", v2: "picky" } }, [
      "v1",
      "v2",
      "v3",
    ]);
    const refusals = (): number =>
      told.move.reduce((sum, { to, refusedCount }) => sum + (to === "v2" ? refusedCount : 0), 0);
    await done(logic.setTrafficSplit({ v2: 100 }));
    await done(logic.process({ amount: 1 }));
    expect([refusals(), logic.versionOf("player-42")]).toEqual([1, "v1"]);
    await done(logic.setTrafficSplit({ v3: 100 }));
    expect(logic.versionOf("player-42")).toBe("v3");
    await done(logic.setTrafficSplit({ v2: 100 }));
    expect([refusals(), logic.versionOf("player-42")]).toEqual([2, "v3"]);
  });
});

describe("automatic collection", () => {
  it("ends a version that nobody has used for the threshold, and nothing else", async () => {
    const { logic, done, pass, told, threads } = await populated();
    logic.enableAutoGC(10);
    await done(logic.setTrafficSplit({ v2: 100 }));
    await pass(9_000);
    expect(logic.getLoadedVersions()).toEqual(["v1", "v2"]);
    await pass(2_000);
    expect(told.unload).toMatchObject([{ version: "v1", cause: "collected", freedBytes: 1_000 }]);
    expect(threads.running).toHaveLength(1);
    expect(await done(logic.process({ amount: 1 }))).toMatchObject({ processedCount: 100, failed: [] });
  });

  it("waits for 60 s by default", async () => {
    const { logic, done, pass } = await populated();
    logic.enableAutoGC();
    await done(logic.setTrafficSplit({ v2: 100 }));
    await pass(59_000);
    expect(logic.isVersionLoaded("v1")).toBe(true);
    await pass(2_000);
    expect(logic.isVersionLoaded("v1")).toBe(false);
  });

  it("does not while it is disabled", async () => {
    const { logic, done, pass } = await populated({ unusedThresholdSeconds: 10 });
    logic.disableAutoGC();
    await done(logic.setTrafficSplit({ v2: 100 }));
    await pass(60_000);
    expect(logic.getLoadedVersions()).toEqual(["v1", "v2"]);
  });
});

describe("automatic promotion", () => {
  it("goes from step to step after 30 s of passing gates", async () => {
    const promotion = { canary: "v2", baseline: "v1", percentages: [10, 100] };
    const { logic, done, pass, told, counts } = await populated({ promotion });
    await pass(1_000);
    expect(counts()).toEqual({ v1: 90, v2: 10 });
    for (let second = 0; second < 31; second += 1) {
      await done(logic.process({ amount: 1 }));
      await pass(1_000);
    }
    expect(counts()).toEqual({ v2: 100 });
    expect(told.promote).toMatchObject([{ split: { v1: 90, v2: 10 } }, { split: { v2: 100 } }]);
  });

  it("counts its 30 s from the beginning where the canary broke and was mended", async () => {
    const promotion = { canary: "v2", baseline: "v1", percentages: [10, 100] };
    const { logic, done, pass, counts } = await populated({ promotion });
    const play = async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second += 1) {
        await done(logic.process({ amount: 1 }));
        await pass(1_000);
      }
    };
    await play(25);
    await done(logic.process(fault("v2", "throw")));
    await pass(1_000);
    await done(logic.loadModuleVersion("v2"));
    await play(25);
    expect(counts()).toEqual({ v1: 90, v2: 10 });
    await play(10);
    expect(counts()).toEqual({ v2: 100 });
  });
});

describe("entities and batches", () => {
  it("come and go", async () => {
    const { logic, done } = await populated();
    const state = { count: 0, sum: 0, trail: [] };
    await expect(done(logic.addEntities([{ entity: "player-1", state }]))).rejects.toMatchObject({
      code: "entity_exists",
    });
    await expect(done(logic.removeEntities(["nobody"]))).rejects.toMatchObject({ code: "entity_unknown" });
    await expect(
      done(logic.addEntities([{ entity: "odd", state: { sum: -1, trail: [] } }], { stateOf: "v3" })),
    ).rejects.toMatchObject({ code: "migration_refused" });
    expect(logic.entities()).toEqual(ENTITIES);
    await done(logic.removeEntities(["player-0"]));
    expect(logic.entities()).toEqual(ENTITIES.slice(1));
  });

  it("come one by one without anybody else being asked about, and the split stays exact", async () => {
    const test = createTestFlags({ logic: { variants: { v1: "v1", v2: "v2" }, fallthrough: { v1: 70, v2: 30 } } });
    let asked = 0;
    const place: typeof test.place = (...of) => {
      asked += 1;
      return test.place(...of);
    };
    const flags = { ...test, place };
    const { logic, done, counts } = await populated({ flags, flag: "logic" });
    await done(logic.settled());
    const before = asked;
    const state = { count: 0, sum: 0, trail: ["v1"] };
    for (let late = 0; late < 20; late += 1) await done(logic.addEntities([{ entity: `late-${late}`, state }]));
    await done(logic.removeEntities(ENTITIES.slice(0, 20)));
    await done(logic.settled());
    expect(asked - before).toBe(20);
    expect(counts()).toEqual({ v1: 70, v2: 30 });
  });

  it("say what is wrong with a batch, before anything is processed", async () => {
    const { logic, done } = await populated({ limits: { maxQueuedBatches: 2 } });
    const wrong = Promise.allSettled([
      logic.process({ amount: 1 }, { columns: { extra: [1] } }),
      logic.process({ amount: (() => 1) as unknown as number }),
      logic.process({ amount: 1 }),
    ]);
    const codes = ["columns_invalid", "not_cloneable", "queue_full"];
    expect(await done(wrong)).toMatchObject(codes.map((code) => ({ status: "rejected", reason: { code } })));
    const states = [...(await done(logic.getState())).values()] as Counted[];
    expect(new Set(states.map(({ count }) => count))).toEqual(new Set([0]));
  });

  it("keep their state when a version comes to rest, so that nothing is lost with its thread", async () => {
    const { logic, done, pass, threads, told } = await populated({ checkpointEveryMs: 500 });
    await done(logic.process({ amount: 1 }));
    await pass(1_000);
    threads.running.find(({ version }) => version === "v1")?.crash();
    const states = [...(await done(logic.getState())).values()] as Counted[];
    expect(new Set(states.map(({ count }) => count))).toEqual(new Set([1]));
    expect(told.rollback).toMatchObject([{ from: "v1", cause: "exited", lostBatchCount: 0 }]);
  });

  it("end with the module", async () => {
    const { logic, done, threads } = await populated();
    await done(logic.close());
    expect(threads.running).toEqual([]);
    await expect(done(logic.process({ amount: 1 }))).rejects.toMatchObject({ code: "closed" });
  });
});

describe("two versions side by side", () => {
  it("are measured each by itself", async () => {
    const { logic, done, pass } = await populated();
    await done(logic.setTrafficSplit({ v1: 70, v2: 30 }));
    for (let batch = 0; batch < 3; batch += 1) await done(logic.process({ amount: 1 }));
    await pass(5_000);
    expect(logic.getVersionMetrics("v1")).toMatchObject({ processedEntities: 210, trafficPercent: 70, batchCount: 3 });
    expect(logic.getVersionMetrics("v2")).toMatchObject({
      version: "v2",
      life: "ready",
      trafficPercent: 30,
      entityCount: 30,
      processedEntities: 90,
      batchCount: 3,
      avgProcessTimeMs: 0,
      p99ProcessTimeMs: 0,
      errorRate: 0,
      memoryUsageBytes: 1_000,
    });
    const { uptimeSeconds } = logic.getVersionMetrics("v2");
    expect(uptimeSeconds).toBeGreaterThan(5);
    await pass(10_000);
    expect(logic.getVersionMetrics("v2").uptimeSeconds).toBeCloseTo(uptimeSeconds + 10);
  });

  it("are compared", async () => {
    const { logic, done } = await populated();
    await done(logic.setTrafficSplit({ v1: 50, v2: 50 }));
    expect(logic.compareVersions("v2", "v1").processTimePercent).toBeNull();
    await done(logic.process({ amount: 1 }));
    expect(logic.compareVersions("v2", "v1")).toMatchObject({
      version: { processedEntities: 50, batchCount: 1 },
      baseline: { processedEntities: 50 },
      errorRateDifference: 0,
    });
  });
});

describe("options", () => {
  it.each([
    ["no version", { versions: {} }],
    ["an unknown option", { version: 1 }],
    ["an unknown limit", { limits: { maxHeap: 1 } }],
    ["a limit that is no number", { limits: { maxHeapMb: Number.NaN } }],
    ["a flag without flags", { flag: "x" }],
    ["a promotion of an unknown version", { promotion: { canary: "v9", baseline: "v1", percentages: [] } }],
    ["a control without a flag", { control: {} }],
  ])("refuse %s", (_what, options) => {
    expect(() => scene(options as Partial<VersionedModuleOptions>)).toThrow("Cannot create a versioned module");
  });
});
