import type { Ruleset, RulesetFlag, RulesetSegment } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { createHasher, type Hasher } from "./bucket.ts";
import type { Judged, LinkedPrerequisite } from "./evaluate.ts";
import { type CompiledFlag, LinkedFlag } from "./flag.ts";
import { prerequisiteDepths } from "./prerequisites.ts";
import { type CompileIssue, compileEntry, type Program } from "./program.ts";
import { type CompiledSegment, compileSegment } from "./segment.ts";

/** A ruleset ready to be decided, as a whole immutable. */
export interface CompiledRuleset {
  readonly ruleset: Ruleset;
  /** By key. An entry that is of no use at all (EV-6) is missing here and named in `issues`. */
  readonly flags: ReadonlyMap<string, CompiledFlag>;
  readonly issues: readonly CompileIssue[];
}

/**
 * Compiles a ruleset. With an earlier compilation of the same environment, whatever did not change is taken from it: entries
 * by their checksum, rules by the checksums of their segments, and prerequisites by the flags they lead to. So a patch costs
 * what it touches, and the subjects' hashes stay known.
 */
export function compileRuleset(ruleset: Ruleset, previous?: CompiledRuleset): CompiledRuleset {
  return new Compilation(ruleset, previous instanceof Compilation ? previous : undefined);
}

class Compilation implements CompiledRuleset {
  readonly ruleset: Ruleset;
  readonly flags: Map<string, LinkedFlag>;
  readonly issues: readonly CompileIssue[];
  private readonly segments: ReadonlyMap<string, CompiledSegment>;
  private readonly hasher: Hasher;

  constructor(ruleset: Ruleset, previous: Compilation | undefined) {
    this.ruleset = ruleset;
    this.hasher = previous?.hasher ?? createHasher();
    this.segments = compileSegments(ruleset, previous?.segments);
    const { programs, unusable } = compilePrograms(ruleset, this.segments, previous?.flags);
    this.flags = linkAll(programs, previous?.flags, this.hasher);
    this.issues = [...unusable, ...issuesOf(this.flags)];
  }
}

function compileSegments(
  ruleset: Ruleset,
  previous: ReadonlyMap<string, CompiledSegment> | undefined,
): ReadonlyMap<string, CompiledSegment> {
  const segments = new Map<string, CompiledSegment>();
  for (const [key, entry] of Object.entries(ruleset.segments) as [string, RulesetSegment][]) {
    const known = previous?.get(key);
    segments.set(key, known && isSame(known.entry, entry) ? known : compileSegment(entry));
  }
  return segments;
}

function compilePrograms(
  ruleset: Ruleset,
  segments: ReadonlyMap<string, CompiledSegment>,
  previous: ReadonlyMap<string, LinkedFlag> | undefined,
): { readonly programs: ReadonlyMap<string, Program>; readonly unusable: readonly CompileIssue[] } {
  const programs = new Map<string, Program>();
  const unusable: CompileIssue[] = [];
  for (const key of Object.keys(ruleset.flags)) {
    const entry = (ruleset.flags as Readonly<Record<string, RulesetFlag>>)[key] as RulesetFlag;
    const known = previous?.get(key)?.program;
    if (known !== undefined && isSame(known.entry, entry) && hasSame(known.segments, segments)) {
      programs.set(key, known);
      continue;
    }
    const made = compileEntry(entry, segments);
    if ("unusable" in made) unusable.push(made.unusable);
    else programs.set(key, made);
  }
  return { programs, unusable };
}

function isSame(known: { readonly checksum: string }, entry: { readonly checksum: string }): boolean {
  return known === entry || known.checksum === entry.checksum;
}

function hasSame(
  used: ReadonlyMap<string, CompiledSegment | undefined>,
  segments: ReadonlyMap<string, CompiledSegment>,
): boolean {
  if (used.size === 0) return true;
  for (const [key, segment] of used) if (segments.get(key) !== segment) return false;
  return true;
}

/** Ties prerequisites to the flags they ask, those first that are asked (EV-41). */
function linkAll(
  programs: ReadonlyMap<string, Program>,
  previous: ReadonlyMap<string, LinkedFlag> | undefined,
  hasher: Hasher,
): Map<string, LinkedFlag> {
  const flags = new Map<string, LinkedFlag>();
  const graph = new Map<string, readonly string[]>();
  for (const [key, program] of programs) {
    const known = previous?.get(key);
    if (program.entry.prerequisites.length > 0)
      graph.set(
        key,
        program.entry.prerequisites.map(({ flag }) => flag),
      );
    // Set in any case, so that the map keeps the ruleset's order.
    flags.set(key, known !== undefined && known.program === program ? known : new LinkedFlag(program, [], hasher));
  }
  const depths = prerequisiteDepths(graph);
  for (const key of depths.keys()) {
    const program = programs.get(key);
    if (program === undefined || !graph.has(key)) continue;
    const prerequisites = program.entry.prerequisites.map(({ flag, variants }) =>
      link(flags.get(flag), (depths.get(flag) ?? 0) + 1 <= LIMITS.prerequisiteDepth, variants),
    );
    const known = previous?.get(key);
    const isKnown = known !== undefined && known.program === program && leadsToSame(known.prerequisites, prerequisites);
    flags.set(key, isKnown ? known : new LinkedFlag(program, prerequisites, hasher));
  }
  return flags;
}

function link(flag: LinkedFlag | undefined, isShallow: boolean, variants: readonly string[]): LinkedPrerequisite {
  if (flag === undefined || !isShallow) return { flag: null, accepts: [], isShared: false };
  return {
    flag,
    accepts: flag.variants.map(({ key }) => variants.includes(key)),
    isShared: flag.prerequisites.length > 0,
  };
}

function leadsToSame(known: Judged["prerequisites"], next: Judged["prerequisites"]): boolean {
  return known.length === next.length && known.every(({ flag }, index) => flag === next[index]?.flag);
}

function issuesOf(flags: ReadonlyMap<string, LinkedFlag>): readonly CompileIssue[] {
  const issues: CompileIssue[] = [];
  for (const flag of flags.values()) if (flag.program.issues.length > 0) issues.push(...flag.program.issues);
  return issues;
}
