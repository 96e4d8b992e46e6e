import { ADDRESS_FLAG, CHECKOUT_FLAG } from "../shop.ts";
import type { Arm, Rollout } from "./admin.ts";
import { bar, count, duration, percent } from "./format.ts";
import { PATIENCE_MS, proof, RECEIPT_MS, type Stage } from "./story.ts";
import { until } from "./until.ts";

/** What the fast lane may take: the evidence of a few seconds, five more to the report of an instance, and one for the look. */
const DETECTION_SECONDS = 20;

const GUARDRAILS = [
  { metric: "error_rate", max: 0.02, worseThanControl: true },
  { metric: "latency_p95", maxMs: 1_000 },
] as const;
const MIN_SAMPLES = 100;

/** Nobody touches it: each stage is left on what the shops have reported of it. */
export async function promote(stage: Stage): Promise<void> {
  const { admin, screen, claim, stages } = stage;
  const plan = { stages: stages.map(baking), guardrails: GUARDRAILS, minSamples: MIN_SAMPLES };
  const started = await admin.startRollout(CHECKOUT_FLAG, plan);
  screen.say(
    `The plan: ${stages.join(", ")} %, each for 10 s of evidence at least; at most 2 % errors and not more than the`,
  );
  screen.say("old checkout has, p95 within a second. Nobody will touch it.");
  for (let index = 0; index < stages.length; index++) await follow(stage, started.id, index);

  const deeds = await admin.deeds(started.id);
  for (const decision of deeds.filter(({ action }) => action === "promote" || action === "complete")) {
    const enough = decision.counts.canary.outcomeCount >= MIN_SAMPLES;
    claim(
      enough && decision.guardrails.every(({ verdict }) => verdict === "pass"),
      `${decision.action}d on ${figures(decision.counts)}`,
    );
  }
  const { state } = await admin.rollout(started.id);
  claim(state === "completed", `the rollout is ${state}`);
  const last = deeds.findLast(({ revision, action }) => action === "promote" && revision !== null);
  if (last?.revision) proof(stage, await admin.receipt(last.revision, RECEIPT_MS));
  claim(stage.traffic.tally().failed === 0, "no checkout failed on the way");
}

/** Three in ten look-ups fail. Only those who get the canary feel it, and not for long. */
export async function rollBack(stage: Stage): Promise<void> {
  const { admin, addresses, screen, traffic, claim, perSecond } = stage;
  const plan = { stages: [5, 50, 100].map(baking), guardrails: GUARDRAILS, minSamples: MIN_SAMPLES };
  addresses.failing(0.3);
  traffic.recount();
  const { id } = await admin.startRollout(ADDRESS_FLAG, plan);
  const begun = Date.now();
  screen.say(
    "The plan is the same, the flag another: an address is looked up instead of asked for. Three in ten look-ups fail.",
  );
  let now = await admin.rollout(id);
  await screen.watch(
    () =>
      `${now.state.replaceAll("_", " ")} at ${now.percent} %, ${count(traffic.tally().failed)} of ${count(traffic.tally().checkouts)} checkouts failed`,
    until("the rollback", PATIENCE_MS, async () => {
      now = await admin.rollout(id);
      return now.state !== "running";
    }),
  );
  addresses.failing(0);

  const decision = (await admin.deeds(id)).find(({ action }) => action === "rollback");
  claim(now.state === "rolled_back" && decision?.stage === 0, "it was rolled back at 5 %, and never went further");
  if (decision?.revision == null) return;
  const took = Date.parse(decision.at) - begun;
  const seen = decision.counts.canary.outcomeCount;
  // Evidence is outcomes, not time: where as many come as were meant to, this is within so many seconds.
  claim(
    seen <= DETECTION_SECONDS * perSecond * 0.05,
    `by itself, ${duration(took)} after the first canary, on ${count(seen)} checkouts of it`,
  );
  screen.say(`Why, in its own words: ${decision.because}`);
  const { canary, control } = await admin.measured(id);
  screen.say(`What the shops reported: ${figures({ canary, control })}`);
  claim(canary.errorCount > 0 && control.errorCount === 0, "all of the errors are the canary's");
  proof(stage, await admin.receipt(decision.revision, RECEIPT_MS));

  const { failed, checkouts } = traffic.tally();
  claim(
    failed < checkouts * 0.05,
    `${count(failed)} of ${count(checkouts)} checkouts failed: without the stages it would have been three in ten`,
  );
  traffic.recount();
  await stage.look(
    () => `${count(traffic.tally().checkouts)} checkouts since, ${count(traffic.tally().failed)} failed`,
  );
  claim((await admin.share(ADDRESS_FLAG)) === 0, "everybody is asked for the address again");
  screen.say(`What it decided can be decided again from what it saw: bunting rollout replay ${decision.id}`);
}

const baking = (share: number) => ({ percent: share, bakeSeconds: 10 });

/** Watches one stage until it is left. */
async function follow(stage: Stage, id: string, index: number): Promise<void> {
  const { admin, screen, traffic } = stage;
  let seen = await admin.rollout(id);
  if (seen.stage !== index) return;
  traffic.recount();
  let shown = seen;
  await screen.watch(
    () => line(shown, stage),
    until(`stage ${index + 1} to be left`, PATIENCE_MS, async () => {
      seen = await admin.rollout(id);
      // The last state of the stage stays on the screen, not the first of the next.
      if (seen.stage === index) shown = seen;
      return seen.stage !== index || seen.state === "completed" || seen.state === "rolled_back";
    }),
  );
}

function line({ percent: share, state }: Rollout, { traffic }: Stage): string {
  const { checkouts, express } = traffic.tally();
  const observed = checkouts === 0 ? 0 : express / checkouts;
  const configured = share / 100;
  return `${bar({ observed, configured })} ${state} at ${share} %, ${count(checkouts)} checkouts`;
}

function figures({ canary, control }: { readonly canary: Arm; readonly control: Arm }): string {
  return control.outcomeCount === 0 ? arm(canary) : `${arm(canary)} against ${arm(control)}`;
}

function arm({ errorCount, outcomeCount }: Arm): string {
  return `${count(errorCount)} errors in ${count(outcomeCount)} (${percent(outcomeCount === 0 ? 0 : errorCount / outcomeCount)})`;
}
