import { fork } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Outcome, Work } from "./child.ts";
import { type Measured, writeReport } from "./report.ts";
import { COLUMNS } from "./settings.ts";

/*
 * How the gating test compares with others, simulated: `npm run bench -- gating-report [seed] [runs]` writes
 * docs/gating-report.md and its pictures. Every run has a seed of its own, made of the report's, the column's name and its
 * number, so neither the order nor the number of processes changes a figure.
 */

const seed = process.argv[2] ?? "1";
const runs = Number(process.argv[3] ?? 2000);
if (!Number.isInteger(runs) || runs < 20)
  throw new RangeError(`cannot take ${process.argv[3]} as a number of runs: at least 20`);
const PROCESSES = 2;
/** Runs handed out at once: small enough to keep all processes busy to the end. */
const PORTION = 20;

console.log(`Seed ${seed}, ${runs} runs, ${COLUMNS.length} settings.`);
const queue: Work[] = COLUMNS.flatMap(({ table, name, experiment, share }, column) => {
  const seeds = Array.from(
    { length: Math.max(20, Math.round(runs * share)) },
    (_, run) => `${seed}/${table}/${name}/${run}`,
  );
  const portions: Work[] = [];
  for (let from = 0; from < seeds.length; from += PORTION) {
    portions.push({ column, experiment, seeds: seeds.slice(from, from + PORTION) });
  }
  return portions;
});
const outcomes = new Map<Work, Outcome>();
const total = queue.length;
const waiting = [...queue];
let percentDone = -1;

await Promise.all(Array.from({ length: PROCESSES }, () => work()));

const measured: Measured[] = COLUMNS.map((column, index) => {
  const parts = queue.filter((work) => work.column === index).flatMap((work) => outcomes.get(work) ?? []);
  const seconds = parts.flatMap((part) => part.seconds ?? []);
  const ends = parts.flatMap((part) => part.ends ?? []);
  return { column, outcome: { column: index, ...(seconds.length > 0 ? { seconds } : { ends }) } };
});
const docs = fileURLToPath(new URL("../../../docs", import.meta.url));
const { markdown, pictures } = writeReport(measured, seed, runs);
mkdirSync(path.join(docs, "gating-report"), { recursive: true });
writeFileSync(path.join(docs, "gating-report.md"), markdown);
for (const [name, picture] of Object.entries(pictures)) writeFileSync(path.join(docs, "gating-report", name), picture);
console.log("Wrote docs/gating-report.md.");

/** One process, fed until nothing is left. */
function work(): Promise<void> {
  const child = fork(fileURLToPath(new URL("child.ts", import.meta.url)), { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    let current = waiting.shift();
    const feed = (): void => {
      if (current === undefined) child.disconnect();
      else child.send(current);
    };
    child.on("message", (outcome: Outcome) => {
      if (current !== undefined) outcomes.set(current, outcome);
      showProgress();
      current = waiting.shift();
      feed();
    });
    child.on("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`a process ended with ${code}`));
    });
    feed();
  });
}

function showProgress(): void {
  const percent = Math.floor((100 * outcomes.size) / total);
  if (percent === percentDone) return;
  percentDone = percent;
  const column = COLUMNS[queue[outcomes.size - 1]?.column ?? 0];
  console.log(`${percent} % (${column?.table} ${column?.name})`);
}
