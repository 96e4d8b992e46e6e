import type { KillMessage, Operation, Patch, Ruleset, RulesetFlag, RulesetSegment } from "@bunting/contracts";
import { addChecksums, EMPTY_CHECKSUM, subtractChecksums } from "./checksum.ts";

/**
 * `old`: nothing to do. `gap`: something is missing in between. `checksum`: the result would not be what the server has. In
 * each case the ruleset is as it was.
 */
export type Applied =
  | { readonly ok: true; readonly ruleset: Ruleset }
  | { readonly ok: false; readonly reason: "old" | "gap" | "checksum" };

/** The ruleset after a patch, whole or not at all (EV-71). */
export function applyOperations(ruleset: Ruleset, patch: Omit<Patch, "type">): Applied {
  const untimely = timeliness(ruleset, patch);
  if (untimely !== null) return untimely;
  const flags = new Entries<RulesetFlag>(ruleset.flags);
  const segments = new Entries<RulesetSegment>(ruleset.segments);
  for (const operation of patch.operations) perform(operation, flags, segments);
  return checked(ruleset, patch, flags, segments);
}

/** The ruleset after a kill: `killed` and the new checksum on each of its flags (EV-73). */
export function applyKill(ruleset: Ruleset, kill: Omit<KillMessage, "type">): Applied {
  const untimely = timeliness(ruleset, kill);
  if (untimely !== null) return untimely;
  const flags = new Entries<RulesetFlag>(ruleset.flags);
  for (const { key, checksum } of kill.flags) {
    const flag = flags.get(key);
    if (flag === undefined) return { ok: false, reason: "checksum" };
    flags.put(key, { ...flag, killed: true, checksum });
  }
  return checked(ruleset, kill, flags, new Entries<RulesetSegment>(ruleset.segments));
}

function timeliness(
  ruleset: Ruleset,
  message: { readonly previous: number; readonly revision: number },
): Applied | null {
  if (message.revision <= ruleset.revision) return { ok: false, reason: "old" };
  return message.previous === ruleset.revision ? null : { ok: false, reason: "gap" };
}

function perform(operation: Operation, flags: Entries<RulesetFlag>, segments: Entries<RulesetSegment>): void {
  if (operation.op === "remove") (operation.kind === "flag" ? flags : segments).remove(operation.key);
  else if (operation.kind === "flag") flags.put(operation.key, operation.value);
  else segments.put(operation.key, operation.value);
}

function checked(
  ruleset: Ruleset,
  { revision, checksum }: { readonly revision: number; readonly checksum: string },
  flags: Entries<RulesetFlag>,
  segments: Entries<RulesetSegment>,
): Applied {
  const gained = addChecksums(flags.gained, segments.gained);
  const lost = addChecksums(flags.lost, segments.lost);
  if (subtractChecksums(addChecksums(ruleset.checksum, gained), lost) !== checksum) {
    return { ok: false, reason: "checksum" };
  }
  return {
    ok: true,
    ruleset: {
      epoch: ruleset.epoch,
      revision,
      checksum,
      flags: flags.record as Ruleset["flags"],
      segments: segments.record as Ruleset["segments"],
    },
  };
}

/** Entries by key, copied before the first change, with what the changes did to the checksum. */
class Entries<Entry extends { readonly checksum: string }> {
  record: Readonly<Record<string, Entry>>;
  gained: string = EMPTY_CHECKSUM;
  lost: string = EMPTY_CHECKSUM;
  private copy: Record<string, Entry> | null = null;

  constructor(record: Readonly<Record<string, Entry>>) {
    this.record = record;
  }

  get(key: string): Entry | undefined {
    return Object.hasOwn(this.record, key) ? this.record[key] : undefined;
  }

  put(key: string, entry: Entry): void {
    this.remove(key);
    this.gained = addChecksums(this.gained, entry.checksum);
    // Defined and not assigned: assigning to "__proto__" would change the record's prototype instead.
    const property = { value: entry, writable: true, enumerable: true, configurable: true };
    Object.defineProperty(this.changed(), key, property);
  }

  remove(key: string): void {
    const entry = this.get(key);
    if (entry === undefined) return;
    this.lost = addChecksums(this.lost, entry.checksum);
    delete this.changed()[key];
  }

  private changed(): Record<string, Entry> {
    this.copy ??= { ...this.record };
    this.record = this.copy;
    return this.copy;
  }
}
