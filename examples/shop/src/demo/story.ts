import { CHECKOUT_FLAG } from "../shop.ts";
import type { Admin, ChangeReceipt } from "./admin.ts";
import type { Fleet } from "./fleet.ts";
import { bar, count, duration, percent } from "./format.ts";
import { disagreements, expressCustomers, isSubset, PANEL } from "./panel.ts";
import type { Screen } from "./screen.ts";
import type { FlagServer } from "./server.ts";
import { agrees, expressShare } from "./tally.ts";
import type { Traffic } from "./traffic.ts";
import { pause, until } from "./until.ts";

/** Everything the story is told with. */
export interface Stage {
  readonly server: FlagServer;
  readonly admin: Admin;
  readonly fleet: Fleet;
  readonly traffic: Traffic;
  readonly screen: Screen;
  /** How long each percentage is watched. */
  readonly secondsPerStep: number;
  /** Says whether a claim of the story held. One that did not makes the demonstration fail, but it goes on. */
  readonly claim: (holds: boolean, text: string) => void;
}

const PATIENCE_MS = 20_000;
/** How long the shops sell without a server. The longer it is away, the further apart their tries to come back. */
const AWAY_MS = 2_000;

/** Raises the share, waits for the receipt, and watches whether customers get what is configured. */
export async function ramp(stage: Stage, sharePercent: number): Promise<void> {
  const { admin, fleet, screen, claim } = stage;
  const before = expressCustomers(anyOf(fleet));
  const receipt = await admin.receipt(await admin.setShare(sharePercent), PATIENCE_MS);
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
  screen.gap();
}

/** Kills the server right after it acknowledged a change, sells on without it, and brings it back. */
export async function crash(stage: Stage, sharePercent: number): Promise<void> {
  const { server, admin, fleet, traffic, screen, claim } = stage;
  const revision = await admin.setShare(sharePercent);
  await server.kill();
  screen.say(`The server acknowledged ${sharePercent} % as revision ${revision} and was killed with SIGKILL at once.`);

  await until("every instance to notice", PATIENCE_MS, () => fleet.live() === 0);
  traffic.recount();
  const away = performance.now();
  await pause(Math.min(AWAY_MS, stage.secondsPerStep * 1000));
  const { checkouts, failed } = traffic.tally();
  claim(failed === 0 && checkouts > 0, `${count(checkouts)} checkouts without a server, none failed`);
  const { ageMs } = anyOf(fleet).evaluate(CHECKOUT_FLAG, "regular-1");
  screen.say(`Each evaluation knows how old its ruleset is: last confirmed ${duration(ageMs ?? 0)} ago.`);

  await server.start();
  const back = performance.now();
  await screen.watch(
    () => `${fleet.live()}/${fleet.flags.length} instances are back`,
    until("every instance to come back", PATIENCE_MS * 2, () => fleet.live() === fleet.flags.length),
  );
  const [awayFor, backAfter] = [duration(back - away), duration(performance.now() - back)];
  screen.say(`The server was away for ${awayFor}. The last instance was back ${backAfter} after it answered again,`);
  screen.say("each in its own time: whoever has tried in vain waits longer, at random, so that a herd never forms.");
  claim((await admin.share()) === sharePercent, `the acknowledged ${sharePercent} % was stored`);
  const positions = fleet.flags.map((flags) => flags.status().position?.revision ?? 0);
  claim(Math.min(...positions) >= revision, `every instance stands at revision ${revision} or later: nothing was lost`);

  await watch(stage, sharePercent / 100);
  const tally = traffic.tally();
  claim(agrees(tally, sharePercent / 100), `what customers get agrees with ${sharePercent} % configured`);
  screen.gap();
}

/** One command, and proof. */
export async function kill(stage: Stage): Promise<void> {
  const { admin, traffic, claim } = stage;
  proof(stage, await admin.kill("Orders without a postal address", PATIENCE_MS));
  await watch(stage, 0);
  const { express, checkouts, failed } = traffic.tally();
  claim(express === 0, `no express checkout among ${count(checkouts)} after the last receipt`);
  claim(failed === 0, "no checkout failed");
}

function proof({ fleet, claim }: Stage, receipt: ChangeReceipt): void {
  const size = fleet.flags.length;
  const { applied, revision, complete, latencyMs } = receipt;
  const figures = latencyMs
    ? `, p50 ${duration(latencyMs.p50)}, p99 ${duration(latencyMs.p99)}, max ${duration(latencyMs.max)}`
    : "";
  claim(complete && applied === size, `${applied}/${size} instances applied revision ${revision}${figures}`);
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
