import type { EnvironmentKey, Receipt } from "@bunting/contracts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Delivery } from "./delivery.ts";

export interface Change {
  readonly environment: EnvironmentKey;
  readonly epoch: string;
  readonly revision: number;
}

export interface Wait {
  /** 0: not at all. */
  readonly waitMs: number;
  /** Aborted when the client goes away: somebody else may then wait in its place. */
  readonly signal: AbortSignal;
}

/**
 * Who has applied a change, after at most `waitMs`; null if that is not kept any more. A change of an earlier epoch, as a
 * repeated answer may be of, has no receipt: its revision is another change's today, or will be before the wait is over.
 */
export async function receiptOfChange(
  { environment, epoch, revision }: Change,
  { waitMs, signal }: Wait,
  { ledger, delivery }: { ledger: Pick<Ledger, "state">; delivery: Pick<Delivery, "receipt" | "waitForReceipt"> },
): Promise<Receipt | null> {
  const isCurrent = (): boolean => epoch === ledger.state.epoch;
  if (waitMs > 0 && isCurrent()) await delivery.waitForReceipt(environment, revision, waitMs, signal);
  return (isCurrent() ? delivery.receipt(environment, revision) : undefined) ?? null;
}
