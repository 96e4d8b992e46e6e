import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import type { EvidenceInterval } from "./evidence.ts";

/** Two flushes after its end an interval has been reported by whoever will: the same for both arms. */
export const WATERMARK_MS = 10_000;

/** Whether an interval is behind the watermark: only then is it added to statistics. */
export function isComplete({ interval }: Pick<EvidenceInterval, "interval">, now: number): boolean {
  return (interval + 1) * EVIDENCE_INTERVAL_MS + WATERMARK_MS <= now;
}

/** Evidence is dated ahead only if a clock was set back since. What it says of the present is anybody's guess. */
export function hasBegun({ interval }: Pick<EvidenceInterval, "interval">, now: number): boolean {
  return interval * EVIDENCE_INTERVAL_MS <= now;
}
