import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import path from "node:path";
import { median, table } from "../evaluate/chart.ts";
import { YOUNG_MB } from "../evaluate/measure.ts";
import type { Report } from "./child.ts";

/*
 * What evidence costs, part by part: `npm run bench -- evidence`. Each part in processes of its own, so that none is compiled
 * for what another one does. Quote differences within one run; the nanoseconds belong to the machine and the hour. Run from
 * sources, every closure that is made is also given its name, which the built package does not do: `expose` makes several, and
 * costs a third of the figure there.
 */

const PARTS: Readonly<Record<string, string>> = {
  hash: "the hash of a key alone, to compare with",
  quiet: "isEnabled, 25 % rollout, counting, no live rollout",
  live: "isEnabled, 25 % rollout, live: exposure, unit, group",
  request: "isEnabled, live, outcomes() in use, outside of a request",
  unit: "a unit seen before, among 2,000",
  outcome: "an outcome: group, bin, bracket",
  success: "a success in the breaker's windows",
  runQuiet: "run, no live rollout",
  run: "run, live: two clock reads, exposure, outcome",
  expose: "expose and success, live",
  track: "track, live",
};
const ROUNDS = Number(process.argv[2] ?? 3);
/** What isEnabled may cost, and the best of the hash on the machine where that was settled. */
const [BAR_NS, BAR_HASH_NS] = [60, 30];

const times = new Map<string, number[]>();
const bytes = new Map<string, number>();

console.log(`${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, Node.js ${process.version}.`);
console.log(`10,000 users with 24-character keys. ${ROUNDS} rounds, one process per part and round.\n`);

for (let round = 1; round <= ROUNDS; round++) {
  for (const part of Object.keys(PARTS)) {
    process.stderr.write(`\rround ${round} of ${ROUNDS}: ${part}`.padEnd(60));
    times.set(part, [...(times.get(part) ?? []), ...run(part, "time").samples]);
  }
}
for (const part of Object.keys(PARTS)) {
  process.stderr.write(`\rbytes: ${part}`.padEnd(60));
  bytes.set(part, median(run(part, "bytes").samples));
}
process.stderr.write(`\r${" ".repeat(60)}\r`);

const best = (part: string): number => Math.min(...(times.get(part) ?? []));

console.log(
  "Nanoseconds of CPU time per call, best batch and median; bytes allocated per call; best to the best of the hash\n",
);
console.log(
  table([
    ["", "best", "median", "bytes", "to the hash"],
    ...Object.entries(PARTS).map(([part, title]) => [
      title,
      best(part).toFixed(1),
      median(times.get(part) ?? []).toFixed(1),
      (bytes.get(part) ?? 0).toFixed(1),
      `${(best(part) / best("hash")).toFixed(2)}x`,
    ]),
  ]),
);
console.log(
  `\nThe bar of ${BAR_NS} ns for isEnabled was set where the hash takes ${BAR_HASH_NS}: ${(BAR_NS / BAR_HASH_NS).toFixed(2)}x. ` +
    "How fast this machine is in this hour shows in the hash, which is nearly nothing but charCodeAt.",
);

function run(part: string, mode: "time" | "bytes"): Report {
  const flags =
    mode === "bytes" ? ["--expose-gc", `--min-semi-space-size=${YOUNG_MB}`, `--max-semi-space-size=${YOUNG_MB}`] : [];
  const child = path.join(import.meta.dirname, "child.ts");
  const options = [...flags, "--conditions=@bunting/source", "--import", "tsx", child, part, mode];
  return JSON.parse(
    execFileSync(process.execPath, options, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }),
  ) as Report;
}
