import type { Flags } from "@bunting/sdk";
import { ADDRESS_FLAG } from "../shop.ts";
import { count, duration } from "./format.ts";
import { PANEL } from "./panel.ts";
import { PATIENCE_MS, proof, type Stage } from "./story.ts";
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
  if (started?.revision) proof(stage, await admin.receipt(started.revision, PATIENCE_MS));
  const busy = fleet.flags.slice(0, BUSY_SHOPS);
  traffic.visit(fleet.shops.slice(0, BUSY_SHOPS));
  await pause(2_000);

  await server.kill();
  const size = fleet.flags.length;
  await until("every instance to notice", PATIENCE_MS, () => fleet.live() === 0);
  screen.say(
    `The server was killed with SIGKILL. ${size} instances sell on with what they have. Now every look-up fails.`,
  );

  traffic.recount();
  const begun = performance.now();
  addresses.failing(1);
  const opened = await Promise.all(busy.map(async (flags) => (await opening(flags)) - begun));
  const { checkouts, failed } = traffic.tally();
  // A breaker counts outcomes, not time: where so many come in a second as were meant to, this is within a second.
  claim(
    checkouts + failed <= stage.perSecond,
    `${busy.length} of ${busy.length} shops serve the old way again, the last one after ${duration(Math.max(...opened))}: ${count(failed)} of ${count(checkouts + failed)} checkouts failed`,
  );

  await pause(500); // What was under way when the breakers opened has ended by now.
  traffic.recount();
  await stage.look(
    () => `${count(traffic.tally().checkouts)} checkouts without a server, ${count(traffic.tally().failed)} failed`,
  );
  const after = traffic.tally();
  claim(after.failed === 0 && after.checkouts > 0, `${count(after.checkouts)} checkouts since then, none failed`);

  await server.start();
  await screen.watch(
    () => `${fleet.live()}/${size} instances are back`,
    until("every instance to come back", PATIENCE_MS * 2, () => fleet.live() === size),
  );
  let { state } = await admin.rollout(id);
  await screen.watch(
    () => `the rollout is ${state.replaceAll("_", " ")}`,
    until("the rollback", PATIENCE_MS * 2, async () => {
      ({ state } = await admin.rollout(id));
      return state !== "running";
    }),
  );
  const decision = (await admin.deeds(id)).findLast(({ action }) => action === "rollback");
  claim(state === "rolled_back", "the server heard of it when it was back, and made it so for everybody");
  if (!decision?.revision) return;
  screen.say(`Why, in its own words: ${decision.because}`);
  const { revision } = decision;
  await until("the rollback to be everywhere", PATIENCE_MS, () => lowest(fleet.flags) >= revision);
  claim(true, `every instance stands at revision ${lowest(fleet.flags)}: nothing was lost`);
}

/** When this process stopped serving the canary by itself. */
async function opening(flags: Flags): Promise<number> {
  const customer = PANEL.find((each) => flags.isEnabled(ADDRESS_FLAG, each));
  await until("the breaker to open", PATIENCE_MS, () => flags.evaluate(ADDRESS_FLAG, customer).detail === "breaker");
  return performance.now();
}

function lowest(fleet: readonly Flags[]): number {
  return Math.min(...fleet.map((flags) => flags.status().position?.revision ?? 0));
}
