import type { Command } from "./command.ts";

/**
 * Whether a command takes something away from users, or makes it possible to: a kill, the end of a rollout. Such commands pass
 * where all others are refused: on a full disk, for whose last bytes the ballast is kept, and above the limit of a ruleset.
 */
export function isEmergency(command: Command): boolean {
  if (command.type === "rollout_command") return STOPS.has(command.command);
  if (command.type !== "rollout_step") return ALWAYS.has(command.type);
  return command.ruling.transition.effects.some(({ type }) => type === "restore_control");
}

const ALWAYS: ReadonlySet<Command["type"]> = new Set(["kill", "restore", "revoke_token"]);
const STOPS: ReadonlySet<string> = new Set(["rollback", "abort", "pause"]);
