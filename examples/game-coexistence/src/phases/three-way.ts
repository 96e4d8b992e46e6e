import { performance } from "./baseline.ts";
import { compare, isolate, load, play, type Stage, split } from "./stage.ts";

/** 120 to 150 s: the second version is mended, the third is new, and all three work side by side. */
export async function threeWay(stage: Stage): Promise<void> {
  const { game, report } = stage;
  await load(stage, "v2");
  await load(stage, "v3");
  await split(stage, { v1: 20, v2: 30, v3: 50 });
  report.measure("multi_version_count", game.logic.getLoadedVersions().length);
  for (const version of ["v1", "v2", "v3"]) await isolate(stage, version);
  await play(stage, 30);
  await compare(stage, "migration_data_loss");
  for (const version of ["v1", "v2", "v3"]) performance(stage, version);
  // The first finds no collisions, so both others do more than it does. The third finds them among more players than the second.
  for (const [version, baseline] of [
    ["v2", "v1"],
    ["v3", "v1"],
    ["v3", "v2"],
  ] as const) {
    const { processTimePercent } = game.logic.compareVersions(version, baseline);
    const change =
      processTimePercent === null
        ? "unknown"
        : `${processTimePercent > 0 ? "+" : ""}${processTimePercent.toFixed(0)} %`;
    report.say("performance_comparison", `${version} against ${baseline}, per entity: ${change}`);
  }
}
