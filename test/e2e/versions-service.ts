import { setInterval as everyMs } from "node:timers/promises";
import { createFlags } from "@bunting/sdk";
import { createVersionedModule } from "@bunting/versions";
import type { Counted, CountInput, Fault } from "../../packages/versions/src/fixtures/counting.ts";

/*
 * A process of an application whose entities are with two versions of a module, as the flag says. It has a batch processed twenty
 * times a second. SIGUSR2: v2 breaks in the next one. SIGUSR1: v2 is loaded again. There is no word about evidence in it. Address,
 * token, names and fault come from the environment. What happens is printed, a JSON line each: see {@link Event}.
 */

export type Event =
  | { readonly type: "playing" }
  /** A version broke. */
  | { readonly type: "failure"; readonly at: number; readonly version: string; readonly code: string }
  /** A version that had broken was loaded again, and the server has been told. */
  | { readonly type: "mended" }
  /** A version that had broken was loaded again, and the server has been told. */
  | { readonly type: "mended" }
  /** Four times a second, between two batches. */
  | {
      readonly type: "played";
      readonly at: number;
      readonly revision: number;
      /** By version, how many entities are with it. */
      readonly population: Readonly<Record<string, number>>;
      /** Entities whose state is what all batches so far have made of it. */
      readonly intactCount: number;
    };

const TICK_MS = 50;
const TICKS_PER_REPORT = 5;
const ENTITY_COUNT = Number(process.env.ENTITIES);
const FAULT = process.env.FAULT as Fault;

const say = (event: Event): void => void process.stdout.write(`${JSON.stringify(event)}\n`);
const versionAt = (name: string): URL =>
  new URL(`../../packages/versions/src/fixtures/counting-${name}.ts`, import.meta.url);

const flags = createFlags({ cacheFile: false, instance: process.env.INSTANCE ?? "" });
await flags.ready({ timeoutMs: 30_000 });
const logic = createVersionedModule<CountInput>({
  flags,
  flag: process.env.FLAG ?? "",
  versions: { v1: versionAt("v1"), v2: versionAt("v2") },
  checkpointEveryMs: 0,
  // On a busy machine a thread waits its turn for seconds: only what hangs is to stall.
  limits: { deadlineMs: FAULT === "loop" ? 5_000 : 20_000, loadTimeoutMs: 40_000 },
});
logic.on("failure", ({ version, code }) => say({ type: "failure", at: Date.now(), version, code }));
const drafts = Array.from({ length: ENTITY_COUNT }, (_, index) => ({
  entity: `player-${index}`,
  state: { count: 0, sum: 0, trail: ["v1"] },
}));
await logic.addEntities(drafts);

let isFaultDue = false;
process.on("SIGUSR2", () => {
  isFaultDue = true;
});
process.on("SIGUSR1", () => void mend());
let batchCount = 0;
say({ type: "playing" });
for await (const _tick of everyMs(TICK_MS)) {
  const isBreaking = isFaultDue;
  isFaultDue = false;
  await logic.process(isBreaking ? { amount: 1, fault: { version: "v2", kind: FAULT } } : { amount: 1 });
  batchCount += 1;
  if (batchCount % TICKS_PER_REPORT === 0) await report();
}

async function mend(): Promise<void> {
  await logic.loadModuleVersion("v2");
  await flags.flush();
  say({ type: "mended" });
}

async function report(): Promise<void> {
  const states = (await logic.getState()) as ReadonlyMap<string, Counted>;
  const intactCount = [...states.values()].filter(
    ({ count, sum }) => count === batchCount && sum === batchCount,
  ).length;
  const population: Record<string, number> = {};
  for (const entity of logic.entities()) {
    const version = logic.versionOf(entity) ?? "none";
    population[version] = (population[version] ?? 0) + 1;
  }
  const revision = flags.status().position?.revision ?? 0;
  say({ type: "played", at: Date.now(), revision, population, intactCount });
}
