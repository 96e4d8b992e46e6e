import { dotChart, type Series } from "./chart.ts";
import type { Outcome } from "./child.ts";
import { LATENCY_METHODS, LOSSES, type RolloutEnd } from "./experiments.ts";
import { METHODS } from "./methods.ts";
import type { Column } from "./settings.ts";

/** A column with all its runs. */
export interface Measured {
  readonly column: Column;
  readonly outcome: Outcome;
}

export interface Report {
  readonly markdown: string;
  /** By file name. */
  readonly pictures: Readonly<Record<string, string>>;
}

const PEER_NAMES = METHODS.map(({ name }) => name);
const isOurs = (name: string): boolean => name.startsWith("Bunting");

export function writeReport(measured: readonly Measured[], seed: string, runs: number): Report {
  const of = (table: Column["table"]): readonly Measured[] => measured.filter(({ column }) => column.table === table);
  const worst = Math.max(...of("aa").map((one) => firedRate(one, PEER_NAMES.length - 1)));
  const loose = Math.max(...of("aa").map((one) => firedRate(one, PEER_NAMES.length - 2)));
  const worstProof = Math.max(
    ...of("proof").flatMap((one) => (one.column.name.endsWith(" at the margin") ? [firedRate(one, 0)] : [])),
  );
  return {
    pictures: {
      "false-rollbacks.svg": falseRollbacks(of("aa")),
      "detection-time.svg": detectionTimes([...of("power"), ...of("gross")]),
      "rollouts.svg": rolloutTimes(of("rollout"), of("schedule")),
    },
    markdown: `# Gating report

How often a rollout is rolled back without a regression, and how soon with one, simulated. Beside Bunting's test
stand re-implementations of what other canary controllers and experiment platforms publish. Everything is drawn from one seed:

\`\`\`sh
npm run bench -- gating-report ${seed} ${runs}
\`\`\`

The figures do not depend on the machine. Code: \`test/bench/gating-report\`; the test itself is specified in
[docs/spec/gating.md](spec/gating.md).

**Bunting at \`falseAlarmBudget\` .01 rolls back at most ${rate(worst)} of rollouts without a regression in any of these ${of("aa").length} settings** (at .05: ${rate(loose)}), looking every
ten seconds for an hour. Compare times only among methods that pass the first table: one that fires on anything is fast.

## Settings

An hour of 360 intervals of ten seconds with a look at each (Flagger and Argo look once a minute, Kayenta every ten minutes);
100 requests/s unless stated, base error rate .5 %. The base rate of both arms drifts by \`exp(.5 sin + AR(1))\` (.95, .08), and
in half of the runs a shared incident multiplies it by five for two minutes; traffic varies by 30 %. *iid*: independent errors.
*burst*: clusters of three. *users*: 50 users per request/s, how busy they are is gamma(1), how unlucky gamma(.3). *both*: both,
the realistic one. *Stress*: gamma(.05). \`x2\` is twice the error rate in the canary. A cell is the share of runs rolled back within the hour and the median
time of those. With 2,000 runs the standard error is at most .25 points below 1.3 %; tables with fewer runs say so.

## False rollbacks

![False rollbacks per method and setting](gating-report/false-rollbacks.svg)

${runsOf(of("aa"))} No regression: every rollback is wrong.

${errorTable(of("aa"), (one, method) => rate(firedRate(one, method)))}

Stress: a few users have nearly all errors. ${runsOf(of("stress"))}

${errorTable(of("stress"), (one, method) => rate(firedRate(one, method)))}

## Power and time to detection

![Median time to detection per method and setting](gating-report/detection-time.svg)

${runsOf(of("power"))}

${errorTable(of("power"), detection)}

Gross failures, *both* (x10 is 5 %, x40 20 %, x190 95 % errors; breakers in the SDK and the server act beside this and are not
simulated here). ${runsOf(of("gross"))}

${errorTable(of("gross"), detection)}

A regression from the start and one that begins late, *burst*; times count from its begin, alarms before it are wrong. ${runsOf(of("late"))}

${errorTable(of("late"), lateDetection)}

## Latency

A request takes a median of 80 ms, lognormal with sigma .5 within and .22 between users; .5 % are six times slower; shared drift, and a
shared incident of +60 % in half of the runs. A guardrail \`latency_p99\` with the tolerance and budget of the row, told by sketches
and the latency ladder alone. Without a regression: ${runsOf(of("latency-aa"))}

${table(
  ["tolerance, budget", ...of("latency-aa").map(({ column }) => column.name)],
  LATENCY_METHODS.map((name, method) => [name, ...of("latency-aa").map((one) => rate(firedRate(one, method)))]),
)}

With one: share rolled back within the hour, median time of all runs (\`-\`: beyond the hour). ${runsOf(of("latency"))}

${table(
  ["regression", ...LATENCY_METHODS],
  of("latency").map((one) => [one.column.name, ...LATENCY_METHODS.map((_, method) => detectionOfAll(one, method))]),
)}

A regression that equals its tolerance is allowed, so it is not found.

## Whole rollouts

1 %, 5 %, 25 %, 50 % with guardrails on errors, latency (+25 %) and conversion (90 % of the control's), promoted by evidence;
the others judge errors alone on a schedule of 15 minutes per stage. Rolled back, median time, and in brackets the median of excess errors served
before; the last two columns are Bunting's: rollouts that still waited for evidence after 2.5 h, and those that were promoted to the end. ${runsOf(of("rollout"))}

![Time to rollback of whole rollouts](gating-report/rollouts.svg)

${rolloutTable(of("rollout"), of("schedule"))}

Where the others roll back most rollouts without a regression, their times say nothing; a schedule promotes whatever it did not roll back. ${completionText(of("rollout"))}

## Lost telemetry

Of 15 % of the canary's requests nothing is heard, neither that they came nor what became of them: an instance that crashes before it
reports. What is heard looks as healthy as before, so only the split of the traffic tells (GA-21); an alarm holds a rollout. An hour at
one share with a look every ten seconds, users as in whole rollouts: share of hours with an alarm, and the median time of those. ${runsOf(of("loss"))}

${table(
  ["traffic and share", ...LOSSES],
  of("loss").map((one) => [one.column.name, rate(firedRate(one, 0)), detection(one, 1)]),
)}

What can be found depends on how many users the canary has, and little on how long one waits: the same users come again, and whether
those who got the canary happen to be busy does not average out. At 1 % of 100 requests/s they are some 50, and their traffic is
ordinarily a fifth off its share. At 25 % a loss of 15 % is some three standard deviations of that chance; an alarm that is looked
for all the time and must hardly ever be false asks for more than four. Whole rollouts without a regression, at any stage:

${lossyRolloutTable(of("loss-rollout"), of("rollout"))}

None of the other methods has such a test. They compare rates, or one rate with a limit, and a rate stays the same when requests are
missing at random: to them a loss is less traffic. Experiment platforms do test the split, as a check of an experiment's health beside
its results (Statsig with a chi-squared test of distinct users).

## Promotion

Non-inferiority at a false promotion budget of .05 within an hour: how often a canary *at* the margin is wrongly proven harmless,
and how often an equal one is, with the median time. The worst setting has ${rate(worstProof)} wrong ones. At 1 % of 100 requests/s the canary has some 50 users, and how unlucky they happen to be does not average out: there a proof takes the longest, and it is worth the wait for a first stage of 5 %. Margins follow from \`harmBudgetRate\` .25. ${runsOf(of("proof"))}

${proofTable(of("proof"))}

## What this does not show

- A canary that harms both arms alike (a shared database) cancels out. Only absolute limits and people see it.
- Errors: nothing below about 12 % more is looked for; the smallest regression meant to be found is 25 %.
- An hour at 1 % of 100 requests/s is 3,600 canary requests: with clustered errors a doubling is found there in a minority of runs. Begin at
  5 %, or wait.
- Conversions at 1 %: a canary that converts less is held there rather than rolled back; the evidence for a rollback comes with more traffic.
- A failure that leaves no outcome is seen by the sample-ratio test only: late where there are few users, or never. A loss alike in both
  arms is never seen.
`,
  };
}

