// Breaks the decisions about rollouts on purpose, one small change at a time, and shows which tests notice: `npm run mutants`.
// A mutant that no test notices survives, and the command fails. Names after -- choose mutants: npm run mutants -- A D.
// With --check it only looks whether each mutant still fits the sources, which a test asks for.
// Everything happens in a copy: the working tree is only read.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const packageFolder = "packages/gating";

/**
 * A to E are the classic faults of a canary deployer; the others are what a careful reader would try next. `from` stands in
 * the file exactly once, or the mutant is out of date and the command says so.
 */
const mutants = [
  {
    name: "A",
    fault: "The first stage sends 10 %, and all others nothing",
    file: "rollout.ts",
    from: "plan.stages.map(({ percent }) => percent)",
    to: "plan.stages.map((_, index) => (index === 0 ? 10 : 0))",
  },
  {
    name: "B",
    fault: "A machine promotes without looking at the evidence",
    file: "decide.ts",
    from: "transition(stateOf(rollout), eventOf(rollout, judgement), gates)",
    to: 'transition(stateOf(rollout), { type: "pass", attempt: rollout.attempt, stage: rollout.stage ?? 0 }, gates)',
  },
  {
    name: "C",
    fault: "A rollback goes back to the first stage, and the canary stays",
    file: "machine.ts",
    from: 'move({ name: "rolled_back", attempt, stage }, { type: "restore_control" }, notify("rolled_back"))',
    to: 'move({ name: "running", attempt, stage: 0 }, notify("rolled_back"))',
  },
  {
    name: "C2",
    fault: "A rollback ends the attempt, and the canary keeps its traffic",
    file: "machine.ts",
    from: 'move({ name: "rolled_back", attempt, stage }, { type: "restore_control" }, notify("rolled_back"))',
    to: 'move({ name: "rolled_back", attempt, stage }, notify("rolled_back"))',
  },
  {
    name: "D",
    fault: "Ten errors are too many, of however many requests",
    file: "measurement.ts",
    from: "beyondLimit: rates.canary !== null && max !== undefined && isAbove(rates.canary, max, exclusive),",
    to: "beyondLimit: rates.canary !== null && max !== undefined && rates.canary * rates.canaryCount >= 10,",
  },
  {
    name: "E",
    fault: "A promotion is answered with the next stage, and not stored",
    file: "rollout.ts",
    from: "    attempt: state.attempt,\n    stage,\n",
    to: "    attempt: state.attempt,\n    stage: rollout.stage ?? 0,\n",
  },
  {
    name: "closed-window",
    fault: "A machine promotes whatever the calendar says",
    file: "machine.ts",
    from: 'if (!isLast && !gates.opening.open) return hold(state, "outside_window");',
    to: "",
  },
  {
    name: "wrong-zone",
    fault: "A window is read off the clock in UTC",
    file: "windows.ts",
    from: "const local = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timezone);",
    to: 'const local = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timezone && "UTC");',
  },
  {
    name: "blind-pause",
    fault: "Nobody watches a rollout that is paused",
    file: "machine.ts",
    from: 'pass: (state) => hold(state, "manual"),\n    fail,',
    to: 'pass: (state) => hold(state, "manual"),\n    fail: stay,',
  },
  {
    name: "deaf-to-people",
    fault: "A killed flag is treated as any other",
    file: "rollout.ts",
    from: 'if (flag.killed) return "killed";',
    to: "",
  },
  {
    name: "kill-with-canary",
    fault: "Behind a kill the canary keeps its share, for whoever restores the flag",
    file: "machine.ts",
    from: '{ type: "kill_flag" },\n        { type: "restore_control" },',
    to: '{ type: "kill_flag" },',
  },
  {
    name: "old-statistics",
    fault: "A retry goes on in the failed attempt",
    file: "machine.ts",
    from: "return begin(attempt + 1, gates);",
    to: "return begin(attempt, gates);",
  },
  {
    name: "old-evidence",
    fault: "What another attempt counted counts",
    file: "decide.ts",
    from: "if (cell.rollout !== rollout.id || cell.attempt !== rollout.attempt) continue;",
    to: "",
  },
  {
    name: "no-veto",
    fault: "A NO-GO is outvoted",
    file: "approval.ts",
    from: 'if (rejection) return { name: "rejected", by: rejection.by, comment: rejection.comment };',
    to: "",
  },
  {
    name: "two-hats",
    fault: "One person signs for two roles",
    file: "approval.ts",
    from: "roles.filter((role) => !fill(role, new Set()))",
    to: "roles.filter((role) => fill(role, new Set()) && !signatures.some((signature) => signature.roles.includes(role)))",
  },
  {
    name: "forced-in-secret",
    fault: "A promotion against the evidence is not marked",
    file: "machine.ts",
    from: "return promote(state, gates, !gates.hasPass);",
    to: "return promote(state, gates, false);",
  },
  {
    name: "no-bake",
    fault: "The least time of a stage is nobody's business",
    file: "promotion.ts",
    from: "...(bakedSeconds >= bakeSeconds",
    to: "...(bakedSeconds >= 0",
  },
  {
    name: "lossy-split",
    fault: "Rounding loses a thousandth of a percent",
    file: "split.ts",
    from: "toPercent(raised.has(variant) ? steps + 1 : steps)",
    to: "toPercent(raised.has(variant) ? steps : steps)",
  },
];

