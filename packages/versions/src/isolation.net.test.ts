import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { createVersionedModule } from "./create-versioned-module.ts";
import { type Counted, type CountInput, type Fault, SLOW_MS } from "./fixtures/counting.ts";
import type { VersionedModuleOptions } from "./options.ts";
import type { ModuleEvents, RollbackReport, VersionedModule } from "./types.ts";

/* Real threads. What they hold is checked against what was asked for, whatever happened on the way. */

const VERSIONS = Object.fromEntries(
  ["v1", "v2", "v3"].map((name) => [name, new URL(`./fixtures/counting-${name}.ts`, import.meta.url)]),
);
const ENTITIES = Array.from({ length: 100 }, (_, index) => `player-${index}`);

/** On a busy machine a thread waits its turn for seconds. What is slow is not what these tests are after. */
const PATIENT = { deadlineMs: 20_000, loadTimeoutMs: 40_000 };

let logic: VersionedModule<CountInput>;
afterEach(() => logic.close());

async function open(options: Partial<VersionedModuleOptions> = {}): Promise<{
  readonly failures: ModuleEvents["failure"][];
  readonly rollbacks: RollbackReport[];
}> {
  logic = createVersionedModule<CountInput>({
    versions: VERSIONS,
    checkpointEveryMs: 0,
    ...options,
    limits: { maxHeapMb: 32, ...PATIENT, ...options.limits },
  });
  const failures: ModuleEvents["failure"][] = [];
  const rollbacks: RollbackReport[] = [];
  logic.on("failure", (failure) => failures.push(failure));
  logic.on("rollback", (rollback) => rollbacks.push(rollback));
  await logic.addEntities(ENTITIES.map((entity) => ({ entity, state: { count: 0, sum: 0, trail: ["v1"] } })));
  return { failures, rollbacks };
}

async function share(split: Record<string, number>): Promise<void> {
  for (const version of Object.keys(split)) await logic.loadModuleVersion(version);
  await logic.setTrafficSplit(split);
}

function counts(): Record<string, number> {
  const found: Record<string, number> = {};
  for (const entity of logic.entities()) {
    const at = logic.versionOf(entity) ?? "nowhere";
    found[at] = (found[at] ?? 0) + 1;
  }
  return found;
}

async function expectEveryone(count: number): Promise<void> {
  const states = (await logic.getState()) as ReadonlyMap<string, Counted>;
  expect([...states.keys()].sort()).toEqual([...ENTITIES].sort());
  expect(new Set([...states.values()].map((state) => state.count))).toEqual(new Set([count]));
  expect(new Set([...states.values()].map((state) => state.sum))).toEqual(new Set([count]));
}

describe("versions side by side in threads of their own", () => {
  it("has exactly 10, 30, 50, 80 and 100 of 100, and 20, 30 and 50 of three, losing nothing", async () => {
    await open();
    let batches = 0;
    for (const percent of [10, 30, 50, 80]) {
      await share({ v1: 100 - percent, v2: percent });
      expect(counts()).toEqual({ v1: 100 - percent, v2: percent });
      expect(await logic.process({ amount: 1 })).toMatchObject({ processedCount: 100, failed: [] });
      batches += 1;
    }
    await logic.setTrafficSplit({ v2: 100 });
    expect(counts()).toEqual({ v2: 100 });
    await share({ v1: 20, v2: 30, v3: 50 });
    expect(counts()).toEqual({ v1: 20, v2: 30, v3: 50 });
    await logic.process({ amount: 1 });
    await expectEveryone(batches + 1);
  });

  it("puts the versions' columns together in the order of the entities", async () => {
    await open();
    await share({ v1: 50, v2: 50 });
    const extra = Float64Array.from(ENTITIES, (_, index) => index);
    const { columns } = await logic.process({ amount: 1 }, { columns: { extra } });
    expect(columns.sum).toEqual(Float64Array.from(ENTITIES, (_, index) => index + 1));
    expect(extra).toHaveLength(100);
  });
});

