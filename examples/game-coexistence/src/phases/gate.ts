import type { Game } from "../game.ts";
import { shares } from "../report.ts";
import { pause, until } from "../until.ts";
import { proof, type Stage } from "./stage.ts";

/** The server counts evidence in intervals of ten seconds, so a rollout cannot be hurried. */
const PATIENCE_MS = 60_000;

const PLAN = {
  canary: "v2",
  control: "v1",
  stages: [
    { percent: 20, bakeSeconds: 300 },
    { percent: 100, bakeSeconds: 300 },
  ],
  guardrails: [
    { metric: "error_rate", max: 0.05, worseThanControl: true, onFail: "rollback" },
    { metric: "failures_game_logic_v2", kind: "gauge", max: 0, maxAgeSeconds: 7_200, onFail: "rollback" },
  ],
  analysisIntervalSeconds: 5,
  autoPromote: true,
};

/**
 * The same rollback, by evidence: two games, a rollout that gives the second version a fifth of the players of each, and a
 * fault that only the first of them meets. Nothing in game.ts tells the server of it: that is the module's affair, and what it
 * reports makes the server roll back for both.
 */
export async function gate(stage: Stage, second: Game): Promise<void> {
  const { game, flag, report, settings } = stage;
  await flag.setSplit({ v1: 100 });
  await second.logic.warm();
  await second.logic.loadModuleVersion("v1");
  await second.populate();
  second.start();
  const { id } = await flag.startRollout(PLAN);
  await until("the canary in both games", 10_000, () => [game, second].every((one) => one.population().v2 === 20));
  await pause(3_000);
  report.say("rollout", `${id} runs; game 1: ${shares(game.population())}; game 2: ${shares(second.population())}`);

  game.fault = settings.fault;
  const startedAt = performance.now();
  await until("the server's rollback", PATIENCE_MS, async () => (await flag.rollout(id)).state === "rolled_back");
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const decision = await flag.rollbackOf(id);
  report.say("rolled back by the server", `after ${seconds} s, because ${decision?.because}`);
  if (decision?.revision == null) throw new Error("The rollback has no revision.");
  report.say("flag", proof(await flag.receipt(decision.revision)));
  for (const one of [game, second]) await one.logic.settled();
  report.say("traffic", `game 1: ${shares(game.population())}; game 2: ${shares(second.population())}`);
  const stayed = [game, second].filter((one) => one.population().v1 !== 100);
  if (stayed.length > 0) throw new Error("Not everybody is back on the first version.");
}
