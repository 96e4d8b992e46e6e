import { type Receipt, receipt as receiptSchema } from "@bunting/contracts";
import { EXIT_CODES } from "./exit-code.ts";
import { Failure } from "./failure.ts";
import { receiptLine } from "./output/receipt.ts";
import { counted, formatCount } from "./output/words.ts";
import { paths } from "./paths.ts";
import type { Session } from "./session.ts";

/** What a bare `--wait` means. */
export const DEFAULT_WAIT_SECONDS = 10;

/** Of commander: absent, `--wait`, or `--wait 30`. */
export type WaitOption = number | true | undefined;

export function waitSeconds(option: WaitOption): number | undefined {
  return option === true ? DEFAULT_WAIT_SECONDS : option;
}

const FIRST_POLL_MS = 25;
const SLOWEST_POLL_MS = 500;
const LINE_INTERVAL_MS = 1_000;

/**
 * Follows a receipt until everyone who was connected at the commit has applied the change, or the time is up. Gives back the
 * last one seen: a server that stops answering does not undo the change, it only ends the proof.
 */
export async function followReceipt(first: Receipt, seconds: number, session: Session): Promise<Receipt> {
  const { client, world } = session;
  const deadline = world.monotonic() + seconds * 1000;
  const report = progressReport(first, session);
  let latest = first;
  let pauseMs = FIRST_POLL_MS;
  report.update(latest);
  try {
    while (!latest.complete && world.monotonic() < deadline) {
      await world.sleep(Math.min(pauseMs, Math.max(0, deadline - world.monotonic())));
      pauseMs = Math.min(pauseMs * 1.5, SLOWEST_POLL_MS);
      latest = (await client.get(paths.receipt(first.environment, first.revision), receiptSchema)).value;
      report.update(latest);
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    session.output.warn(`Lost sight of the receipt. ${error.report.detail}`);
  } finally {
    report.end();
  }
  return latest;
}

/** After the answer is printed: the exit code for whoever waited. */
export function requireComplete(receipt: Receipt | null, seconds: number): void {
  if (receipt?.complete) return;
  if (!receipt) {
    throw new Failure(EXIT_CODES.waitedInVain, {
      code: "not_all_applied",
      detail: "The change is made, but the server no longer keeps its receipt, so nobody can tell who has applied it.",
      remedy: "`bunting instances --behind` shows who is not current.",
    });
  }
  throw new Failure(EXIT_CODES.waitedInVain, {
    code: "not_all_applied",
    detail: `${counted(receipt.pendingCount, "instance")} of ${formatCount(receipt.connected)} did not apply revision ${receipt.revision} within ${seconds} s. The change itself is made.`,
    remedy: `\`bunting instances --behind --env ${receipt.environment}\` shows them. To stop one process now, see docs/operating/kill.md.`,
  });
}

interface Report {
  update(receipt: Receipt): void;
  end(): void;
}

/** A bar on a terminal, a line a second elsewhere, nothing for programs. */
function progressReport(first: Receipt, { output, world }: Session): Report {
  if (output.isJson || first.complete) return { update: () => undefined, end: () => undefined };
  if (world.stderr.isTerminal) {
    const progress = world.progress(first.connected, "Not waiting any longer. The change itself is made.");
    return {
      update: (receipt) =>
        progress.update(receipt.applied, `${formatCount(receipt.applied)}/${formatCount(receipt.connected)} applied`),
      end: () => progress.end(),
    };
  }
  let printedAt = Number.NEGATIVE_INFINITY;
  let printed = -1;
  return {
    update(receipt) {
      if (receipt.applied === printed || world.monotonic() - printedAt < LINE_INTERVAL_MS) return;
      printed = receipt.applied;
      printedAt = world.monotonic();
      output.say(() => receiptLine(receipt));
    },
    end: () => undefined,
  };
}
