import { createFakeTime, createSeededRandom, type FakeTime, type SeededRandom } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createVersionedModuleOn } from "./create-versioned-module.ts";
import { VersionError } from "./errors.ts";
import type { Counted, CountInput } from "./fixtures/counting.ts";
import * as v1 from "./fixtures/counting-v1.ts";
import * as v2 from "./fixtures/counting-v2.ts";
import * as v3 from "./fixtures/counting-v3.ts";
import { createSimulatedThreads, type Fate, type SimulatedThreads } from "./simulated-threads.ts";
import type { RollbackReport, VersionedModule } from "./types.ts";

/*
 * Random sequences of splits, migrations, rollbacks, crashes, stalls, collections, arrivals and departures, against a model that
 * knows only one thing: in how many batches each entity was. One seed is one run.
 */

const VERSIONS = ["v1", "v2", "v3"] as const;
const SEEDS = Array.from({ length: 60 }, (_, index) => index + 1);
const STEPS = 60;

interface World {
  readonly time: FakeTime;
  readonly random: SeededRandom;
  readonly threads: SimulatedThreads;
  readonly logic: VersionedModule<CountInput>;
  readonly model: Map<string, { count: number; sum: number }>;
  readonly rollbacks: RollbackReport[];
  named: number;
}

describe("chaos: whatever happens to versions, and several things at once, their entities are neither lost nor doubled, and have the state of the model", () => {
  it.each(SEEDS)("seed %i, with the state kept after every batch", async (seed) => {
    const world = createWorld(seed, 0);
    for (let step = 0; step < STEPS; step += 1) {
      const trouble = step % 10 < 8;
      world.threads.fate = trouble ? (request) => fateOf(world.random, request.type) : () => "answer";
      const done = await act(world);
      world.threads.fate = () => "answer";
      await settle(world);
      await judge(world, `seed ${seed}, step ${step}: ${done}`);
    }
    await heal(world);
    await judge(world, `seed ${seed}, healed`);
    await changeTwice(world);
    await judge(world, `seed ${seed}, changed twice`);
    await finish(world.time, world.logic.close());
    expect(world.threads.running).toEqual([]);
  });

  it.each(SEEDS.slice(0, 20))(
    "seed %i, with states up to a second old: what was lost is what was reported",
    async (seed) => {
      const world = createWorld(seed, 1_000);
      for (let step = 0; step < STEPS; step += 1) {
        world.threads.fate = (request) => fateOf(world.random, request.type);
        await act(world);
        world.threads.fate = () => "answer";
        await settle(world);
        world.time.advance(world.random.below(400));
      }
      const lost = world.rollbacks.reduce((sum, { lostBatchCount }) => sum + lostBatchCount, 0);
      const states = await statesOf(world);
      expect({ seed, names: [...states.keys()].sort() }).toEqual({ seed, names: [...world.model.keys()].sort() });
      const tooFew = [...states].filter(([entity, { count }]) => count < countIn(world, entity) - lost);
      const tooMany = [...states].filter(([entity, { count }]) => count > countIn(world, entity));
      expect({ seed, tooFew, tooMany }).toEqual({ seed, tooFew: [], tooMany: [] });
      await finish(world.time, world.logic.close());
    },
  );
});

function createWorld(seed: number, checkpointEveryMs: number): World {
  const time = createFakeTime();
  const random = createSeededRandom(seed);
  const threads = createSimulatedThreads({ time, random }, { v1, v2, v3 });
  const logic = createVersionedModuleOn<CountInput>(threads, {
    versions: { v1: "v1", v2: "v2", v3: "v3" },
    checkpointEveryMs,
    unusedThresholdSeconds: 10,
    limits: { moveSlice: 7 },
  });
  const rollbacks: RollbackReport[] = [];
  logic.on("rollback", (report) => rollbacks.push(report));
  return { time, random, threads, logic, model: new Map(), rollbacks, named: 0 };
}

function countIn({ model }: World, entity: string): number {
  return model.get(entity)?.count ?? Number.NaN;
}

/** Threads mostly answer. A load that crashes is not as interesting as everything else. */
function fateOf(random: SeededRandom, type: string): Fate {
  if (random.below(type === "load" ? 20 : 12) > 0) return "answer";
  return random.pick(["crash_before", "crash_after", "stall"]);
}

