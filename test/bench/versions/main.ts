import { cpus } from "node:os";
import { createVersionedModule, type VersionedModule } from "@bunting/versions";
import { bars, median, table } from "../evaluate/chart.ts";
import { createModule } from "./subjects/movement.ts";

/*
 * What it costs to have a batch routed to versions in threads of their own, beside the same module called directly in the same
 * run, and what it costs to change the split: `npm run bench -- versions`. Quote the ratios and how they grow; the
 * milliseconds belong to the machine and the hour. Wall time, for that is what a caller waits.
 */

const SIZES = [1_000, 10_000, 100_000] as const;
const SUBJECTS = {
  direct: "called directly",
  one: "routed, one version",
  two: "routed, two versions, 50 and 50 %",
  kept: "the same, states kept after each batch",
} as const;
type Subject = keyof typeof SUBJECTS;

const ROUNDS = 3;
const ROUND_MS = 200;
const INPUT = { seconds: 1 / 60 };
const FILE = new URL("./subjects/movement.ts", import.meta.url);
/** Long enough for the states of 100,000 entities in one message: a deadline is not what is measured. */
const DEADLINE_MS = 30_000;

const times = new Map<string, number[]>();
const changes: string[][] = [["", "entities moved", "ms", "µs per entity moved", "longest slice, ms"]];

console.log(`${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, Node.js ${process.version}.`);
console.log(`One number moves per entity. ${ROUNDS} rounds of ${ROUND_MS} ms, the subjects in turn.\n`);

for (const size of SIZES) {
  const entities = Array.from({ length: size }, (_, index) => `entity-${index}`);
  process.stderr.write(`\r${size.toLocaleString("en")} entities`.padEnd(40));
  const direct = createModule();
  for (const entity of entities) direct.setState(entity, { x: 0, vx: 1 });
  const one = await routed(entities, {});
  const two = await routed(entities, { v1: 50, v2: 50 });
  const kept = await routed(entities, { v1: 50, v2: 50 }, 0);
  const calls: Readonly<Record<Subject, () => unknown>> = {
    direct: () => direct.process({ input: INPUT, entities, columns: {}, fail() {} }),
    one: () => one.process(INPUT),
    two: () => two.process(INPUT),
    kept: () => kept.process(INPUT),
  };
  const subjects = Object.keys(SUBJECTS) as Subject[];
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const subject of subjects) {
      const samples = await sample(calls[subject]);
      // The first round is for the compiler.
      if (round > 0) times.set(cell(subject, size), [...(times.get(cell(subject, size)) ?? []), ...samples]);
    }
  }
  changes.push(await changeSplit(two, size));
  await Promise.all([one, two, kept].map((module) => module.close()));
}
process.stderr.write(`\r${" ".repeat(40)}\r`);

const typical = (subject: Subject, size: number): number => median(times.get(cell(subject, size)) ?? []);
const best = (subject: Subject, size: number): number => Math.min(...(times.get(cell(subject, size)) ?? []));
const subjects = Object.entries(SUBJECTS) as [Subject, string][];
const heads = SIZES.map((size) => size.toLocaleString("en"));

console.log("Milliseconds per batch of so many entities, median (best)\n");
console.log(
  table([
    ["", ...heads],
    ...subjects.map(([subject, title]) => [
      title,
      ...SIZES.map((size) => `${figure(typical(subject, size))} (${figure(best(subject, size))})`),
    ]),
  ]),
);

console.log("\nNanoseconds per entity, median\n");
console.log(
  table([
    ["", ...heads],
    ...subjects.map(([subject, title]) => [
      title,
      ...SIZES.map((size) => figure((typical(subject, size) * 1e6) / size)),
    ]),
  ]),
);

for (const size of [1_000, 100_000]) {
  console.log(`\n${size.toLocaleString("en")} entities: median µs per batch, logarithmic`);
  console.log(
    bars(
      subjects.map(([subject, label]) => ({
        label,
        value: typical(subject, size) * 1_000,
        ours: subject !== "direct",
      })),
    ),
  );
}

console.log("\nRatios of medians in this run: routed to direct, and 100,000 entities to 1,000 (100x the work)\n");
console.log(
  table([
    ["", ...heads.map((head) => `to direct, ${head}`), "growth"],
    ...subjects.map(([subject, title]) => [
      title,
      ...SIZES.map((size) => ratio(typical(subject, size), typical("direct", size))),
      ratio(typical(subject, 100_000), typical(subject, 1_000)),
    ]),
  ]),
);

console.log("\nA change of the split by 10 points: drained, migrated, restored, acknowledged, median of 4\n");
console.log(table(changes));

async function routed(
  entities: readonly string[],
  split: Record<string, number>,
  checkpointEveryMs = 1e9,
): Promise<VersionedModule> {
  const module = createVersionedModule({
    versions: { v1: FILE, v2: FILE },
    checkpointEveryMs,
    limits: { deadlineMs: DEADLINE_MS, loadTimeoutMs: DEADLINE_MS },
  });
  await module.loadModuleVersion("v1");
  await module.addEntities(entities.map((entity) => ({ entity, state: { x: 0, vx: 1 } })));
  if (split.v2 !== undefined) {
    await module.loadModuleVersion("v2");
    await module.setTrafficSplit(split);
  }
  return module;
}

/** Wall milliseconds of each call, for about {@link ROUND_MS} and at least three calls. */
async function sample(call: () => unknown): Promise<readonly number[]> {
  const samples: number[] = [];
  const until = performance.now() + ROUND_MS;
  while (performance.now() < until || samples.length < 3) {
    const startedAt = performance.now();
    await call();
    samples.push(performance.now() - startedAt);
  }
  return samples;
}

/** There and back, twice. Batches come between two slices of a move, so the longest slice is what one of them waits for. */
async function changeSplit(module: VersionedModule, size: number): Promise<string[]> {
  let [movedCount, longest] = [0, 0];
  const stop = module.on("move", (move) => {
    movedCount += move.movedCount;
    longest = Math.max(longest, move.durationMs);
  });
  const samples: number[] = [];
  for (const percent of [60, 50, 60, 50]) {
    const startedAt = performance.now();
    await module.setTrafficSplit({ v1: 100 - percent, v2: percent });
    samples.push(performance.now() - startedAt);
  }
  stop();
  const [ms, each] = [median(samples), movedCount / samples.length];
  return [size.toLocaleString("en"), each.toLocaleString("en"), ...[ms, (ms * 1_000) / each, longest].map(figure)];
}

function cell(subject: Subject, size: number): string {
  return `${subject}/${size}`;
}

function figure(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(value >= 10 ? 1 : value >= 0.1 ? 2 : 3);
}

function ratio(value: number, to: number): string {
  const times = value / to;
  return `${times >= 10 ? Math.round(times).toLocaleString("en") : times.toFixed(1)}x`;
}
