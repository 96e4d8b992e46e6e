import type { Command } from "commander";
import type { Action } from "../action.ts";
import { addRolloutStepCommands } from "./rollout-command.ts";
import { addRolloutCreateCommand } from "./rollout-create.ts";
import { addRolloutLogCommands } from "./rollout-log.ts";
import { addReplayCommand } from "./rollout-replay.ts";
import { addRolloutTickCommand } from "./rollout-tick.ts";
import { addRolloutWatchCommands } from "./rollout-watch.ts";
import { addRolloutWhatIfCommand } from "./rollout-what-if.ts";

export function addRolloutCommands(program: Command, action: Action): void {
  const rollout = program
    .command("rollout")
    .summary("raise a flag by stages that prove themselves")
    .description(
      "Rollouts: a flag raised by stages, each of which must prove itself before the next, and taken back where it does harm.",
    );
  addRolloutCreateCommand(rollout, action);
  addRolloutTickCommand(rollout, action);
  addRolloutWatchCommands(rollout, action);
  addRolloutStepCommands(rollout, action);
  addRolloutLogCommands(rollout, action);
  addReplayCommand(rollout, action);
  addRolloutWhatIfCommand(rollout, action);
}
