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

/** What this process serves of a flag otherwise than its ruleset says: to everybody, or to those who would get a variant. */
export type ServedInstead = { readonly forced: string } | { readonly withheld: string; readonly instead: string };

/** Asked for flags that are prerequisites of others, which see what is served here (EV-44). Null: what the ruleset says. */
export type LocalServing = (flag: CompiledFlag) => ServedInstead | null;

/**
 * Compiles a ruleset. With an earlier compilation of the same environment, whatever did not change is taken from it: entries
 * by their checksum, rules by the checksums of their segments, and prerequisites by the flags they lead to. So a patch costs
 * what it touches, and the subjects' hashes stay known.
 */
export function compileRuleset(
  ruleset: Ruleset,
  previous?: CompiledRuleset,
  servedInstead: LocalServing = () => null,
): CompiledRuleset {
  return new Compilation(ruleset, previous instanceof Compilation ? previous : undefined, servedInstead);
}

class Compilation implements CompiledRuleset {
  readonly ruleset: Ruleset;
  readonly flags: ReadonlyMap<string, LinkedFlag>;
  readonly issues: readonly CompileIssue[];
  readonly segments: ReadonlyMap<string, CompiledSegment>;
  private readonly hasher: Hasher;

  constructor(ruleset: Ruleset, previous: Compilation | undefined, servedInstead: LocalServing) {
    this.ruleset = ruleset;
    this.hasher = previous?.hasher ?? createHasher();
    this.segments = compileSegments(ruleset, previous?.segments);
    const { flags, issues } = compileEntries(ruleset, this.segments, previous, this.hasher);
    linkPrerequisites(flags, { previous: previous?.flags, hasher: this.hasher, servedInstead });
    this.flags = flags;
    this.issues = issues;
  }
}

/** The very map of before, if no segment changed: then no rule needs to look whether one of its own did. */
function compileSegments(
  ruleset: Ruleset,
  previous: ReadonlyMap<string, CompiledSegment> | undefined,
): ReadonlyMap<string, CompiledSegment> {
  const segments = new Map<string, CompiledSegment>();
  let isChanged = false;
  for (const [key, entry] of Object.entries<RulesetSegment>(ruleset.segments)) {
    const known = previous?.get(key);
    const isKnown = known !== undefined && isSame(known.entry, entry);
    if (!isKnown) isChanged = true;
    segments.set(key, isKnown ? known : compileSegment(entry));
  }
  return previous !== undefined && !isChanged && previous.size === segments.size ? previous : segments;
}

/** Every flag with its own program; those whose program is new are not linked to their prerequisites yet. */
function compileEntries(
  ruleset: Ruleset,
  segments: ReadonlyMap<string, CompiledSegment>,
  previous: { readonly flags: ReadonlyMap<string, LinkedFlag>; readonly segments: unknown } | undefined,
  hasher: Hasher,
): { readonly flags: Map<string, LinkedFlag>; readonly issues: readonly CompileIssue[] } {
  const flags = new Map<string, LinkedFlag>();
  const issues: CompileIssue[] = [];
  const hasSameSegments = previous?.segments === segments;
  const entries: Readonly<Record<string, RulesetFlag>> = ruleset.flags;
  for (const key of Object.keys(entries)) {
    const entry = entries[key] as RulesetFlag;
    const known = previous?.flags.get(key);
    if (known !== undefined && isSame(known.entry, entry) && (hasSameSegments || usesSame(known.program, segments))) {
      flags.set(key, known);
      if (known.program.issues.length > 0) issues.push(...known.program.issues);
      continue;
    }
    const made = compileEntry(entry, segments);
    if ("unusable" in made) {
      issues.push(made.unusable);
      continue;
    }
    flags.set(key, new LinkedFlag(made, [], hasher));
    issues.push(...made.issues);
  }
  return { flags, issues };
}

function isSame(known: { readonly checksum: string }, entry: { readonly checksum: string }): boolean {
  return known === entry || known.checksum === entry.checksum;
}

function usesSame(program: Program, segments: ReadonlyMap<string, CompiledSegment>): boolean {
  for (const [key, segment] of program.segments) if (segments.get(key) !== segment) return false;
  return true;
}

/** Ties prerequisites to the flags they ask, those first that are asked (EV-41). */
function linkPrerequisites(
  flags: Map<string, LinkedFlag>,
  {
    previous,
    hasher,
    servedInstead,
  }: {
    readonly previous: ReadonlyMap<string, LinkedFlag> | undefined;
    readonly hasher: Hasher;
    readonly servedInstead: LocalServing;
  },
): void {
  const graph = new Map<string, readonly string[]>();
  for (const [key, { entry }] of flags) {
    if (entry.prerequisites.length > 0)
      graph.set(
        key,
        entry.prerequisites.map(({ flag }) => flag),
      );
  }
  const depths = prerequisiteDepths(graph);
  for (const key of depths.keys()) {
    const flag = flags.get(key);
    if (flag === undefined || !graph.has(key)) continue;
    const prerequisites = flag.entry.prerequisites.map(({ flag: asked, variants }) => {
      const isShallow = (depths.get(asked) ?? 0) + 1 <= LIMITS.prerequisiteDepth;
      return link(isShallow ? flags.get(asked) : undefined, variants, servedInstead);
    });
    const isLinked = previous?.get(key) === flag && leadsToSame(flag.prerequisites, prerequisites);
    if (!isLinked) flags.set(key, new LinkedFlag(flag.program, prerequisites, hasher));
  }
}

function link(
  flag: LinkedFlag | undefined,
  variants: readonly string[],
  servedInstead: LocalServing,
): LinkedPrerequisite {
  if (flag === undefined) return settled(false);
  const served = servedInstead(flag);
  if (served !== null && "forced" in served) return settled(variants.includes(served.forced));
  return {
    flag,
    isAlwaysMet: false,
    accepts: flag.variants.map(({ key }) => variants.includes(served?.withheld === key ? served.instead : key)),
    isShared: flag.prerequisites.length > 0,
  };
}

function settled(isAlwaysMet: boolean): LinkedPrerequisite {
  return { flag: null, isAlwaysMet, accepts: [], isShared: false };
}

function leadsToSame(known: Judged["prerequisites"], next: Judged["prerequisites"]): boolean {
  return known.length === next.length && known.every((one, index) => isSameLink(one, next[index]));
}

function isSameLink(known: LinkedPrerequisite, next: LinkedPrerequisite | undefined): boolean {
  if (next === undefined || known.flag !== next.flag || known.isAlwaysMet !== next.isAlwaysMet) return false;
  return known.accepts.every((accepted, index) => accepted === next.accepts[index]);
}
