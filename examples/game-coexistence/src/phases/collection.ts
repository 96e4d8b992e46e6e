import type { Collection } from "../game.ts";
import { megabytes } from "../report.ts";
import { until } from "../until.ts";
import { play, type Stage } from "./stage.ts";

/** 80 to 100 s: nobody uses the first version any more, so its thread ends by itself and its heap is given back. */
export async function collection(stage: Stage): Promise<void> {
  const { game, report } = stage;
  const { logic, unusedSeconds } = game;
  const heapBefore = logic.getVersionMetrics("v1").memoryUsageBytes;
  const rssBefore = process.memoryUsage.rss();
  logic.enableAutoGC(unusedSeconds);
  await until("v1 to be collected", unusedSeconds * 1_000 + 10_000, () => game.collections.length > 0);
  logic.disableAutoGC();

  const [{ version, durationMs, idleMs } = NONE] = game.collections;
  report.say("collected", `${version}; loaded now: ${logic.getLoadedVersions().join(", ")}`);
  report.measure("gc_trigger_time_s", idleMs / 1_000);
  report.measure("gc_time_ms", durationMs);
  const heapAfter = logic.getVersionMetrics("v1").memoryUsageBytes;
  report.say("heap of v1", `${megabytes(heapBefore)} before, ${megabytes(heapAfter)} after`);
  report.say("process (RSS)", `${megabytes(rssBefore)} before, ${megabytes(process.memoryUsage.rss())} after`);
  report.measure("gc_efficiency", (1 - heapAfter / heapBefore) * 100);
  await play(stage, 10);
}

const NONE: Collection = { version: "nobody", durationMs: Number.NaN, idleMs: Number.NaN };
