import type { Flags } from "@bunting/sdk";
import { ADDRESS_FLAG } from "../shop.ts";
import { count, duration } from "./format.ts";
import { PATIENCE_MS, proof, RECEIPT_MS, type Stage } from "./story.ts";
import type { Tally } from "./tally.ts";
import type { Traffic } from "./traffic.ts";
import { pause, until } from "./until.ts";

/** Shops that all customers come to: each needs enough of them to see by itself that something burns. */
const BUSY_SHOPS = 2;

/** The server is killed, then the canary burns. Each process sees it by itself; the server hears of it when it is back. */
export async function breakers(stage: Stage): Promise<void> {
  const { admin, server, fleet, traffic, addresses, screen, claim } = stage;
  const plan = {
    stages: [{ percent: 25, bakeSeconds: 3_600 }],
    guardrails: [{ metric: "error_rate", max: 0.02, worseThanControl: true }],
    minSamples: 100,
  };
  const { id } = await admin.startRollout(ADDRESS_FLAG, plan);
  const started = (await admin.deeds(id)).find(({ action }) => action === "start");
  if (started?.revision) proof(stage, await admin.receipt(started.revision, RECEIPT_MS));
  const busy = fleet.flags.slice(0, BUSY_SHOPS);
  traffic.visit(fleet.shops.slice(0, BUSY_SHOPS));
  await pause(2_000);

  await server.kill();
  const size = fleet.flags.length;
  await until("every instance to notice", PATIENCE_MS, () => fleet.live() === 0);
  screen.say(
    `The server was killed with SIGKILL. ${size} instances sell on with what they have. Now every look-up fails.`,
  );

  await calm(stage);
  traffic.recount();
  const begun = performance.now();
  const openings = Promise.all(busy.map((flags) => opening(flags, traffic)));
  addresses.failing(1);
  const opened = await openings;
  const last = opened.reduce((latest, each) => (each.at > latest.at ? each : latest));
  const { checkouts, failed } = last.tally;
  // A breaker counts outcomes, not time: where so many come in a second as were meant to, this is within a second.
  claim(
    checkouts + failed <= stage.perSecond,
    `${busy.length} of ${busy.length} shops serve the old way again, the last one after ${duration(last.at - begun)}: ${count(failed)} of ${count(checkouts + failed)} checkouts failed`,
  );

  await pause(500); // What was under way when the breakers opened has ended by now.
  traffic.recount();
  await stage.look(
    () => `${count(traffic.tally().checkouts)} checkouts without a server, ${count(traffic.tally().failed)} failed`,
  );
  const after = traffic.tally();
  claim(after.failed === 0 && after.checkouts > 0, `${count(after.checkouts)} checkouts since then, none failed`);

  await server.start();
  let { state } = await admin.rollout(id);
  await screen.watch(
    () => `${fleet.back()}/${size} instances are back, the rollout is ${state.replaceAll("_", " ")}`,
    until("the rollback", PATIENCE_MS, async () => {
      ({ state } = await admin.rollout(id));
      return state !== "running";
    }),
  );
  const decision = (await admin.deeds(id)).findLast(({ action }) => action === "rollback");
  claim(state === "rolled_back", "the server heard of it when it was back, and made it so for everybody");
  if (!decision?.revision) return;
  screen.say(`Why, in its own words: ${decision.because}`);
  const { revision } = decision;
  // They come back with jitter, by stream or by asking, so that a server that has just started is not run over by all of them.
  await screen.watch(
    () => `${fleet.back()}/${size} instances are back`,
    until("the rollback to be everywhere", PATIENCE_MS, () => lowest(fleet.flags) >= revision),
  );
  claim(true, `every instance stands at revision ${lowest(fleet.flags)}: nothing was lost`);
}

/**
 * Two hundred SDKs that lost their server at once leave this one process little time to sell, until their tries become rarer:
 * a breaker judges what customers meet, so they are given the time to come. On a busy machine fewer come, and will have to do.
 */
async function calm({ traffic, perSecond }: Stage): Promise<void> {
  for (let second = 0; second < 10; second++) {
    traffic.recount();
    await pause(1_000);
    if (traffic.tally().checkouts > perSecond / 2) return;
  }
}

/** The moment at which this process stops serving the canary by itself, and what had been sold until then. */
async function opening(flags: Flags, traffic: Traffic): Promise<{ readonly at: number; readonly tally: Tally }> {
  let opened: { readonly at: number; readonly tally: Tally } | undefined;
  const stop = flags.on("change", () => {
    if (flags.status().breakers.length > 0) opened ??= { at: performance.now(), tally: traffic.tally() };
  });
  await until("the breaker to open", PATIENCE_MS, () => opened !== undefined).finally(stop);
  if (opened === undefined) throw new Error("The breaker has not opened.");
  return opened;
}

function lowest(fleet: readonly Flags[]): number {
  return Math.min(...fleet.map((flags) => flags.status().position?.revision ?? 0));
}
