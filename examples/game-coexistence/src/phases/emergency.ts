import { until } from "../until.ts";
import { compare, play, proof, type Stage } from "./stage.ts";

/**
 * 100 to 120 s: the second version breaks in the middle of a frame. The first is not even loaded any more; it is loaded, gets
 * the states of the frame before, and does that frame. Nobody is asked.
 */
export async function emergency(stage: Stage): Promise<void> {
  const { game, flag, report, settings } = stage;
  await play(stage, 5);
  game.fault = settings.fault;
  await until("a rollback", 10_000, () => game.rollbacks.length > 0);
  const rollback = game.rollbacks[0];
  if (rollback === undefined) return;
  report.say("fault in v2", `${rollback.cause}: ${rollback.message}`);
  report.say("rolled back", `${rollback.entityCount} entities, frames lost: ${rollback.lostBatchCount}`);
  report.measure("version_load_time_ms", game.loadMs.get("v1") ?? Number.NaN, "v1 again");
  report.measure("rollback_time_ms", rollback.rollbackMs);
  report.measure("rollback_downtime_ms", rollback.downtimeMs);
  await compare(stage, "state_recovery");

  // Here it is over. Every other process still has the second version, so the flag goes back too.
  const receipt = await flag.setSplit({ v1: 100 });
  await game.logic.settled();
  report.say("flag", `v1 100 %; ${proof(receipt)}`);
  await play(stage, 15);
}
