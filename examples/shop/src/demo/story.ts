import { CHECKOUT_FLAG } from "../shop.ts";
import type { AddressService } from "./address-service.ts";
import type { Admin, ChangeReceipt } from "./admin.ts";
import type { Fleet } from "./fleet.ts";
import { bar, count, duration, percent } from "./format.ts";
import { disagreements, expressCustomers, isSubset, PANEL } from "./panel.ts";
import type { Screen } from "./screen.ts";
import type { FlagServer } from "./server.ts";
import { agrees, expressShare } from "./tally.ts";
import type { Traffic } from "./traffic.ts";
import { pause } from "./until.ts";

/** Everything the story is told with. */
export interface Stage {
  readonly server: FlagServer;
  readonly admin: Admin;
  readonly fleet: Fleet;
  readonly traffic: Traffic;
  readonly addresses: AddressService;
  readonly screen: Screen;
  /** How long the audience looks at something that needs no time by itself. */
  readonly secondsPerStep: number;
  /** Customers. */
  readonly perSecond: number;
  /** Percentages of a healthy rollout. */
  readonly stages: readonly number[];
  /** Shows a line for as long as that. */
  readonly look: (line: () => string) => Promise<void>;
  /** Says whether a claim of the story held. One that did not makes the demonstration fail, but it goes on. */
  readonly claim: (holds: boolean, text: string) => void;
}

/** The server holds the answer to a receipt back for this long at most. */
export const RECEIPT_MS = 30_000;
/** Of whatever else must happen for the story to go on. No claim: on a busy machine things take longer and are no less true. */
export const PATIENCE_MS = 120_000;

/** Raises the share, waits for the receipt, and watches whether customers get what is configured. */
export async function ramp(stage: Stage, sharePercent: number): Promise<void> {
  const { admin, fleet, claim } = stage;
  const before = expressCustomers(anyOf(fleet));
  const receipt = await admin.receipt(await admin.setShare(CHECKOUT_FLAG, sharePercent), RECEIPT_MS);
  proof(stage, receipt);

  await watch(stage, sharePercent / 100);
  const tally = stage.traffic.tally();
  claim(agrees(tally, sharePercent / 100), `what customers get agrees with ${sharePercent} % configured`);
  claim(tally.failed === 0, `none of ${count(tally.checkouts)} checkouts failed`);
  const now = expressCustomers(anyOf(fleet));
  claim(
    isSubset(before, now),
    `of ${PANEL.length} regulars all ${before.size} who had it kept it, ${now.size} have it now`,
  );
  const split = disagreements(fleet.flags);
  claim(split === 0, `${fleet.flags.length} instances give each regular the same answer`);
}

/** One command, and proof. */
export async function kill(stage: Stage): Promise<void> {
  const { admin, traffic, claim } = stage;
  proof(stage, await admin.kill(CHECKOUT_FLAG, "Orders without a postal address", RECEIPT_MS));
  await watch(stage, 0);
  const { express, checkouts, failed } = traffic.tally();
  claim(express === 0, `no express checkout among ${count(checkouts)} after the last receipt`);
  claim(failed === 0, "no checkout failed");
}

/** A receipt as a claim: everyone has applied it. */
export function proof({ fleet, claim }: Stage, receipt: ChangeReceipt): void {
  const size = fleet.flags.length;
  const { applied, connected, revision, complete, latencyMs, pending } = receipt;
  const figures = latencyMs
    ? `, p50 ${duration(latencyMs.p50)}, p99 ${duration(latencyMs.p99)}, max ${duration(latencyMs.max)}`
    : "";
  const missing = pending.map(({ instance, connected: isThere }) => `${instance}${isThere ? "" : ", gone"}`);
  const whoMisses = complete ? "" : `; of ${connected} connected these did not: ${missing.join("; ")}`;
  claim(
    complete && applied === size,
    `${applied}/${size} instances applied revision ${revision}${figures}${whoMisses}`,
  );
}

async function watch({ traffic, screen, secondsPerStep }: Stage, configured: number): Promise<void> {
  traffic.recount();
  const line = (): string => {
    const tally = traffic.tally();
    const observed = expressShare(tally);
    return `${bar({ observed, configured })} ${percent(observed)} express of ${count(tally.checkouts)}, ${percent(configured)} configured`;
  };
  await screen.watch(line, pause(secondsPerStep * 1000));
}

function anyOf({ flags: [first] }: Fleet) {
  if (first === undefined) throw new Error("The fleet has no instance.");
  return first;
}
