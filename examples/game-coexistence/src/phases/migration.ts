import { compare, play, type Stage, split } from "./stage.ts";

const STEPS = [30, 50, 80, 100] as const;

/** 40 to 90 s: a step every ten seconds, until the second version has everybody. States move with the players. */
export async function migration(stage: Stage): Promise<void> {
  const { game, report } = stage;
  await play(stage, 10);
  for (const percent of STEPS) {
    await split(stage, percent === 100 ? { v2: 100 } : { v1: 100 - percent, v2: percent });
    const durationMs = game.moves.reduce((sum, move) => sum + move.durationMs, 0);
    const count = game.moves.reduce((sum, { movedCount }) => sum + movedCount, 0);
    report.measure("state_migration_time_ms", durationMs, `${count} states`);
    await compare(stage, "migration_data_loss");
    if (percent < 100) await play(stage, 10);
  }
}
