import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import path from "node:path";
import type { EvidenceCell, Rollout, VariantKey } from "@bunting/contracts";
import { EVIDENCE_GROUPS, LATENCY_LADDER_MS } from "@bunting/contracts/literals";
import { binIndex, binLatencyMs, defaultPlan, judgeGuardrails, judgementInputs } from "@bunting/gating";
import { createSeededRandom } from "@bunting/testkit";
import Database from "better-sqlite3";
import { AttemptMemory } from "../../../server/src/controller/attempt-memory.ts";
import type { AttemptArms, EvidenceRow } from "../../../server/src/evidence/evidence.ts";
import { inPages } from "../../../server/src/evidence/in-pages.ts";
import { measureRollout } from "../../../server/src/evidence/rollout-metrics.ts";
import { encodeCounts } from "../../../server/src/telemetry/cell-sum.ts";
import { EvidenceStore, type StoredEvidence } from "../../../server/src/telemetry/evidence-store.ts";
import { STEPS } from "../../../server/src/telemetry/schema.ts";

/*
 * For how long long evidence holds the event loop of the server: a look when something comes late, made anew in one go and in
 * steps from the mark before it; and what people ask for. `npm run bench -- late-evidence [hours]`.
 */

const HOURS = Number(process.argv[2] ?? 24);
const FIRST = 180_000_000;
const ON = "on" as VariantKey;
const OFF = "off" as VariantKey;
const ROLLOUT = {
  id: "ro-bench",
  attempt: 1,
  stage: 0,
  plan: defaultPlan(ON, OFF),
  formerServe: null,
  stageStartedAt: new Date(FIRST * 10_000).toISOString(),
} as unknown as Rollout;
const ARMS: AttemptArms = { rollout: ROLLOUT.id, attempt: 1, canary: ON, control: OFF };

const random = createSeededRandom(20261121);
const folder = mkdtempSync(path.join(tmpdir(), "bunting-late-evidence-"));
const database = new Database(path.join(folder, "telemetry.db"));
for (const step of STEPS) database.exec(step);
const insert = database.prepare("INSERT INTO evidence VALUES (?, 1, ?, 0, ?, ?, ?)");
const insertSeries = database.prepare("INSERT INTO series VALUES (?, 1, ?, ?, ?, ?)");
const intervalCount = HOURS * 360;
const [BEGIN_MS, END_MS] = [FIRST * 10_000, (FIRST + intervalCount) * 10_000];
database.transaction(() => {
  for (let index = 0; index < intervalCount; index += 1) {
    for (const variant of [ON, OFF]) {
      insert.run(
        ROLLOUT.id,
        FIRST + index,
        variant,
        FIRST + index + 2,
        encodeCounts(counted(variant === ON ? 300 : 2_700)),
      );
    }
  }
})();
database.transaction(() => {
  for (const windowMs of [60_000, 3_600_000]) {
    for (let startsAt = Math.floor(BEGIN_MS / windowMs) * windowMs; startsAt < END_MS; startsAt += windowMs) {
      for (const variant of [ON, OFF]) {
        const counts = { ...counted(variant === ON ? 1_800 : 16_200), ladder: [] };
        insertSeries.run(ROLLOUT.id, windowMs, startsAt, variant, encodeCounts(counts));
      }
    }
  }
})();
const store = new EvidenceStore(database);
const evidence = {
  cells: (_: AttemptArms, { after = -1, through }: { after?: number; through: number }) =>
    store.evidence(ARMS, { after, through }).map(toRow),
  page: (_: AttemptArms, range: Parameters<EvidenceStore["evidencePage"]>[1]) =>
    store.evidencePage(ARMS, range).map(toRow),
};

console.log(`${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, Node.js ${process.version}.`);
console.log(`${HOURS} hours of errors and latencies, two arms, 300 outcomes a second. CPU time.\n`);
console.log(
  "                                   in one go: held for   in steps: turns   median      p99      max   all of them",
);
let index = FIRST + intervalCount + 2;
const memory = new AttemptMemory(ROLLOUT);
report("a server that starts", inOneGo(), inSteps());
for (const [words, late] of [
  ["something 30 s late", 3],
  ["something 10 min late", 60],
  ["something 2 h late, the most there is", 720],
] as const) {
  index += 1;
  insert.run(ROLLOUT.id, FIRST + intervalCount - late, ON, index, encodeCounts(counted(40)));
  report(words, inOneGo(), inSteps());
}
console.log("");
await reportAsked("a decision with all it rests on", async (soon) => {
  const range = { through: index };
  for await (const rows of inPages(
    (after: EvidenceRow | null, limit) => evidence.page(ARMS, { after, limit, ...range }),
    { soon },
  ))
    JSON.stringify(rows);
});
for (const [words, resolution, spanMs] of [
  ["measurements of an hour", "10s", 3_600_000],
  ["measurements of a day", "1m", 86_400_000],
  ["measurements of all of it", "1h", HOURS * 3_600_000],
] as const) {
  const span = { resolution, fromMs: Math.max(BEGIN_MS, END_MS - spanMs), toMs: END_MS };
  const telemetry = { withEvidence: <Result>(read: (from: EvidenceStore) => Result): Result => read(store) };
  await reportAsked(words, (soon) => measureRollout({ telemetry, scheduler: { soon } }, ARMS, ROLLOUT, span));
}
database.close();
rmSync(folder, { recursive: true });