/** One random step; says which. Refusals are as good as anything: nothing may come of them. */
async function act(world: World): Promise<string> {
  const { random, logic, time, model, threads } = world;
  const version = random.pick([...VERSIONS]);
  const attempt = (work: Promise<unknown>): Promise<void> =>
    finish(
      time,
      work.then(
        () => {},
        (error: unknown) => {
          if (!(error instanceof VersionError)) throw error;
        },
      ),
    );
  const [action] = random.pick([
    ["process"],
    ["process"],
    ["process"],
    ["process"],
    ["process_some"],
    ["split"],
    ["split"],
    ["load"],
    ["reload"],
    ["unload"],
    ["rollback"],
    ["migrate"],
    ["pin"],
    ["add"],
    ["add"],
    ["remove"],
    ["crash"],
    ["wait"],
    ["together"],
  ] as const);
  switch (action) {
    case "process":
      await processAll(world, logic.entities());
      break;
    case "process_some":
      await processAll(
        world,
        logic.entities().filter(() => random.below(3) === 0),
        "some",
      );
      break;
    case "split":
      await attempt(logic.setTrafficSplit(randomSplit(world)));
      break;
    case "load":
      await attempt(logic.loadModuleVersion(version));
      break;
    case "reload":
      await attempt(logic.reloadModuleVersion(version));
      break;
    case "unload":
      await attempt(logic.unloadModuleVersion(version, { force: random.below(2) === 0 }));
      break;
    case "rollback":
      await attempt(logic.rollback(version));
      break;
    case "migrate":
      await attempt(logic.migrateState(version, random.pick([...VERSIONS])));
      break;
    case "pin": {
      const [entity] = logic.entities();
      if (entity !== undefined) await attempt(logic.pinEntity(entity, random.below(2) === 0 ? null : version));
      break;
    }
    case "add": {
      const names = Array.from({ length: 1 + random.below(12) }, () => `e-${world.named++}`);
      const state = { count: 0, sum: 0, trail: ["v1"] };
      await finish(
        time,
        logic.addEntities(names.map((entity) => ({ entity, state }))).then(
          () => {
            for (const name of names) model.set(name, { count: 0, sum: 0 });
          },
          (error: unknown) => expect(error).toMatchObject({ code: "migration_refused" }),
        ),
      );
      break;
    }
    case "remove": {
      const leaving = logic.entities().filter(() => random.below(6) === 0);
      await finish(time, logic.removeEntities(leaving));
      for (const entity of leaving) model.delete(entity);
      break;
    }
    case "crash":
      threads.running[random.below(Math.max(1, threads.running.length))]?.crash();
      break;
    case "wait":
      await time.advanceAsync(random.below(15_000));
      break;
    case "together":
      // Everything at once: order is kept by the runner, and not by whoever asks.
      await Promise.all([
        processAll(world, logic.entities()),
        attempt(logic.loadModuleVersion(version)),
        attempt(logic.reloadModuleVersion(version)),
        attempt(logic.rollback(random.pick([...VERSIONS]))),
        processAll(world, logic.entities()),
      ]);
      break;
  }
  return `${action} ${version}`;
}

async function processAll(world: World, entities: readonly string[], scope: "all" | "some" = "all"): Promise<void> {
  const { logic, model, random, time } = world;
  const amount = 1 + random.below(5);
  const kind = random.pick(["throw", "nonsense", "fail_some", "reject"] as const);
  const fault = random.below(6) === 0 ? { fault: { version: random.pick([...VERSIONS]), kind } } : {};
  const options = scope === "all" ? {} : { entities };
  const result = await finish(time, logic.process({ amount, ...fault }, options));
  const failed = new Set(result.failed);
  for (const entity of entities) {
    const state = model.get(entity);
    if (failed.has(entity) || state === undefined) continue;
    state.count += 1;
    state.sum += amount;
  }
}

function randomSplit({ random, logic }: World): Record<string, number> {
  const loaded = logic.getLoadedVersions();
  const [first = "v1", second = first, third = second] = loaded;
  const cut = random.below(101);
  const rest = random.below(101 - cut);
  const split: Record<string, number> = {};
  for (const [version, percent] of [
    [first, cut],
    [second, rest],
    [third, 100 - cut - rest],
  ] as const) {
    split[version] = (split[version] ?? 0) + percent;
  }
  return split;
}

async function settle({ time, logic }: World): Promise<void> {
  await finish(time, logic.settled());
}

/** Whoever nobody took is taken once a version works again: liveness, after the faults have stopped. */
async function heal(world: World): Promise<void> {
  await world.time.advanceAsync(61_000);
  for (const version of VERSIONS) await finish(world.time, world.logic.loadModuleVersion(version));
  await settle(world);
  expect(world.logic.entities().filter((entity) => world.logic.versionOf(entity) === null)).toEqual([]);
}

/** The last word on the split holds, also where it comes while entities follow the one before. */
async function changeTwice(world: World): Promise<void> {
  const { logic, random, time } = world;
  for (const entity of logic.entities()) await finish(time, logic.pinEntity(entity, null));
  const wanted = random.pick([...VERSIONS]);
  const first = logic.setTrafficSplit(randomSplit(world));
  await time.advanceAsync(random.below(12));
  await finish(time, Promise.all([first, logic.setTrafficSplit({ [wanted]: 100 })]));
  await settle(world);
  expect(logic.entities().filter((entity) => logic.versionOf(entity) !== wanted)).toEqual([]);
}

async function statesOf({ time, logic }: World): Promise<ReadonlyMap<string, Counted>> {
  return (await finish(time, logic.getState())) as ReadonlyMap<string, Counted>;
}

async function judge(world: World, where: string): Promise<void> {
  const { logic, model, threads } = world;
  const states = await statesOf(world);
  const found = [...states].map(([name, { count, sum }]) => ({ name, count, sum }));
  const expected = [...model].map(([name, state]) => ({ name, ...state }));
  expect({ where, found: found.sort(byName) }).toEqual({ where, found: expected.sort(byName) });

  // In exactly one thread, and in the one that the module says.
  const held = threads.running.flatMap(({ servant, version }) =>
    servant.roster.entities.map((name) => ({ name, version })),
  );
  const homed = logic
    .entities()
    .map((name) => ({ name, version: logic.versionOf(name) }))
    .filter(({ version }) => version !== null);
  expect({ where, held: held.sort(byName) }).toEqual({ where, held: homed.sort(byName) });
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

/** Lets time pass until the promise has settled. */
async function finish<Result>(time: FakeTime, work: Promise<Result>): Promise<Result> {
  let isOver = false;
  const watched = work.finally(() => {
    isOver = true;
  });
  watched.catch(() => {});
  for (let spent = 0; !isOver && spent < 100_000; spent += 1) await time.advanceAsync(spent < 200 ? 1 : 50);
  if (!isOver) throw new Error("This does not settle within hours of simulated time.");
  return await watched;
}