// --- figures

function secondsOf({ outcome }: Measured, method: number): (number | null)[] {
  return (outcome.seconds ?? []).map((run) => run[method] ?? null);
}

function firedRate(one: Measured, method: number): number {
  const seconds = secondsOf(one, method);
  return seconds.filter((value) => value !== null).length / seconds.length;
}

function detection(one: Measured, method: number): string {
  const found = secondsOf(one, method).filter((value): value is number => value !== null);
  return found.length === 0 ? "0 % -" : `${percent(found.length / secondsOf(one, method).length)} ${median(found)} s`;
}

function lateDetection(one: Measured, method: number): string {
  const seconds = secondsOf(one, method);
  const early = seconds.filter((value) => value !== null && value <= 0).length / seconds.length;
  const found = seconds.filter((value): value is number => value !== null && value > 0);
  const right = found.length === 0 ? "0 % -" : `${percent(found.length / seconds.length)} ${median(found)} s`;
  return early > 0 ? `${right} (${percent(early)} early)` : right;
}

function detectionOfAll(one: Measured, method: number): string {
  const seconds = secondsOf(one, method).map((value) => value ?? Number.POSITIVE_INFINITY);
  const middle = median(seconds);
  const found = percent(seconds.filter(Number.isFinite).length / seconds.length);
  return `${found} ${Number.isFinite(middle) ? `${middle} s` : "-"}`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;
const rate = (share: number): string => `${(100 * share).toFixed(2)} %`;

function runsOf(columns: readonly Measured[]): string {
  const counts = columns.map(({ outcome }) => (outcome.seconds ?? outcome.ends ?? []).length);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most
    ? `${most.toLocaleString("en")} runs per setting.`
    : `${least.toLocaleString("en")} to ${most.toLocaleString("en")} runs per setting.`;
}

// --- tables

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

/** Settings down, methods across: there are more settings than a page is wide. */
function errorTable(columns: readonly Measured[], cell: (one: Measured, method: number) => string): string {
  const head = ["setting", ...PEER_NAMES.map((name) => (isOurs(name) ? `**${name}**` : name))];
  return table(
    head,
    columns.map((one) => [
      one.column.name,
      ...PEER_NAMES.map((name, method) => (isOurs(name) ? `**${cell(one, method)}**` : cell(one, method))),
    ]),
  );
}

function endsOf(runs: readonly (readonly RolloutEnd[])[], peer: number): RolloutEnd[] {
  return runs.flatMap((run) => (run[peer] === undefined ? [] : [run[peer]]));
}

function endText(ends: readonly RolloutEnd[]): string {
  const back = ends.filter(([end]) => end === "rolled_back");
  if (back.length === 0) return "0 %";
  const seconds = median(back.map(([, time]) => time));
  const errors = Math.round(median(back.map(([, , excess]) => excess)));
  const share =
    ends.length >= 100 ? `${((100 * back.length) / ends.length).toFixed(1)} %` : percent(back.length / ends.length);
  return `${share} ${seconds} s (${errors})`;
}

function rolloutTable(ours: readonly Measured[], schedule: readonly Measured[]): string {
  const peers = PEER_NAMES.filter((name) => !isOurs(name));
  return table(
    ["rollout", ...peers, "**Bunting .01**", "held", "reached 100 %"],
    ours.map(({ column, outcome }) => {
      const scheduled = schedule.find((one) => one.column.name === column.name)?.outcome.ends;
      const ends = (outcome.ends ?? []).flat();
      const shareOf = (wanted: RolloutEnd[0]): string =>
        percent(ends.filter(([end]) => end === wanted).length / ends.length);
      return [
        column.name,
        ...peers.map((_, peer) => (scheduled ? endText(endsOf(scheduled, peer)) : "-")),
        `**${endText(ends)}**`,
        shareOf("undecided"),
        shareOf("completed"),
      ];
    }),
  );
}

function completionText(ours: readonly Measured[]): string {
  const [usual, busy] = ["no regression", "no regression, 1,000 rps"].map((name) => {
    const ends = (ours.find(({ column }) => column.name === name)?.outcome.ends ?? []).flat();
    const completed = ends.filter(([end]) => end === "completed");
    const seconds = median(completed.map(([, time]) => time));
    return { share: percent(completed.length / ends.length), time: `${seconds.toLocaleString("en")} s` };
  });
  return `Without a regression Bunting brings ${usual?.share} to 100 % within ${ROLLOUT_HOURS} h, in a median of ${usual?.time}; at 1,000 requests/s ${busy?.share}, in ${busy?.time}, most of it at 1 and 5 %, where a proof on conversions takes long: errors alone would be proven within minutes.`;
}

const ROLLOUT_HOURS = 2.5;

/** Rollouts of which a part is not heard, beside those of the same name of which everything is. */
function lossyRolloutTable(lossy: readonly Measured[], whole: readonly Measured[]): string {
  const endsIn = (of: Measured | undefined): RolloutEnd[] => (of?.outcome.ends ?? []).flat();
  return table(
    ["rollout", ...LOSSES, "reached 100 % all the same"],
    lossy.map((one) => {
      const ends = endsIn(one);
      const completed = ends.filter(([end]) => end === "completed").length;
      const unharmed = endsIn(whole.find(({ column }) => column.name === one.column.name));
      return [one.column.name, alarmText(unharmed), alarmText(ends), percent(completed / ends.length)];
    }),
  );
}

function alarmText(ends: readonly RolloutEnd[]): string {
  const alarms = ends.flatMap(([, , , mismatchSeconds]) => mismatchSeconds ?? []);
  const share = percent(alarms.length / ends.length);
  return alarms.length === 0 ? `0 % of ${ends.length}` : `${share} of ${ends.length}, ${median(alarms)} s`;
}

function proofTable(columns: readonly Measured[]): string {
  const names = [...new Set(columns.map(({ column }) => column.name.replace(/ (equal|at the margin)$/, "")))];
  return table(
    ["dispersion and share", "margin", "wrongly proven", "rightly proven"],
    names.map((name) => {
      const wrong = columns.find(({ column }) => column.name === `${name} at the margin`);
      const right = columns.find(({ column }) => column.name === `${name} equal`);
      const { experiment } = wrong?.column ?? { experiment: undefined };
      const margin = experiment?.kind === "proof" ? `${experiment.setting.margin}x` : "";
      return [name, margin, wrong ? rate(firedRate(wrong, 0)) : "", right ? detection(right, 0) : ""];
    }),
  );
}

// --- pictures

function falseRollbacks(columns: readonly Measured[]): string {
  return dotChart({
    title: "Rolled back within an hour although nothing was wrong",
    subtitle: "Share of runs, logarithmic; at the left edge: none. Looking every ten seconds.",
    categories: columns.map(({ column }) => column.name),
    series: PEER_NAMES.map((name, method): Series => {
      const values = columns.map((one) => Math.max(0.0003, firedRate(one, method)));
      return { name, ours: isOurs(name), values };
    }),
    from: 0.0003,
    to: 1,
    ticks: [0.001, 0.01, 0.05, 0.2, 1].map((value) => ({ value, text: `${value * 100} %` })),
    bar: { value: 0.01, text: "budget .01" },
  });
}

function detectionTimes(columns: readonly Measured[]): string {
  return dotChart({
    title: "Median time until a regression is rolled back",
    subtitle: "Seconds, logarithmic, where at least half of the runs found it within the hour.",
    categories: columns.map(({ column }) => (column.table === "gross" ? `both ${column.name}` : column.name)),
    series: PEER_NAMES.map((name, method): Series => {
      const values = columns.map((one) => {
        const middle = median(secondsOf(one, method).map((value) => value ?? Number.POSITIVE_INFINITY));
        return Number.isFinite(middle) ? middle : null;
      });
      return { name, ours: isOurs(name), values };
    }),
    from: 8,
    to: 3600,
    ticks: [10, 30, 60, 300, 900, 3600].map((value) => ({ value, text: `${value} s` })),
  });
}

function rolloutTimes(ours: readonly Measured[], schedule: readonly Measured[]): string {
  const peers = PEER_NAMES.filter((name) => !isOurs(name));
  const share = (ends: readonly RolloutEnd[]): number =>
    Math.max(0.003, ends.filter(([end]) => end === "rolled_back").length / ends.length);
  return dotChart({
    title: "Whole rollouts that were rolled back",
    subtitle:
      "Share of rollouts, logarithmic. The first three rows have no regression: left is right there, and wrong below.",
    categories: ours.map(({ column }) => column.name),
    series: [
      ...peers.map((name, peer): Series => {
        const values = ours.map(({ column }) => {
          const ends = schedule.find((one) => one.column.name === column.name)?.outcome.ends;
          return ends ? share(endsOf(ends, peer)) : null;
        });
        return { name, ours: false, values };
      }),
      { name: "Bunting .01", ours: true, values: ours.map(({ outcome }) => share((outcome.ends ?? []).flat())) },
    ],
    from: 0.003,
    to: 1,
    ticks: [0.003, 0.01, 0.1, 0.5, 1].map((value) => ({ value, text: value === 0.003 ? "none" : `${value * 100} %` })),
  });
}
