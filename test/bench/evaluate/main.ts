import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import path from "node:path";
import { bars, median, table } from "./chart.ts";
import type { Report } from "./child.ts";
import { YOUNG_MB } from "./measure.ts";
import { SCENARIOS } from "./workload.ts";

/*
 * What one evaluation costs, beside other libraries that do the same work in the same run: `npm run bench -- evaluate`.
 * Quote the ratios; the nanoseconds belong to the machine and the hour.
 */

const FLOOR = "engine";
const OURS = "bunting";
const PEERS: Readonly<Record<string, string>> = {
  growthbook: "@growthbook/growthbook",
  flagd: "@openfeature/flagd-core",
  unleash: "unleash-client",
  launchdarkly: "@launchdarkly/node-server-sdk",
};
const NAMES: Readonly<Record<string, string>> = {
  [FLOOR]: "bare engine (the floor)",
  [OURS]: "@bunting/sdk",
  ...PEERS,
};
const ROUNDS = Number(process.argv[2] ?? 3);

const subjects = Object.keys(NAMES);
const times = new Map<string, number[]>();
const bytes = new Map<string, number>();
const versions = new Map<string, string>();

console.log(`${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, Node.js ${process.version}.`);
console.log(`100 flags, 10,000 users with 24-character keys. ${ROUNDS} rounds, one process per library and round.\n`);

for (let round = 1; round <= ROUNDS; round++) {
  for (const subject of rotated(subjects, round)) {
    process.stderr.write(`\rround ${round} of ${ROUNDS}: ${NAMES[subject]}`.padEnd(60));
    const { version, results } = run(subject, "time");
    versions.set(subject, version);
    for (const { scenario, samples } of results) {
      const cell = `${subject}/${scenario}`;
      times.set(cell, [...(times.get(cell) ?? []), ...samples]);
    }
  }
}
for (const subject of subjects) {
  process.stderr.write(`\rbytes: ${NAMES[subject]}`.padEnd(60));
  for (const { scenario, samples } of run(subject, "bytes").results)
    bytes.set(`${subject}/${scenario}`, median(samples));
}
process.stderr.write(`\r${" ".repeat(60)}\r`);

const title = (subject: string): string => `${NAMES[subject]} ${versions.get(subject) ?? ""}`.trim();
const typical = (subject: string, scenario: string): number => median(times.get(`${subject}/${scenario}`) ?? []);
const best = (subject: string, scenario: string): number => Math.min(...(times.get(`${subject}/${scenario}`) ?? []));

console.log("Nanoseconds of CPU time per evaluation, median (best batch); bytes allocated per evaluation\n");
console.log(
  table([
    ["", ...SCENARIOS.map(({ name }) => name), "bytes"],
    ...subjects.map((subject) => [
      title(subject),
      ...SCENARIOS.map(({ name }) => `${round(typical(subject, name))} (${round(best(subject, name))})`),
      round(Math.max(...SCENARIOS.map(({ name }) => bytes.get(`${subject}/${name}`) ?? 0))),
    ]),
  ]),
);

for (const { name } of SCENARIOS) {
  console.log(`\n${name}: median ns, logarithmic`);
  console.log(
    bars(subjects.map((subject) => ({ label: title(subject), value: typical(subject, name), ours: subject === OURS }))),
  );
}

console.log("\nRatios of medians in this run\n");
console.log(
  table([
    ["", ...SCENARIOS.map(({ name }) => name)],
    [`${NAMES[OURS]} to the floor`, ...SCENARIOS.map(({ name }) => ratio(typical(OURS, name), typical(FLOOR, name)))],
    ["fastest peer to ours", ...SCENARIOS.map(({ name }) => ratio(Math.min(...peerTimes(name)), typical(OURS, name)))],
    ["slowest peer to ours", ...SCENARIOS.map(({ name }) => ratio(Math.max(...peerTimes(name)), typical(OURS, name)))],
  ]),
);

function peerTimes(scenario: string): readonly number[] {
  return Object.keys(PEERS).map((peer) => typical(peer, scenario));
}

function run(subject: string, mode: "time" | "bytes"): Report {
  const flags =
    mode === "bytes" ? ["--expose-gc", `--min-semi-space-size=${YOUNG_MB}`, `--max-semi-space-size=${YOUNG_MB}`] : [];
  const child = path.join(import.meta.dirname, "child.ts");
  const options = [...flags, "--conditions=@bunting/source", "--import", "tsx", child, subject, mode];
  const output = execFileSync(process.execPath, options, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const report = JSON.parse(output) as Report;
  if (report.wrong.length > 0)
    throw new Error(`${NAMES[subject]} serves other shares than it was told: ${report.wrong.join("; ")}`);
  return report;
}

/** Another first one in each round, so that none always runs on a cold or a warm machine. */
function rotated(names: readonly string[], by: number): readonly string[] {
  const start = by % names.length;
  return [...names.slice(start), ...names.slice(0, start)];
}

function round(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(value < 10 ? 1 : 0);
}

function ratio(value: number, to: number): string {
  const times = value / to;
  return `${times >= 10 ? Math.round(times).toLocaleString("en") : times.toFixed(1)}x`;
}
