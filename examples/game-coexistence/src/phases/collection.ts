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
  // A heap is its isolate's and ends with the thread, whole. How much of it the system has back shows in the RSS alone, and
  // that is everybody's: players, SDK, the other versions and a thread that is kept ready have moved it in the meantime too.
  report.say("heap of v1", `${megabytes(heapBefore)} before, ${megabytes(heapAfter)} after: its thread has ended`);
  report.say(
    "process (RSS)",
    `${megabytes(rssBefore)} before, ${megabytes(process.memoryUsage.rss())} after, of all there is`,
  );
  report.measure("gc_efficiency", (1 - heapAfter / heapBefore) * 100, "of the heap, by its end");
  await play(stage, 10);
}

const NONE: Collection = { version: "nobody", durationMs: Number.NaN, idleMs: Number.NaN };
