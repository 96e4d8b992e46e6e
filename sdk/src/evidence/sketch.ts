import { LATENCY_LADDER_MS } from "@bunting/contracts/literals";

/*
 * Latency as counts in logarithmic bins (the mapping of DDSketch: Masson, Rim, Lee, VLDB 2019), as docs/spec/telemetry.md
 * specifies it. All SDKs use the same base, so that sketches merge by adding counts.
 */

/** Base of the bins: `(1 + a) / (1 - a)` for a relative error `a` of 1 %. */
const GAMMA = 1.01 / 0.99;
const LOG_GAMMA = Math.log(GAMMA);

/** 10 µs. Zero counts here. */
export const LOWEST_BIN = -230;
/** 6 minutes. */
const HIGHEST_BIN = 640;
export const BIN_COUNT: number = HIGHEST_BIN - LOWEST_BIN + 1;

/** How many brackets the rungs of the ladder make: below the first, between two, above the last. */
export const BRACKET_COUNT: number = LATENCY_LADDER_MS.length + 1;

/** `floor(ln(latencyMs) / ln gamma)`, clamped, counted from {@link LOWEST_BIN}: an index into {@link BIN_COUNT} slots. */
export function binSlot(latencyMs: number): number {
  if (!(latencyMs > 0)) return 0;
  const bin = Math.floor(Math.log(latencyMs) / LOG_GAMMA);
  return (bin < LOWEST_BIN ? LOWEST_BIN : bin > HIGHEST_BIN ? HIGHEST_BIN : bin) - LOWEST_BIN;
}

/** By slot: how many rungs of the ladder the bin's value is above. */
export const BRACKET_OF_SLOT: Uint8Array = Uint8Array.from({ length: BIN_COUNT }, (_, slot) => {
  const latencyMs = (2 * GAMMA ** (slot + LOWEST_BIN + 1)) / (GAMMA + 1);
  return LATENCY_LADDER_MS.filter((rungMs) => latencyMs > rungMs).length;
});
