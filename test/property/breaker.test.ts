import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addAbsoluteInterval,
  addInterval,
  limitRatios,
  plainLogEvidence,
  startProcess,
} from "../../packages/gating/src/evidence-process.ts";
import { HARM } from "../../packages/gating/src/grid.ts";
import { bracketOfBin } from "../../packages/gating/src/ladder.ts";
import { binIndex, LOWEST_BIN, BIN_COUNT as SERVER_BIN_COUNT } from "../../packages/gating/src/sketch.ts";
import { absoluteLogEvidence, relativeLogEvidence } from "../../sdk/src/evidence/likelihood.ts";
import { BIN_COUNT, BRACKET_OF_SLOT, binSlot } from "../../sdk/src/evidence/sketch.ts";

/*
 * The SDK may not depend on the package that decides rollouts, and needs two of its formulas: they are written down twice, and
 * here they are one.
 */

const trials = fc
  .tuple(fc.nat({ max: 100_000 }), fc.nat({ max: 100_000 }))
  .map(([failureCount, successCount]) => ({ failureCount, trialCount: failureCount + successCount }));
const dispersion = fc.double({ min: 1, max: 10, noNaN: true });

const close = (value: number, expected: number): void =>
  expect(Math.abs(value - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(expected)));

describe("TE-44 the evidence of the breaker is the evidence of the server", () => {
  it("against a limit", () => {
    fc.assert(
      fc.property(trials, fc.double({ min: 0.001, max: 0.5, noNaN: true }), dispersion, (counts, limit, phi) => {
        const process = startProcess(HARM);
        const { trialCount: exposureCount, failureCount: eventCount } = counts;
        addAbsoluteInterval(process, { exposureCount, eventCount }, limitRatios(HARM, limit));
        close(absoluteLogEvidence(counts, limit, phi), plainLogEvidence(process, { dispersion: phi }));
      }),
    );
  });

  it("against the control", () => {
    fc.assert(
      fc.property(
        trials,
        trials,
        fc.double({ min: 0.5, max: 5, noNaN: true }),
        dispersion,
        (canary, control, ratio, phi) => {
          const process = startProcess(HARM);
          addInterval(
            process,
            {
              canaryExposureCount: canary.trialCount,
              canaryEventCount: canary.failureCount,
              controlExposureCount: control.trialCount,
              controlEventCount: control.failureCount,
            },
            ratio,
          );
          close(relativeLogEvidence(canary, control, ratio, phi), plainLogEvidence(process, { dispersion: phi }));
        },
      ),
    );
  });
});

describe("TE-34 the sketch of the SDK is the sketch of the server", () => {
  it("bin by bin, and so are the rungs that a bin is above", () => {
    expect(BIN_COUNT).toBe(SERVER_BIN_COUNT);
    for (let slot = 0; slot < BIN_COUNT; slot += 1) expect(BRACKET_OF_SLOT[slot]).toBe(bracketOfBin(slot + LOWEST_BIN));
    fc.assert(
      fc.property(fc.double(), (latencyMs) => {
        expect(binSlot(latencyMs) + LOWEST_BIN).toBe(binIndex(latencyMs));
      }),
    );
  });
});
