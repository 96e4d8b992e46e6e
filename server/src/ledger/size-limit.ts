import { LIMITS } from "@bunting/contracts/literals";
import type { Applied } from "./apply.ts";
import type { Command } from "./command.ts";
import { refuse } from "./decision.ts";
import { isEmergency } from "./emergency.ts";
import type { State } from "./state.ts";

/**
 * A ruleset that SDKs would refuse must not come to be; null if none does. What ends a danger may always, and so may what makes
 * one that is too large smaller.
 */
export function refuseTooLarge(command: Command, before: Pick<State, "environments">, { state, commits }: Applied) {
  if (isEmergency(command)) return null;
  for (const { environment } of commits) {
    const bytes = state.environments.get(environment)?.bytes ?? 0;
    if (bytes <= LIMITS.rulesetBytes || bytes <= (before.environments.get(environment)?.bytes ?? 0)) continue;
    return refuse("limit_exceeded", `The ruleset of ${environment} would have more than ${LIMITS.rulesetBytes} bytes.`);
  }
  return null;
}
