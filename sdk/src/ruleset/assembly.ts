import type { Ruleset, Snapshot } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";

/** The parts of one snapshot on their way to being whole. */
export interface Assembly {
  /** The whole ruleset with the last part, "partial" before, "broken" where a part is missing, foreign or too much. */
  add(part: Snapshot, characters: number): Ruleset | "partial" | "broken";
}

export function createAssembly(): Assembly {
  let first: Snapshot | null = null;
  let parts: Snapshot[] = [];
  let size = 0;
  const restart = (): void => {
    first = null;
    parts = [];
    size = 0;
  };
  return {
    add(part, characters) {
      if (part.part === 1) {
        restart();
        first = part;
      }
      size += characters;
      if (first === null || !belongs(part, first, parts.length + 1) || size > LIMITS.rulesetBytes * 2) {
        restart();
        return "broken";
      }
      parts.push(part);
      if (parts.length < part.parts) return "partial";
      const whole = join(parts);
      restart();
      return whole ?? "broken";
    },
  };
}

function belongs(part: Snapshot, first: Snapshot, expected: number): boolean {
  return (
    part.part === expected &&
    part.part <= part.parts &&
    part.parts === first.parts &&
    part.epoch === first.epoch &&
    part.revision === first.revision &&
    part.checksum === first.checksum
  );
}

/** Null if two parts bring the same key: they are disjoint by the protocol. */
function join(parts: readonly Snapshot[]): Ruleset | null {
  const [first] = parts;
  if (first === undefined) return null;
  const { epoch, revision, checksum } = first;
  if (parts.length === 1) return { epoch, revision, checksum, flags: first.flags, segments: first.segments };
  const flags = parts.flatMap((part) => Object.entries(part.flags));
  const segments = parts.flatMap((part) => Object.entries(part.segments));
  const ruleset = {
    epoch,
    revision,
    checksum,
    flags: Object.fromEntries(flags),
    segments: Object.fromEntries(segments),
  };
  const disjoint =
    Object.keys(ruleset.flags).length === flags.length && Object.keys(ruleset.segments).length === segments.length;
  return disjoint ? ruleset : null;
}