/** Tests of what is done; those of the statistics take longer and would notice none of this sooner. */
const tests = [
  "approval",
  "canary-deployer",
  "command",
  "decide",
  "lifecycle",
  "machine",
  "plan",
  "replay",
  "split",
  "what-if",
  "windows",
].map((name) => `src/${name}.test.ts`);

const chosen = process.argv.slice(2);
if (chosen[0] === "--check") {
  for (const mutant of mutants) mutated(path.join(root, packageFolder, "src", mutant.file), mutant);
  console.log(`${mutants.length} mutants fit the sources.`);
  process.exit();
}
const unknown = chosen.filter((name) => !mutants.some((mutant) => mutant.name === name));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(", ")}. Mutants: ${mutants.map(({ name }) => name).join(", ")}.`);
  process.exit(2);
}

const copy = copyOfPackage();
try {
  const sound = failuresIn(copy);
  if (sound.length > 0) throw new Error(`The tests fail without a mutant: ${sound.join("; ")}`);
  const survivors = mutants.filter(({ name }) => chosen.length === 0 || chosen.includes(name)).filter(survives);
  console.log(
    survivors.length === 0
      ? "No mutant survived."
      : `Survived, so a test is missing: ${survivors.map(({ name }) => name).join(", ")}.`,
  );
  process.exitCode = survivors.length === 0 ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true, force: true });
}

function survives(mutant) {
  const { name, fault, file } = mutant;
  const target = path.join(copy, packageFolder, "src", file);
  const source = readFileSync(target, "utf8");
  writeFileSync(target, mutated(target, mutant));
  const failures = failuresIn(copy);
  writeFileSync(target, source);
  console.log(`${failures.length === 0 ? "SURVIVED" : "killed  "} ${name}: ${fault}.`);
  console.log(failures.length === 0 ? "" : `         ${failures.length} tests fail, among them:`);
  // One of each file tells more than ten of one.
  const perFile = new Map(failures.toReversed().map((failure) => [failure.split(" > ")[0], failure]));
  for (const failure of [...perFile.values()].toReversed().slice(0, 5)) console.log(`         - ${failure}`);
  console.log();
  return failures.length === 0;
}

/** The file with the fault in it. */
function mutated(target, { name, file, from, to, everywhere = false }) {
  const source = readFileSync(target, "utf8");
  const count = source.split(from).length - 1;
  if (count === 0 || (count > 1 && !everywhere)) {
    throw new Error(`Mutant ${name} is out of date: its text stands ${count} times in ${file}.`);
  }
  return source.replaceAll(from, () => to);
}

/** The package alone, beside links to what it is built with. */
function copyOfPackage() {
  const folder = mkdtempSync(path.join(tmpdir(), "bunting-mutants-"));
  const target = path.join(folder, packageFolder);
  mkdirSync(target, { recursive: true });
  for (const name of ["src", "package.json"]) {
    cpSync(path.join(root, packageFolder, name), path.join(target, name), { recursive: true });
  }
  symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"), "junction");
  // A test compares a guide with the plan in it.
  symlinkSync(path.join(root, "docs"), path.join(folder, "docs"), "junction");
  symlinkSync(path.join(root, packageFolder, "node_modules"), path.join(target, "node_modules"), "junction");
  const conditions = '["@bunting/source", "node", "development|production"]';
  writeFileSync(
    path.join(target, "vitest.config.mjs"),
    `export default { resolve: { conditions: ${conditions} }, ssr: { resolve: { conditions: ${conditions} } } };\n`,
  );
  return folder;
}

/** Full names of the tests that fail there, each behind its file. A file that does not even load is one failure. */
function failuresIn(folder) {
  const report = path.join(folder, "report.json");
  rmSync(report, { force: true });
  const vitest = path.join(root, "node_modules/vitest/vitest.mjs");
  const { stderr } = spawnSync(
    process.execPath,
    [vitest, "run", "--root", path.join(folder, packageFolder), "--reporter=json", `--outputFile=${report}`, ...tests],
    { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
  );
  const results = readReport(report, stderr).testResults;
  return results.flatMap(({ name, status, assertionResults }) => {
    const file = path.basename(name);
    const failed = assertionResults.filter((result) => result.status === "failed");
    if (failed.length === 0 && status === "failed") return [`${file} > does not load`];
    return failed.map((result) => [file, ...result.ancestorTitles, result.title].join(" > "));
  });
}

function readReport(report, stderr) {
  try {
    return JSON.parse(readFileSync(report, "utf8"));
  } catch (error) {
    throw new Error(`vitest wrote no report: ${stderr.slice(-2000)}`, { cause: error });
  }
}
