import type { EnvironmentKey, FlagKey } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import type { Announcement } from "./notification.ts";

/** Flags that somebody killed or restored. */
export interface FlagEvent {
  readonly kind: "flag.killed" | "flag.restored";
  readonly environment: EnvironmentKey;
  readonly flags: readonly FlagKey[];
  readonly by: string;
  readonly at: string;
  readonly reason: string;
}

/** One notification however many flags there are: a kill by tag must not become ten thousand messages at three in the morning. */
export function flagAnnouncement({ kind, environment, flags, by, at, reason }: FlagEvent): Announcement {
  const named = [...flags].sort().slice(0, LIMITS.flagsPerNotification);
  const [only] = named;
  const what = flags.length === 1 && only !== undefined ? only : `${flags.length} flags`;
  const verb = kind === "flag.killed" ? "killed" : "restored";
  return {
    notification: {
      kind,
      at,
      environment,
      by,
      flags: named,
      flagCount: flags.length,
      reason,
      text: `${by} ${verb} ${what} in ${environment}: ${reason}`,
    },
    to: [],
  };
}