describe("the times of a version", () => {
  it("are measured in its thread, and the slowest batch shows in the 99th percentile", async () => {
    await open();
    for (let batch = 0; batch < 9; batch += 1) await logic.process({ amount: 1 });
    await logic.process({ amount: 1, fault: { version: "v1", kind: "slow" } });
    const { avgProcessTimeMs, p99ProcessTimeMs, memoryUsageBytes } = logic.getVersionMetrics("v1");
    expect(p99ProcessTimeMs).toBeGreaterThanOrEqual(SLOW_MS);
    expect(avgProcessTimeMs).toBeGreaterThanOrEqual(SLOW_MS / 10);
    expect(avgProcessTimeMs).toBeLessThan(p99ProcessTimeMs);
    expect(memoryUsageBytes).toBeGreaterThan(2 ** 20);
  });
});

describe("hot reload", () => {
  it("takes up what the file and its imports hold now, and carries every state over", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "bunting-reload-"));
    try {
      const file = (step: number): void => {
        writeFileSync(path.join(folder, "step.mjs"), `export const STEP = ${step};`);
        writeFileSync(path.join(folder, "v1.mjs"), STEPPING);
      };
      file(1);
      const versions = { v1: pathToFileURL(path.join(folder, "v1.mjs")) };
      logic = createVersionedModule<CountInput>({ versions, limits: PATIENT });
      await logic.addEntities(ENTITIES.map((entity) => ({ entity, state: 0 })));
      await logic.process({ amount: 1 });
      file(10);
      const report = await logic.reloadModuleVersion("v1");
      expect(report).toMatchObject({ version: "v1", entityCount: 100 });
      await logic.process({ amount: 1 });
      expect(new Set((await logic.getState()).values())).toEqual(new Set([11]));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Adds its step to each entity. */
const STEPPING = `
import { STEP } from "./step.mjs";
export function createModule() {
  const sums = new Map();
  return {
    process({ entities }) {
      for (const entity of entities) sums.set(entity, sums.get(entity) + STEP);
    },
    getState: (entity) => sums.get(entity),
    setState: (entity, sum) => void sums.set(entity, sum),
    removeState: (entity) => void sums.delete(entity),
  };
}
`;

describe("a version that fails affects no other, and its entities are back with the last good one", () => {
  const cases: readonly (readonly [Fault, string])[] = [
    ["throw", "process_threw"],
    ["reject", "process_threw"],
    ["bad_columns", "process_threw"],
    ["loop", "stalled"],
    ["exit", "exited"],
    ["leak_heap", "heap_limit"],
    ["leak_buffers", "heap_limit"],
    ["nonsense", "state_corrupt"],
  ];
  it.each(cases)("%s is found as %s", async (kind, code) => {
    const { failures, rollbacks } = await open(kind === "loop" ? { limits: { deadlineMs: 2_500 } } : {});
    await share({ v1: 70, v2: 30 });
    await logic.process({ amount: 1 });

    const result = await logic.process({ amount: 1, fault: { version: "v2", kind } });
    expect(result).toMatchObject({ processedCount: 100, failed: [] });
    expect(failures).toMatchObject([{ version: "v2", code }]);
    expect(rollbacks).toMatchObject([{ from: "v2", to: { v1: 30 }, cause: code, entityCount: 30, lostBatchCount: 0 }]);
    expect(counts()).toEqual({ v1: 100 });
    expect(logic.getLoadedVersions()).toEqual(["v1"]);
    await logic.process({ amount: 1 });
    await expectEveryone(3);
  });

  it("writes to entities that it was not to process are found at the next checkpoint", async () => {
    const { failures, rollbacks } = await open();
    await share({ v1: 50, v2: 50 });
    const theirs = ENTITIES.filter((entity) => logic.versionOf(entity) === "v2").slice(0, 5);
    await logic.process({ amount: 1 }, { entities: theirs });
    await logic.process({ amount: 1, fault: { version: "v2", kind: "corrupt" } }, { entities: theirs });
    expect(failures).toMatchObject([{ version: "v2", code: "state_corrupt" }]);
    expect(rollbacks).toMatchObject([{ from: "v2", to: { v1: 50 } }]);
    const states = (await logic.getState()) as ReadonlyMap<string, Counted>;
    for (const [entity, { sum }] of states) expect(sum).toBe(theirs.includes(entity) ? 2 : 0);
  });
});
