import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { scoreLogEvidence, startScores } from "./bulk-test.ts";
import { pearsonDispersion, shrink } from "./dispersion.ts";
import {
  addAbsoluteInterval,
  addCheckpoint,
  addInterval,
  type EvidenceProcess,
  limitRatios,
  logEvidence,
  plainLogEvidence,
  startProcess,
} from "./evidence-process.ts";
import { HARM, NON_INFERIOR } from "./grid.ts";
import { logWeightedMean } from "./log-space.ts";
import { sampleRatioLogEvidence } from "./sample-ratio.ts";

interface Case {
  readonly name: string;
  readonly [field: string]: unknown;
}

interface RelativeCase extends Case {
  readonly intervals: readonly (readonly [number, number, number, number])[];
  readonly theta0: number;
  readonly phi?: number;
  readonly drop?: number;
  readonly checkpoints?: readonly number[];
  readonly logEPlain?: number;
  readonly logE?: number;
  readonly L_r2?: number;
  readonly L_r200?: number;
  readonly logNI?: number;
  readonly logNI_125?: number;
}

const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8")) as {
  groups: { key: string; cases: Case[] }[];
};
const casesOf = <Shape extends Case>(key: string): Shape[] =>
  (golden.groups.find((group) => group.key === key)?.cases ?? []) as Shape[];

const expectGolden = (actual: number | undefined, expected: number): void => {
  expect(Math.abs((actual ?? Number.NaN) - expected)).toBeLessThanOrEqual(1e-10 * Math.max(1, Math.abs(expected)));
};

function processOf(
  { intervals, checkpoints = [] }: RelativeCase,
  grid: typeof HARM,
  nullRateRatio: number,
): EvidenceProcess {
  const process = startProcess(grid);
  for (const [index, [nT, eT, nC, eC]] of intervals.entries()) {
    if (index > 0 && checkpoints.includes(index)) addCheckpoint(process);
    const counts = { canaryExposureCount: nT, canaryEventCount: eT, controlExposureCount: nC, controlEventCount: eC };
    addInterval(process, counts, nullRateRatio);
  }
  return process;
}

describe("GA-10, GA-12 the relative test gives the golden values", () => {
  it.each(casesOf<RelativeCase>("relative"))("$name", (golden) => {
    const { theta0, phi, drop, logEPlain, logE, L_r2, L_r200, logNI, logNI_125 } = golden;
    const options = {
      ...(phi === undefined ? {} : { dispersion: phi }),
      ...(drop === undefined ? {} : { droppedEventCount: drop }),
    };
    const harm = processOf(golden, HARM, theta0);
    if (logEPlain !== undefined) expectGolden(plainLogEvidence(harm, options), logEPlain);
    if (logE !== undefined) expectGolden(logEvidence(harm, options), logE);
    const ratioOf = (alternative: number): number | undefined =>
      harm.logLikelihoodRatios[HARM.alternatives.indexOf(alternative)];
    if (L_r2 !== undefined) expectGolden(ratioOf(2), L_r2);
    if (L_r200 !== undefined) expectGolden(ratioOf(200), L_r200);
    if (logNI !== undefined) expectGolden(plainLogEvidence(processOf(golden, NON_INFERIOR, theta0)), logNI);
    if (logNI_125 !== undefined) expectGolden(plainLogEvidence(processOf(golden, NON_INFERIOR, 1.25)), logNI_125);
    expect(logEPlain ?? logE ?? logNI).toBeDefined();
  });
});

describe("GA-15 the absolute test gives the golden values", () => {
  it.each(casesOf<Case & { intervalsAbs: [number, number][]; p0: number; logE: number }>("absolute"))(
    "$name",
    ({ name, intervalsAbs, p0, logE }) => {
      const grid = name.includes("breach") ? HARM : NON_INFERIOR;
      const process = startProcess(grid);
      for (const [exposureCount, eventCount] of intervalsAbs) {
        addAbsoluteInterval(process, { exposureCount, eventCount }, limitRatios(grid, p0));
      }
      expectGolden(plainLogEvidence(process), logE);
    },
  );
});

describe("GA-13 dispersion gives the golden values", () => {
  const [pearson, shrunk] = casesOf<Case & { n: number[]; e: number[]; phi: number; events: number; value: number }>(
    "dispersion",
  );

  it("as Pearson's statistic over groups", () => {
    const { n = [], e = [], phi = 0 } = pearson ?? {};
    expectGolden(pearsonDispersion({ exposures: Float64Array.from(n), events: Float64Array.from(e) }), phi);
  });

  it("shrunk towards its floor", () => {
    const { phi = 0, events = 0, value = 0 } = shrunk ?? {};
    expectGolden(shrink(phi, events), value);
  });
});

describe("GA-30 merged evidence gives the golden values", () => {
  it.each(casesOf<Case & { logE: number[]; w: number[]; value: number }>("merge"))("$name", ({ logE, w, value }) => {
    expectGolden(logWeightedMean(logE, w), value);
  });
});

describe("GA-21 the sample-ratio test gives the golden values", () => {
  it.each(casesOf<Case & { nT: number; nC: number; share: number; logE: number }>("sampleRatio"))(
    "$name",
    ({ nT, nC, share, logE }) => {
      expectGolden(sampleRatioLogEvidence({ canaryCount: nT, controlCount: nC }, share), logE);
    },
  );
});

describe("GA-18 the bulk of latencies gives the golden values", () => {
  it.each(casesOf<Case & { S: number; V: number; phi?: number; logE: number }>("score"))("$name", (golden) => {
    const { S, V, phi = 1, logE } = golden;
    expectGolden(scoreLogEvidence({ ...startScores(), score: S, variance: V }, phi), logE);
  });
});
