import { performance } from "./baseline.ts";
import { isolate, load, play, type Stage, split } from "./stage.ts";

/** 10 to 40 s: the second version beside the first, with a tenth of the players. */
export async function canary(stage: Stage): Promise<void> {
  const { game, report } = stage;
  await load(stage, "v2");
  await split(stage, { v1: 90, v2: 10 });
  report.measure("canary_accuracy", game.population().v2 ?? 0);
  await isolate(stage, "v2");
  await play(stage, 30);
  performance(stage, "v1");
  performance(stage, "v2");
}