/** As it was: everything is read, and everything added. */
function inOneGo(): number {
  const startedAt = process.cpuUsage();
  const cells = evidence.cells(ARMS, { through: index });
  const inputs = judgementInputs({
    kind: "analysis",
    rollout: ROLLOUT,
    flag: { killed: false, configurationVersion: 1 },
    cells,
    samples: {},
    breakers: { openInstanceCount: 0, canaryInstanceCount: 1 },
    previous: null,
    now: index * 10_000,
  });
  judgeGuardrails(inputs);
  return cpuMs(startedAt);
}

function inSteps(): readonly number[] {
  const turns: number[] = [];
  for (let isDone = false; !isDone; ) {
    const startedAt = process.cpuUsage();
    isDone = memory.advance(evidence, index, index * 10_000) === "done";
    turns.push(cpuMs(startedAt));
  }
  return turns;
}

/** @param ask takes its turns by what it is given */
async function reportAsked(words: string, ask: (soon: (task: () => void) => void) => Promise<unknown>): Promise<void> {
  const turns: number[] = [];
  let startedAt = process.cpuUsage();
  await ask((task) => {
    turns.push(cpuMs(startedAt));
    setImmediate(() => {
      startedAt = process.cpuUsage();
      task();
    });
  });
  turns.push(cpuMs(startedAt));
  report(words, null, turns);
}

/** Of this process, its garbage collection included: others on the machine take no part in it. */
function cpuMs(startedAt: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(startedAt);
  return (user + system) / 1_000;
}

function report(words: string, before: number | null, turns: readonly number[]): void {
  const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
  const total = turns.reduce((sum, turn) => sum + turn, 0);
  const sorted = turns.toSorted((one, other) => one - other);
  const at = (quantile: number): string => ms(sorted[Math.floor(quantile * (sorted.length - 1))] ?? 0).padStart(9);
  const cells = [
    (before === null ? "" : ms(before)).padStart(19),
    String(turns.length).padStart(16),
    at(0.5),
    at(0.99),
    at(1),
  ];
  console.log(`${words.padEnd(38)}${cells.join(" ")}${ms(total).padStart(14)}`);
}

function toRow({ counts, ...place }: StoredEvidence): EvidenceRow {
  return { ...place, ...counts, rollout: ROLLOUT.id, attempt: 1, variant: place.variant as VariantKey };
}

/** Latencies around 80 ms with a long tail, one error in two hundred. */
function counted(outcomeCount: number): Omit<EvidenceCell, "rollout" | "attempt" | "stage" | "variant" | "interval"> {
  const sketch = new Map<number, number>();
  const ladder = new Map<string, [number, number, number]>();
  const groups = Array.from({ length: EVIDENCE_GROUPS }, (_, group): [number, number, number, number, number] => [
    group,
    0,
    0,
    0,
    0,
  ]);
  let errorCount = 0;
  for (let one = 0; one < outcomeCount; one += 1) {
    const bin = binIndex(40 * Math.exp(3 * random.next() ** 2) * (0.7 + random.next()));
    const group = random.below(EVIDENCE_GROUPS);
    const isError = random.next() < 0.005;
    sketch.set(bin, (sketch.get(bin) ?? 0) + 1);
    const sums = groups[group];
    if (sums) {
      sums[1] += 1;
      sums[2] += 1;
      sums[3] += isError ? 1 : 0;
      sums[4] += isError ? 1 : 0;
    }
    errorCount += isError ? 1 : 0;
    for (const [rung, above] of LATENCY_LADDER_MS.entries()) {
      if (binLatencyMs(bin) <= above) break;
      const entry = ladder.get(`${group}/${rung}`) ?? [group, rung, 0];
      entry[2] += 1;
      ladder.set(`${group}/${rung}`, entry);
    }
  }
  return {
    exposureCount: outcomeCount,
    unitCount: outcomeCount,
    outcomeCount,
    errorCount,
    unitErrorCount: errorCount,
    uncheckedCount: 0,
    groups: groups.filter(([, unitCount]) => unitCount > 0),
    sketch: [...sketch].sort(([one], [other]) => one - other),
    ladder: [...ladder.values()],
  };
}
