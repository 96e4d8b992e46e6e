import type { Receipt } from "../shop.ts";

/** What customers got since the tally began. */
export interface Tally {
  readonly checkouts: number;
  readonly express: number;
  /** Requests that did not end with a receipt. */
  readonly failed: number;
}

export const EMPTY: Tally = { checkouts: 0, express: 0, failed: 0 };

export function add(tally: Tally, outcome: Receipt["checkout"] | "failed"): Tally {
  if (outcome === "failed") return { ...tally, failed: tally.failed + 1 };
  return { ...tally, checkouts: tally.checkouts + 1, express: tally.express + (outcome === "express" ? 1 : 0) };
}

export function expressShare({ checkouts, express }: Tally): number {
  return checkouts === 0 ? 0 : express / checkouts;
}

/**
 * Whether the observed share can come from the configured one. Each customer is a draw of its own, so the count is binomial;
 * five standard deviations are left in one of 1.7 million runs, and one checkout of slack covers small expectations.
 */
export function agrees(tally: Tally, configured: number): boolean {
  const deviation = Math.sqrt(configured * (1 - configured) * tally.checkouts);
  return Math.abs(tally.express - configured * tally.checkouts) <= 5 * deviation + (deviation > 0 ? 1 : 0);
}
