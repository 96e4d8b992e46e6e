import { megabytes } from "../report.ts";
import { load, play, type Stage, traffic } from "./stage.ts";

/** 0 to 10 s: one version has everybody. */
export async function baseline(stage: Stage): Promise<void> {
  const { game } = stage;
  await load(stage, "v1");
  await game.populate();
  traffic(stage, { v1: 100 });
  game.start();
  await play(stage, 10);
  performance(stage, "v1");
}

/** What a version's thread needs for its part of a frame, and what it holds. Reported, and held to nothing. */
export function performance({ game, report }: Stage, version: string): void {
  const { entityCount, avgProcessTimeMs, p99ProcessTimeMs, memoryUsageBytes } = game.logic.getVersionMetrics(version);
  const times = `${avgProcessTimeMs.toFixed(3)} ms/frame (p99 ${p99ProcessTimeMs.toFixed(3)} ms)`;
  report.say(`performance of ${version}`, `${times} for ${entityCount} entities, ${megabytes(memoryUsageBytes)} heap`);
}
