import type { PendingInstance, Receipt } from "@bunting/contracts";
import { type Column, table } from "./table.ts";
import type { Theme } from "./theme.ts";
import { counted, formatCount, formatInstant, formatMs } from "./words.ts";

/** `2,413/2,413 instances applied, p50 9.4 ms, p99 31 ms, max 44 ms` */
export function receiptLine(receipt: Receipt): string {
  if (receipt.connected === 0) {
    return `No instance was connected${receipt.late > 0 ? `; ${counted(receipt.late, "instance")} connected later` : ""}.`;
  }
  const { latencyMs, late } = receipt;
  const parts = [
    `${formatCount(receipt.applied)}/${formatCount(receipt.connected)} instances applied`,
    ...(latencyMs
      ? [`p50 ${formatMs(latencyMs.p50)}`, `p99 ${formatMs(latencyMs.p99)}`, `max ${formatMs(latencyMs.max)}`]
      : []),
    ...(late > 0 ? [`${counted(late, "instance")} connected later`] : []),
  ];
  return parts.join(", ");
}

/** Who has not applied it, by name. */
function pendingList(receipt: Receipt, theme: Theme): string {
  const shown = table(receipt.pending, pendingColumns(receipt, theme), theme, "");
  const hidden = receipt.pendingCount - receipt.pending.length;
  return hidden > 0 ? `${shown}\n… and ${formatCount(hidden)} more` : shown;
}

/** The proof: one green line, or who is missing. */
export function renderReceipt(receipt: Receipt, theme: Theme): string {
  if (receipt.connected === 0) return theme.paint("caution", receiptLine(receipt));
  if (receipt.complete) return theme.paint("good", receiptLine(receipt));
  return `${theme.paint("caution", receiptLine(receipt))}\n${pendingList(receipt, theme)}`;
}

function pendingColumns(receipt: Receipt, theme: Theme): Column<PendingInstance>[] {
  return [
    { title: "not applied", cell: ({ instance }) => theme.paint("strong", instance) },
    { title: "boot", cell: ({ boot }) => boot },
    { title: "sdk", cell: ({ sdk }) => sdk },
    { title: "state", cell: ({ connected }) => (connected ? "connected, silent" : "connection lost") },
    { title: "at revision", align: "right", cell: ({ acknowledged }) => `${acknowledged} of ${receipt.revision}` },
    { title: "last seen (UTC)", cell: ({ lastSeenAt }) => formatInstant(lastSeenAt) },
  ];
}
