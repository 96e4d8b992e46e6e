import { noteBackup } from "../backups/commands.ts";
import { archiveEnvironment, createEnvironment } from "../environments/commands.ts";
import { archiveFlag, createFlag, patchFlag } from "../flags/commands.ts";
import { patchConfiguration, putConfiguration, reshuffle } from "../flags/configuration-commands.ts";
import { kill, restore } from "../flags/kill.ts";
import { commandRollout, createRollout, stepRollout, tickChecklist } from "../rollouts/commands.ts";
import { deleteSegment, putSegment } from "../segments/commands.ts";
import { createToken, revokeToken } from "../tokens/commands.ts";
import { permits, scopeOf } from "../tokens/permission.ts";
import {
  createWebhook,
  deleteWebhook,
  patchWebhook,
  redeliver,
  rotateWebhook,
  testWebhook,
} from "../webhooks/commands.ts";
import type { Command } from "./command.ts";
import type { Decided, Situation } from "./decision.ts";

/** What a command does to the state it meets, if its actor may: pure. */
export function decide(command: Command, situation: Situation): Decided {
  const refusal = permits(situation.actor, command.type, scopeOf(command));
  if (refusal) return { ok: false, refusal };
  switch (command.type) {
    case "create_environment":
      return createEnvironment(command, situation);
    case "archive_environment":
      return archiveEnvironment(command, situation);
    case "create_flag":
      return createFlag(command, situation);
    case "patch_flag":
      return patchFlag(command, situation);
    case "archive_flag":
      return archiveFlag(command, situation);
    case "put_configuration":
      return putConfiguration(command, situation);
    case "patch_configuration":
      return patchConfiguration(command, situation);
    case "kill":
      return kill(command, situation);
    case "restore":
      return restore(command, situation);
    case "reshuffle":
      return reshuffle(command, situation);
    case "put_segment":
      return putSegment(command, situation);
    case "delete_segment":
      return deleteSegment(command, situation);
    case "create_rollout":
      return createRollout(command, situation);
    case "rollout_command":
      return commandRollout(command, situation);
    case "tick_checklist":
      return tickChecklist(command, situation);
    case "rollout_step":
      return stepRollout(command, situation);
    case "create_token":
      return createToken(command, situation);
    case "revoke_token":
      return revokeToken(command, situation);
    case "create_webhook":
      return createWebhook(command, situation);
    case "rotate_webhook":
      return rotateWebhook(command, situation);
    case "patch_webhook":
      return patchWebhook(command, situation);
    case "redeliver":
      return redeliver(command, situation);
    case "test_webhook":
      return testWebhook(command, situation);
    case "delete_webhook":
      return deleteWebhook(command, situation);
    case "back_up":
      return noteBackup(command);
  }
}
