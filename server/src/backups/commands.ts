import type { Command } from "../ledger/command.ts";
import type { Decided } from "../ledger/decision.ts";

type BackUp = Extract<Command, { type: "back_up" }>;

/** Who makes a backup, and under which name. The copy is made afterwards, so it holds this entry too. */
export function noteBackup({ name }: BackUp): Decided {
  const object = { kind: "database", key: name, environment: null } as const;
  return { ok: true, edits: [], audit: [{ action: "back_up", object, before: null, after: null, reason: null }] };
}
